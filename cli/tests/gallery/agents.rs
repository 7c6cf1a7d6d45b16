//! Tools, and people.

use std::fs;

use serde_json::{Value, json};
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::{Played, command, play};
use crate::command::{Ended, Home};

#[test]
fn an_agent_calls_one_tool_after_the_other_and_mends_what_the_schema_refuses() {
    let played = play("tool-agent");
    assert_eq!(played.result, json!({"assistant": {"celsius": 24, "why": "It snows in Oslo."}}));
    // Four answers of the model and two calls of tools: the heating of 40 degrees was never set.
    assert_eq!((played.total("calls"), played.total("supersteps")), (6, 1));
}

/// A weather service, and the example with its address.
async fn with_a_service() -> (MockServer, Home, String) {
    let server = MockServer::start().await;
    let weather = |celsius: i64| ResponseTemplate::new(200).set_body_json(json!({"celsius": celsius}));
    for (city, celsius) in [("Oslo", -7), ("Rome", 16)] {
        let asked = Mock::given(method("GET")).and(path(format!("/weather/{city}.json")));
        asked.respond_with(weather(celsius)).expect(1).mount(&server).await;
    }
    let home = Home::new();
    let graph = fs::read_to_string("../manifests/examples/http-tool/graph.yaml").unwrap();
    let address = server.address().to_string();
    let graph = home.file("graph.yaml", &graph.replace("127.0.0.1:8642", &address));
    (server, home, graph)
}

fn asked(home: &Home, graph: &str) -> Ended {
    let folder = "manifests/examples/http-tool";
    let (script, input) = (format!("{folder}/script.yaml"), format!("@{folder}/input.json"));
    command(home, &["run", "-f", graph, &script, "--input", &input, "--run-id", "a"])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vertex_and_an_agent_call_the_same_service() {
    let (server, home, graph) = with_a_service().await;
    let result = tokio::task::spawn_blocking(move || {
        let result = asked(&home, &graph).with(0).json();
        let played = Played::of(home, result);
        assert_eq!(played.ran(), ["here there", "compare"]);
        played.result
    });
    assert_eq!(result.await.unwrap(), json!({"compare": {"home": -7, "away": 16, "warmer": "Rome"}}));
    let requests = server.received_requests().await.unwrap();
    let mut paths: Vec<&str> = requests.iter().map(|request| request.url.path()).collect();
    paths.sort_unstable();
    assert_eq!(paths, ["/weather/Atlantis.json", "/weather/Oslo.json", "/weather/Rome.json"]);
    assert!(requests.iter().all(|request| request.headers.contains_key("idempotency-key")));
}

fn left_open() -> (Home, Value) {
    let home = Home::new();
    let folder = "manifests/examples/approval";
    let input = format!("@{folder}/input.txt");
    let line = ["run", "-f", folder, "--input", &input, "--run-id", "a", "--no-input"];
    let asks = "Proposed answer: We are sorry about the kettle.";
    command(&home, &line).with(4).saying(asks).saying("superstep answer a");
    let questions = home.line("answer a").with(0).json();
    (home, questions)
}

#[test]
fn a_person_is_asked_answers_later_and_the_draft_is_paid_for_once() {
    for (answer, vertex, expected) in [
        (
            "{\"approved\": true, \"amount\": 40}",
            "refund",
            json!({"sent": "We are sorry about the kettle.", "refunded": 40}),
        ),
        ("{\"approved\": true}", "refund", json!({"sent": "We are sorry about the kettle.", "refunded": 0})),
        ("{\"approved\": false}", "decline", json!({"sent": "We are sorry about the kettle."})),
    ] {
        let (home, questions) = left_open();
        assert_eq!(questions[0]["vertex"], "approve");
        home.run(["answer", "a", "{\"approved\": true, \"amount\": 4000}"]).with(2).saying("200");
        home.run(["answer", "a", answer]).with(0);
        let result = home.line("resume a").with(0).json();
        assert_eq!(result[vertex], expected);
        let played = Played::of(home, result);
        assert_eq!(played.ran(), ["draft", "", "approve", vertex]);
        assert_eq!(played.total("calls"), 1);
    }
}
