//! Models that are served: by the command, by a worker, and to graphs.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::Signal;
use serde_json::{Value, json};
use superstep_inference::testing::{TinyEmbedder, TinyHead, TinyModel};

use crate::command::{Ended, Home, Running, until};

/// The two programs that serve.
const PROGRAMS: [&str; 2] = ["superstep", "superstep-worker"];
/// How the quickstart names its model.
const IN_PROCESS: &str = "- {name: small, modelServerRef: {name: small}}";

/// A server that ends with the test.
struct Serving {
    running: Running,
    /// Where its API is.
    url: String,
    log: PathBuf,
}

impl Serving {
    fn start<S: AsRef<OsStr>>(home: &Home, program: &str, arguments: impl IntoIterator<Item = S>) -> Self {
        let log = home.path().join(format!("{program}.log"));
        let mut command = command(home, program);
        command.args(["serve", "--listen", "127.0.0.1:0"]).args(arguments);
        let running = Running::start(command.stderr(File::create(&log).unwrap()));
        let told = || fs::read_to_string(&log).unwrap();
        until("the model is served", || told().contains(" is served at "));
        let told = told();
        let (_, url) = told.split_once(" is served at ").unwrap();
        let url = url.split_whitespace().next().unwrap().to_owned();
        Self { running, url, log }
    }

    /// The body of what is got from a path beside the API.
    fn get(&self, path: &str) -> String {
        self.ask(&format!("GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n"))
    }

    /// What comes of a body that is posted.
    fn post(&self, path: &str, body: &Value) -> Value {
        let body = body.to_string();
        let head = format!("host: test\r\nconnection: close\r\ncontent-length: {}", body.len());
        let answer = self.ask(&format!("POST {path} HTTP/1.1\r\n{head}\r\n\r\n{body}"));
        serde_json::from_str(&answer).unwrap()
    }

    fn ask(&self, request: &str) -> String {
        let address = self.url.trim_start_matches("http://").trim_end_matches("/v1");
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).unwrap();
        assert!(response.starts_with("HTTP/1.1 200 "), "{response}");
        response.split_once("\r\n\r\n").unwrap().1.to_owned()
    }

    /// Asks it to end, and expects that it does so well.
    fn end(self) {
        self.running.signal(Signal::TERM);
        self.running.end().with(0);
        let log = fs::read_to_string(&self.log).unwrap();
        assert!(!log.contains('\u{1b}') && !log.contains("ERROR"), "{log}");
    }
}

fn command(home: &Home, program: &str) -> Command {
    let path = Path::new(env!("CARGO_BIN_EXE_superstep")).with_file_name(program);
    assert!(path.exists(), "{} is there, as a build of the workspace builds it", path.display());
    let plain = home.command::<&str>([]);
    let mut command = Command::new(path);
    command.env_clear().envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.env("SUPERSTEP_MODEL", home.path().join("tiny.gguf")).env("SUPERSTEP_MODEL_SHA256", "");
    command.stdin(std::process::Stdio::null()).stdout(std::process::Stdio::piped());
    command.stderr(std::process::Stdio::piped());
    command
}

/// The quickstart with a tiny model in place of its own: the document of the model, and that of the graph.
pub(crate) fn quickstart(home: &Home) -> (String, String) {
    let tiny = TinyModel { context_length: 2048, ..TinyModel::default() };
    tiny.write(&home.path().join("tiny.gguf")).unwrap();
    let text = fs::read_to_string("../manifests/quickstart/graph.yaml").unwrap();
    let (model, graph) = text.split_once("\n---\n").unwrap();
    (model.to_owned(), graph.to_owned())
}

fn ran(home: &Home, graph: &str, input: &str, run: &str) -> Value {
    let mut command = command(home, "superstep");
    command.args(["run", "-f", graph, "--input", input, "--run-id", run, "--progress", "never"]);
    Running::start(&mut command).end().with(0);
    let mut told = home.run(["inspect", run, "--output", "json"]).with(0).json();
    // The graph names its model otherwise, the runs do not take the same time, and calls of one superstep begin in
    // any order.
    told.as_object_mut().unwrap().remove("run");
    told["summary"].as_object_mut().unwrap().remove("seconds");
    for superstep in told["supersteps"].as_array_mut().unwrap() {
        superstep.as_object_mut().unwrap().remove("revision");
    }
    sort_calls(&mut told);
    told
}

/// Puts what `inspect` tells into an order that does not depend on how long things take.
pub(crate) fn sort_calls(told: &mut Value) {
    for superstep in told["supersteps"].as_array_mut().unwrap() {
        let calls = superstep.get_mut("calls").and_then(Value::as_array_mut);
        calls.into_iter().for_each(|calls| calls.sort_by_key(|call| call["activation"].to_string()));
    }
}

