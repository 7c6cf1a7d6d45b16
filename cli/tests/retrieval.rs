//! Vectors and retrieval, from the files to the result.

use std::fs;

use serde_json::{Value, json};
use superstep_inference::testing::{TinyEmbedder, TinyHead, present_model};

use crate::command::Home;
use crate::hub::{FakeHub, Plan};

/// A graph that answers a question with the passages that it finds, on a model server with this `spec`.
fn manifest(home: &Home, spec: &str, retrieve: &str) -> String {
    home.file(
        "library.yaml",
        &format!(
            "apiVersion: superstep.dev/v1alpha1
kind: ModelServer
metadata: {{name: sentences}}
spec: {spec}
---
apiVersion: superstep.dev/v1alpha1
kind: AgentGraph
metadata: {{name: library}}
spec:
  models: [{{name: sentences, modelServerRef: {{name: sentences}}}}]
  entry: [library]
  vertices:
  - {{name: library, retrieve: {{model: sentences, query: input.question, {retrieve}}}}}
  outputs: [{{vertex: library}}]
"
        ),
    )
}

fn ids(found: &Value) -> Vec<String> {
    let matches = found["library"]["matches"].as_array().unwrap();
    matches.iter().map(|found| found["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn documents_of_files_are_searched_and_kept_by_the_run() {
    let home = Home::new();
    home.file("pears.md", "Pears are green.\n");
    home.file(
        "fruit.jsonl",
        "{\"id\": \"apple\", \"text\": \"Apples are red.\", \"page\": 7}\n\"Plums are blue.\"\n",
    );
    let file =
        manifest(&home, "{engine: {scripted: {}}}", "top: 1, documents: {files: [pears.md, fruit.jsonl]}");
    let run = |question: &str| {
        let input = json!({"question": question}).to_string();
        home.run(["run", "-f", &file, "--run-id", "kept", "--input", &input]).with(0).json()
    };
    let found = run("what is red?");
    assert_eq!(ids(&found), ["apple"]);
    assert_eq!(found["library"]["matches"][0]["metadata"], json!({"page": 7}));
    assert_eq!((&found["library"]["added"], &found["library"]["size"]), (&json!(3), &json!(3)));
    // The log has what the files held, and is read without them.
    fs::remove_file(home.path().join("pears.md")).unwrap();
    let shown = home.line("inspect kept --output json").with(0).json();
    assert_eq!(shown["outputs"], found);
    let again = home.line(&format!("validate -f {file}")).with(2);
    assert!(again.stderr.contains("cannot take documents from"), "{again:?}");
}

#[test]
fn a_folder_is_a_sentence_model_and_no_prompt_takes_it() {
    let home = Home::new();
    let folder = home.path().join("tiny");
    fs::create_dir(&folder).unwrap();
    TinyEmbedder::default().write(&folder).unwrap();
    let server = format!(
        "{{model: {{name: tiny, sources: [file: {{path: {}}}]}}, engine: {{candle: {{contextLength: 16, maxConcurrentRequests: 2}}}}}}",
        folder.display()
    );
    let documents = "documents: {inline: [{id: a, text: red}, {id: b, text: green blue}]}";
    let file = manifest(&home, &server, documents);
    let run = home.run(["run", "--ephemeral", "-f", &file, "--input", "{\"question\": \"red\"}"]);
    let found = run.with(0).json();
    assert_eq!(
        (ids(&found), &found["library"]["matches"][0]["score"]),
        (vec!["a".to_owned(), "b".to_owned()], &json!(1.0))
    );
    let sized = home.run(["models", "size", "-f", &file, "--output", "json"]).with(0).json();
    assert_eq!((&sized[0]["architecture"], &sized[0]["contextLength"]), (&json!("bert"), &json!(16)));
    let text = fs::read_to_string(&file).unwrap();
    let prompt = text.replace(
        "retrieve: {model: sentences, query: input.question, ",
        "prompt: {model: sentences, template: x}} #",
    );
    let refused = home.run(["run", "--ephemeral", "-f", &home.file("prompt.yaml", &prompt)]);
    assert!(refused.stderr.contains("embeds texts and writes none"), "{refused:?}");
}

#[test]
fn a_model_that_ranks_is_none_of_a_graph() {
    let home = Home::new();
    let folder = home.path().join("ranks");
    fs::create_dir(&folder).unwrap();
    TinyEmbedder { head: Some(TinyHead::RELEVANCE), ..TinyEmbedder::default() }.write(&folder).unwrap();
    let server = format!(
        "{{model: {{name: ranks, sources: [file: {{path: {}}}]}}, engine: {{candle: {{}}}}}}",
        folder.display()
    );
    let file = manifest(&home, &server, "documents: {inline: [{id: a, text: red}]}");
    let refused = home.run(["run", "--ephemeral", "-f", &file, "--input", "{\"question\": \"red\"}"]);
    assert!(refused.stderr.contains("ranks documents and neither writes nor embeds"), "{refused:?}");
    let sized = home.run(["models", "size", "-f", &file, "--output", "json"]).with(0).json();
    assert_eq!((&sized[0]["architecture"], &sized[0]["contextLength"]), (&json!("bert"), &json!(32)));
}

#[test]
fn the_files_of_a_sentence_model_come_from_a_hub_together() {
    let home = Home::new();
    let hub =
        FakeHub::start(b"{}".to_vec(), &[Plan::Serve, Plan::Serve, Plan::Refuse(404), Plan::Refuse(404)]);
    let mut command = home.command(["models", "pull", "hf:o/n/model.safetensors@v1", "--output", "json"]);
    let pulled = command.env("HF_ENDPOINT", hub.address()).output().unwrap();
    assert!(pulled.status.success(), "{pulled:?}");
    let files = [
        "config.json",
        "tokenizer.json",
        "sentence_bert_config.json",
        "1_pooling/config.json",
        "model.safetensors",
    ];
    let requests = hub.requests();
    assert_eq!(requests.len(), files.len(), "{requests:?}");
    for (request, file) in requests.iter().zip(files) {
        assert!(request.contains(&format!("/o/n/resolve/v1/{file} ")), "{file}: {request}");
    }
    let folder = home.path().join(".cache/superstep/models/hf/o/n/v1");
    assert!(folder.join("tokenizer.json").is_file() && folder.join("model.safetensors").is_file());
}

#[test]
fn a_real_model_finds_what_is_said_in_other_words() {
    let Some(folder) = present_model("all-MiniLM-L6-v2") else { return };
    let home = Home::new();
    let server = format!(
        "{{model: {{name: m, sources: [file: {{path: {}}}]}}, engine: {{candle: {{}}}}}}",
        folder.display()
    );
    let documents = "documents: {inline: [
      {id: refunds, text: Customers get their money back within two weeks.},
      {id: shipping, text: Parcels leave our warehouse every morning.},
      {id: office, text: The kitchen is cleaned on Fridays.}]}";
    let file = manifest(&home, &server, documents);
    let found = home.run([
        "run",
        "--ephemeral",
        "-f",
        &file,
        "--input",
        "{\"question\": \"How long does a refund take?\"}",
    ]);
    let found = found.with(0).json();
    assert_eq!(ids(&found)[0], "refunds", "{found}");
    let score = |at: usize| found["library"]["matches"][at]["score"].as_f64().unwrap();
    assert!(score(0) > 0.4 && score(2) < 0.2, "{found}");
}
