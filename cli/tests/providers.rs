//! Models of providers, from a manifest to the result: a fake stands in for each provider.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use tokio::runtime::Runtime;
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use crate::command::{Ended, Home, Running};

const SECRET: &str = "sk-very-secret-1234";

/// A provider that answers with what `answer` says.
pub(crate) struct Fake {
    runtime: Runtime,
    server: MockServer,
}

impl Fake {
    pub(crate) fn new(answer: impl Fn(&Value) -> ResponseTemplate + Send + Sync + 'static) -> Self {
        let runtime = Runtime::new().unwrap();
        let server = runtime.block_on(async {
            let server = MockServer::start().await;
            Mock::given(method("POST"))
                .and(path("/v1/chat/completions"))
                .respond_with(move |request: &Request| answer(&request.body_json().unwrap()))
                .mount(&server)
                .await;
            server
        });
        Self { runtime, server }
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.runtime.block_on(self.server.received_requests()).unwrap()
    }

    pub(crate) fn base_url(&self) -> String {
        format!("{}/v1", self.server.uri())
    }

    /// The fields of a model at this provider.
    fn model(&self, model: &str) -> Value {
        json!({"provider": "OpenAI", "model": model, "baseUrl": self.base_url(),
            "credentialRef": {"name": "openai", "key": "apiKey"}})
    }
}

pub(crate) fn completion(text: &str) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(json!({
        "id": "chatcmpl-1", "object": "chat.completion", "model": "gpt-4o-mini",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}],
        "usage": {"prompt_tokens": 9, "completion_tokens": 12, "total_tokens": 21},
    }))
}

fn exhausted() -> ResponseTemplate {
    ResponseTemplate::new(429).set_body_json(json!({"error": {
        "message": "You exceeded your current quota, please check your plan and billing details.",
        "type": "insufficient_quota", "param": null, "code": "insufficient_quota"}}))
}

/// A graph of one prompt to the first of `models`.
fn graph(models: Value, more: Value) -> String {
    let mut vertex = json!({"name": "ask", "prompt": {"model": models[0]["name"], "template": "Hello"}});
    vertex.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({"apiVersion": "superstep.dev/v1alpha1", "kind": "AgentGraph", "metadata": {"name": "a"},
        "spec": {"entry": ["ask"], "models": models, "vertices": [vertex]}})
    .to_string()
}

fn run(home: &Home, graph: &str, more: &[&str]) -> Ended {
    let file = home.file("graph.json", graph);
    let arguments = [&["run", "-f", &file, "--run-id", "r"], more].concat();
    let mut command: Command = home.command(arguments);
    Running::start(command.env("OPENAI_API_KEY", SECRET)).end()
}

/// Whether any file below the home has the secret in it.
fn is_kept(home: &Home) -> bool {
    let mut work = vec![home.path().to_owned()];
    while let Some(place) = work.pop() {
        if place.is_dir() {
            work.extend(std::fs::read_dir(place).unwrap().map(|entry| entry.unwrap().path()));
        } else if String::from_utf8_lossy(&std::fs::read(place).unwrap()).contains(SECRET) {
            return true;
        }
    }
    false
}

#[test]
fn a_prompt_is_answered_and_charged_and_the_credential_shown_nowhere() {
    let fake = Fake::new(|_| completion("Hi"));
    let mut model = fake.model("gpt-4o-mini");
    model["prices"] = json!({"promptPerMillion": 1_000_000.0, "completionPerMillion": 2_000_000.0});
    let home = Home::new();
    let ended = run(&home, &graph(json!([{"name": "cloud", "external": model}]), json!({})), &[]).with(0);
    assert_eq!(ended.json(), json!({"ask": {"text": "Hi"}}));
    let inspected = home.line("inspect r --output json").with(0);
    assert!(inspected.stdout.contains("33.0"), "{}", inspected.stdout);
    let request = &fake.requests()[0];
    assert_eq!(request.headers["authorization"], format!("Bearer {SECRET}").as_str());
    assert!(!is_kept(&home));
}

