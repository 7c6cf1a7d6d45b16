//! Models of a hub: fetched when a run needs them, kept, listed and measured.

use std::fs;

use serde_json::json;
use superstep_inference::testing::TinyModel;

use crate::command::{Ended, Home};
use crate::hub::{FakeHub, Plan};
use crate::progress::on_terminal;

const NAME: &str = "hf:o/n/tiny.gguf@v1";

/// A graph of one prompt, on a model whose sources are a file that may be there and one of a hub.
fn manifest(home: &Home, sha256: &str) -> String {
    home.file(
        "graph.yaml",
        &format!(
            "apiVersion: superstep.dev/v1alpha1
kind: ModelServer
metadata: {{name: tiny}}
spec:
  model:
    name: tiny
    sources:
    - file: {{path: {home}/tiny.gguf}}
    - huggingFace: {{repo: o/n, file: tiny.gguf, revision: v1}}
    sha256: {sha256:?}
  engine: {{candle: {{contextLength: 128, maxConcurrentRequests: 2}}}}
---
apiVersion: superstep.dev/v1alpha1
kind: AgentGraph
metadata: {{name: say}}
spec:
  models: [{{name: tiny, modelServerRef: {{name: tiny}}}}]
  entry: [say]
  vertices:
  - {{name: say, prompt: {{model: tiny, template: hello, sampling: {{maxTokens: 4}}}}}}
  outputs: [{{vertex: say}}]
",
            home = home.path().display()
        ),
    )
}

fn with_hub(home: &Home, hub: &FakeHub, line: &str) -> Ended {
    let mut command = home.command(line.split_whitespace());
    let output = command.env("HF_ENDPOINT", hub.address()).output().unwrap();
    output.into()
}

#[test]
fn a_machine_without_models_has_an_empty_list() {
    let none = Home::new().line("models list").with(0).saying("there are no models");
    assert_eq!(none.stdout, "");
    assert_eq!(Home::new().line("models list --output json").with(0).json(), json!([]));
}

#[test]
fn a_run_fetches_its_model_once_and_says_nothing_of_it_to_a_pipe() {
    let home = Home::new();
    let hub = FakeHub::start(TinyModel::default().bytes(), &[Plan::Cut(50_000)]);
    let run = format!("run --ephemeral -f {}", manifest(&home, ""));
    let first = with_hub(&home, &hub, &run).with(0);
    assert!(first.json()["say"]["text"].is_string() && first.stderr.is_empty(), "{first:?}");
    assert_eq!(hub.requests().len(), 2, "it was cut off, and went on");
    let again = with_hub(&home, &hub, &run).with(0);
    assert_eq!(again.stdout, first.stdout);
    assert_eq!(hub.requests().len(), 2, "it is there");
    let converted = home.path().join(".cache/superstep/models/.converted");
    assert_eq!(
        fs::read_dir(converted).unwrap().count(),
        1,
        "the second run has mapped what the first has written"
    );
    assert_eq!(home.line("models list --output json").with(0).json().as_array().unwrap().len(), 1);
}

#[test]
fn sources_are_tried_in_their_order_and_all_are_told_when_none_gives_a_file() {
    let home = Home::new();
    let file = manifest(&home, "");
    let hub = FakeHub::start(Vec::new(), &[Plan::Refuse(404)]);
    let refused = with_hub(&home, &hub, &format!("run --ephemeral -f {file}")).with(6);
    for part in [
        "\"tiny\" has no file",
        "tiny.gguf is no file;",
        "404 Not Found for hf:o/n/tiny.gguf@v1",
        "check repo",
    ] {
        assert!(refused.stderr.contains(part), "{part:?} in {refused:?}");
    }
    fs::write(home.path().join("tiny.gguf"), TinyModel::default().bytes()).unwrap();
    with_hub(&home, &hub, &format!("run --ephemeral -f {file}")).with(0);
    assert_eq!(hub.requests().len(), 1, "the file comes first");
}