#[test]
fn the_quickstart_comes_to_the_same_with_its_model_served() {
    let home = Home::new();
    let (model, graph) = quickstart(&home);
    let together = home.file("together.yaml", &format!("{model}\n---\n{graph}"));
    let served = home.file("model.yaml", &model);
    let inputs = ["The app crashes when I save.", "I want to cancel, for your invoices are wrong!"];
    let inputs = inputs.map(|text| json!({"text": text}).to_string());
    let here: Vec<Value> =
        (0..).zip(&inputs).map(|(n, input)| ran(&home, &together, input, &format!("here-{n}"))).collect();
    // Drafts are drawn, and everything else is held to a schema.
    assert!(here[0]["summary"]["calls"].as_u64().unwrap() >= 5, "{}", here[0]);
    for program in PROGRAMS {
        let serving = Serving::start(&home, program, ["--file", &served]);
        let external = format!(
            "- {{name: small, external: {{provider: Superstep, model: smollm2-135m-instruct, baseUrl: {:?}, callsTools: false}}}}",
            serving.url
        );
        assert!(graph.contains(IN_PROCESS));
        let remote = home.file(&format!("{program}.yaml"), &graph.replace(IN_PROCESS, &external));
        for (number, (input, here)) in inputs.iter().zip(&here).enumerate() {
            let there = ran(&home, &remote, input, &format!("{program}-{number}"));
            assert_eq!(&there, here, "with the model served by {program}");
        }
        let metrics = serving.get("/metrics");
        assert!(
            metrics.contains("vllm:num_requests_running{model_name=\"smollm2-135m-instruct\"} 0"),
            "{metrics}"
        );
        serving.end();
    }
}

#[test]
fn others_that_speak_openais_protocol_run_the_quickstart_too() {
    let home = Home::new();
    let (model, graph) = quickstart(&home);
    let served = home.file("model.yaml", &model);
    let serving = Serving::start(&home, "superstep", ["-f", &served]);
    let external = format!(
        "- {{name: small, external: {{provider: OpenAICompatible, model: small, baseUrl: {:?}}}}}",
        serving.url
    );
    let remote = home.file("remote.yaml", &graph.replace(IN_PROCESS, &external));
    let told = ran(&home, &remote, r#"{"text": "The app crashes."}"#, "compatible");
    assert_eq!(told["summary"]["status"], "succeeded");
    serving.end();
}

#[test]
fn a_model_is_served_without_a_document() {
    let home = Home::new();
    quickstart(&home);
    let file = home.path().join("tiny.gguf");
    let file = file.to_str().unwrap();
    for program in PROGRAMS {
        let named = ["--model", file, "--name", "some/model", "--context-length", "64"];
        let serving = Serving::start(&home, program, named);
        let models: Value = serde_json::from_str(&serving.get("/v1/models")).unwrap();
        assert_eq!(models["data"][0]["id"], "some/model");
        assert_eq!(serving.get("/readyz"), "ok\n");
        serving.end();
        let serving = Serving::start(&home, program, ["-m", file]);
        let models: Value = serde_json::from_str(&serving.get("/v1/models")).unwrap();
        assert_eq!(models["data"][0]["id"], "tiny");
        serving.end();
    }
}

#[test]
fn a_folder_of_a_cross_encoder_is_served() {
    let home = Home::new();
    let folder = home.path().join("ranks");
    fs::create_dir(&folder).unwrap();
    TinyEmbedder { head: Some(TinyHead::RELEVANCE), ..TinyEmbedder::default() }.write(&folder).unwrap();
    let mut answers = Vec::new();
    for program in PROGRAMS {
        let serving = Serving::start(&home, program, ["-m", folder.to_str().unwrap()]);
        let body = json!({"model": "ranks", "query": "red", "documents": ["blue", "a red"]});
        answers.push(serving.post("/v1/rerank", &body)["results"].clone());
        serving.end();
    }
    assert_eq!((answers[0].as_array().unwrap().len(), &answers[0]), (2, &answers[1]));
}

#[test]
fn what_cannot_be_served_is_said_before_anything_is_served() {
    let home = Home::new();
    let server = |name: &str| {
        json!({"apiVersion": "superstep.dev/v1alpha1", "kind": "ModelServer", "metadata": {"name": name},
            "spec": {"engine": {"scripted": {"otherwise": "x"}}}})
        .to_string()
    };
    let two = home.file("two.yaml", &format!("{}\n---\n{}", server("a"), server("b")));
    let broken = home.file("broken.yaml", &server("a").replace("scripted", "scriptd"));
    let served = |program: &str, arguments: &[&str]| -> Ended {
        let mut command = command(&home, program);
        command.args(["serve", "--listen", "127.0.0.1:0"]).args(arguments);
        Running::start(&mut command).end()
    };
    for (program, unusable) in PROGRAMS.into_iter().zip([6, 1]) {
        served(program, &["-f", &two]).with(2).saying("choose one with --name NAME: a, b");
        served(program, &["-f", &two, "--name", "c"]).with(2).saying("no ModelServer \"c\"");
        served(program, &["-f", &broken]).with(2).saying("scriptd");
        served(program, &["--model", "absent.gguf"]).with(unusable).saying("absent.gguf is no file");
        served(program, &[]).with(2).saying("--file <FILE>");
    }
    let serving = Serving::start(&home, "superstep-worker", ["-f", &two, "--name", "b"]);
    assert!(serving.get("/v1/models").contains("\"b\""));
    serving.end();
    let worker = |arguments: &[&str]| {
        let mut command = command(&home, "superstep-worker");
        Running::start(command.args(arguments)).end()
    };
    worker(&[]).with(2).saying("--store <URL>");
    worker(&["--name", "a"]).with(2).saying("--store");
}