#[test]
fn a_model_server_can_be_a_provider_and_its_text_is_shown_as_it_comes() {
    let fake = Fake::new(|request| {
        assert_eq!(request["stream"], true);
        let events = ["One ", "two"].map(
            |text| json!({"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": null}]}),
        );
        let end = json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]});
        let body: String = events.iter().chain([&end]).map(|event| format!("data: {event}\n\n")).collect();
        ResponseTemplate::new(200).set_body_raw(body + "data: [DONE]\n\n", "text/event-stream")
    });
    let server = json!({"apiVersion": "superstep.dev/v1alpha1", "kind": "ModelServer", "metadata": {"name": "s"},
        "spec": {"engine": {"external": fake.model("m")}}});
    let graph = graph(json!([{"name": "cloud", "modelServerRef": {"name": "s"}}]), json!({}));
    let text = format!("{server}\n---\n{graph}");
    let home = Home::new();
    let ended = run(&home, &text, &["--progress", "always"]).with(0);
    assert_eq!(ended.json(), json!({"ask": {"text": "One two"}}));
}

#[test]
fn without_its_credential_a_run_does_not_begin() {
    let home = Home::new();
    let model =
        json!({"provider": "Anthropic", "model": "m", "credentialRef": {"name": "claude", "key": "apiKey"}});
    let ended = run(&home, &graph(json!([{"name": "cloud", "external": model}]), json!({})), &[]).with(6);
    ended
        .saying("model \"cloud\" needs the environment variable CLAUDE_API_KEY, which is not set")
        .saying("credentialRef");
    assert_eq!(home.records("r").len(), 0);
}

#[test]
fn an_exhausted_quota_is_called_once_however_many_vertices_ask() {
    let fake = Fake::new(|_| exhausted());
    let items: Vec<u32> = (0..133).collect();
    let spec = json!({"entry": ["list"],
        "models": [{"name": "cloud", "external": fake.model("gpt-4o-mini")}],
        "vertices": [
            {"name": "list", "function": {"cel": format!("{items:?}")}},
            {"name": "ask", "forEach": {}, "onFailure": "Ignore", "prompt": {"model": "cloud", "template": "Hello"}},
        ],
        "edges": [{"from": "list", "to": "ask"}]});
    let graph = json!({"apiVersion": "superstep.dev/v1alpha1", "kind": "AgentGraph", "metadata": {"name": "a"},
        "spec": spec});
    let home = Home::new();
    run(&home, &graph.to_string(), &[]);
    assert_eq!(fake.requests().len(), 1);
}

#[test]
fn a_fallback_answers_at_its_price_and_the_log_says_so() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let fake = Fake::new(move |request| {
        if request["model"] == "large" {
            count.fetch_add(1, Ordering::Relaxed);
            exhausted()
        } else {
            completion("small but here")
        }
    });
    let mut tiny = fake.model("tiny");
    tiny["credentialRef"]["name"] = json!("other");
    tiny["prices"] = json!({"promptPerMillion": 1_000_000.0, "completionPerMillion": 0.0});
    let models = json!([
        {"name": "large", "external": fake.model("large"), "fallbacks": ["tiny"]},
        {"name": "tiny", "external": tiny},
    ]);
    let home = Home::new();
    let file = home.file("graph.json", &graph(models, json!({})));
    let mut command = home.command(["run", "-f", &file, "--run-id", "r"]);
    command.env("OPENAI_API_KEY", SECRET).env("OTHER_API_KEY", "sk-other");
    let ended = Running::start(&mut command).end().with(0);
    assert_eq!(ended.json(), json!({"ask": {"text": "small but here"}}));
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    let inspected = home.line("inspect r --output json").with(0);
    assert!(inspected.stdout.contains("9.0"), "{}", inspected.stdout);
    let outcomes = format!("{:?}", home.records("r"));
    assert!(outcomes.contains("\"model\": String(\"tiny\")"), "{outcomes}");
}

#[test]
fn an_error_names_the_model_the_cause_and_the_fix_and_not_the_credential() {
    let fake = Fake::new(|_| {
        let message = format!("Incorrect API key provided: {SECRET}.");
        ResponseTemplate::new(401)
            .set_body_json(json!({"error": {"message": message, "type": "invalid_request_error", "code": "invalid_api_key"}}))
    });
    let home = Home::new();
    let graph = graph(json!([{"name": "cloud", "external": fake.model("gpt-4o-mini")}]), json!({}));
    let ended = run(&home, &graph, &["--progress", "always"]).with(1);
    for part in ["model \"cloud\" (OpenAI gpt-4o-mini)", "401", "set OPENAI_API_KEY to a key"] {
        assert!(ended.stderr.contains(part), "{}", ended.stderr);
    }
    assert!(!ended.stderr.contains(SECRET) && !ended.stdout.contains(SECRET) && !is_kept(&home));
    assert_eq!(fake.requests().len(), 1);
}