#[test]
fn what_is_pulled_is_checked_listed_and_measured() {
    let home = Home::new();
    let hub = FakeHub::start(TinyModel::default().bytes(), &[]);
    let file = manifest(&home, "");
    let pulled = with_hub(&home, &hub, &format!("models pull -f {file} --output json")).with(0).json();
    let digest = pulled[0]["sha256"].as_str().unwrap().to_owned();
    assert_eq!((pulled[0]["model"].as_str(), digest.len()), (Some("tiny"), 64));
    let listed = home.line("models list --output json").with(0).json();
    let bytes = TinyModel::default().bytes().len();
    let path = pulled[0]["path"].clone();
    let row = json!({"model": NAME, "bytes": bytes, "sha256": digest, "path": path, "complete": true});
    assert_eq!(listed, json!([row]));
    let table = home.line("models list").with(0).stdout;
    assert!(table.starts_with("MODEL") && table.contains(NAME) && !table.contains(&digest), "{table}");

    let size = home.line(&format!("models size -f {file} --output json")).with(0).json();
    assert_eq!(size[0]["contextLength"], 128);
    assert_eq!(size[0]["kvCache"], 2 * 2 * 2 * 16 * 128 * 2 * 4, "slots, layers, heads, floats, positions");
    let bytes = |key: &str| size[0][key].as_u64().unwrap();
    let held = bytes("weights") + bytes("tiles") - bytes("released");
    assert_eq!(bytes("total"), held + bytes("kvCache") + bytes("workspace"));
    assert_eq!(bytes("ruleOfThumb"), bytes("file") + 3_000_000_000);
    let table = home.line(&format!("models size {NAME} --context-length 64 --concurrency 1")).with(0).stdout;
    assert_eq!(table.lines().count(), 2, "{table}");
    home.line(&format!("models size {}", path.as_str().unwrap())).with(0);
    assert_eq!(hub.requests().len(), 1);

    // What has been damaged is noticed by its digest, and fetched again.
    fs::write(path.as_str().unwrap(), "damaged").unwrap();
    with_hub(&home, &hub, &format!("models pull -f {}", manifest(&home, &digest))).with(0);
    assert_eq!(fs::read(path.as_str().unwrap()).unwrap(), TinyModel::default().bytes());
    assert_eq!(hub.requests().len(), 2);
}

#[test]
fn what_is_wrong_with_a_model_is_said() {
    let home = Home::new();
    home.line("models pull tiny.gguf").with(2).saying("hf:OWNER/NAME/FILE");
    home.line("models pull").with(2).saying("<MODEL>");
    home.line(&format!("models size {NAME}")).with(6).saying("superstep models pull hf:o/n/tiny.gguf@v1");
    home.line("models size absent.gguf").with(6).saying("model file absent.gguf does not exist");
    assert_eq!(home.line("models list --output json").with(0).json(), json!([]));
    let hub = FakeHub::start(TinyModel::default().bytes(), &[]);
    let other = "1".repeat(64);
    let refused = with_hub(&home, &hub, &format!("models pull -f {}", manifest(&home, &other))).with(6);
    for part in [NAME, &*other, "check revision and sha256"] {
        assert!(refused.stderr.contains(part), "{part:?} in {refused:?}");
    }
}

#[test]
fn a_terminal_sees_the_download_and_a_pipe_does_not() {
    let home = Home::new();
    let hub = FakeHub::start(TinyModel::default().bytes(), &[]);
    let pull = |arguments: &[&str]| {
        let mut command = home.command([&["models", "pull"], arguments].concat());
        command.env("HF_ENDPOINT", hub.address()).env("TERM", "xterm");
        on_terminal(command)
    };
    let shown = pull(&[NAME]);
    assert!(shown.contains(NAME) && shown.contains("KiB"), "{shown:?}");
    let both = pull(&["hf:o/n/one.gguf", "hf:o/n/two.gguf"]);
    let (_, second) = both.split_once("two.gguf").unwrap();
    assert!(both.contains("one.gguf") && second.contains("KiB"), "{both:?}");
    assert_eq!(pull(&["hf:o/n/other.gguf", "--progress", "never"]), "");
    let quiet = with_hub(&home, &hub, "models pull hf:o/n/third.gguf").with(0);
    assert_eq!(quiet.stderr, "");
}
