use futures::FutureExt as _;
use superstep_engine::FailureClass;

use super::*;
use crate::calls::tests::{perform_all, runner};
use crate::programs::Programs;
use crate::programs::tests::given::{activation, output, vertex};

async fn run(command: Value) -> (Result<Value, Failure>, Vec<bool>) {
    let vertex = vertex(json!({"name": "f", "function": {"command": command}}));
    let repeatable = Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen = Arc::clone(&repeatable);
    let (calls, told) = runner(move |ordinal, request| {
        seen.lock().unwrap().push(request.repeatable);
        perform_all(ordinal, request)
    });
    let program = Programs::default().for_vertex(&vertex).unwrap();
    let outcome = program.start(activation(&vertex, &[json!({"n": 2})], calls)).outcome().await;
    told.await.unwrap();
    let repeatable = repeatable.lock().unwrap().clone();
    (output(outcome), repeatable)
}

fn shell(script: &str) -> Value {
    json!({"argv": ["/bin/sh", "-c", script]})
}

#[tokio::test]
async fn a_command_sees_what_the_vertex_sees_and_its_output_is_the_payload() {
    let (answer, repeatable) = run(shell("cat")).await;
    let expected = json!({
        "input": {"text": "It crashes."},
        "parameters": {"style": "formal"},
        "messages": [{"from": "a", "port": "out", "payload": {"n": 2}}],
        "from": {"a": {"n": 2}},
        "value": null, "element": null, "aggregates": {}, "superstep": 0,
    });
    assert_eq!((answer, repeatable), (Ok(expected), vec![false]));
    let (answer, _) = run(shell("echo hello")).await;
    assert_eq!(answer, Ok(json!({"text": "hello"})));
    let mut idempotent = shell("echo 1");
    idempotent["idempotent"] = json!(true);
    assert_eq!(run(idempotent).await, (Ok(json!(1)), vec![true]));
}

#[tokio::test]
async fn a_command_that_fails_or_takes_too_long_is_named() {
    let mut slow = shell("sleep 600");
    slow["timeout"] = json!("50ms");
    let mut long = shell("yes");
    long["maxOutputBytes"] = json!(100);
    for (command, part) in [
        (shell("echo no >&2; exit 3"), "no"),
        (slow, "0.05 s"),
        (long, "100 bytes"),
        (json!({"argv": ["/nowhere/at/all"]}), "/nowhere/at/all"),
    ] {
        let failure = run(command.clone()).await.0.unwrap_err();
        assert_eq!(failure.class, FailureClass::Permanent, "{command}");
        assert!(failure.message.contains(part), "{command}: {failure}");
    }
}

#[test]
fn a_function_is_computed_in_one_way() {
    for function in [json!({}), json!({"cel": "1", "command": {"argv": ["date"]}})] {
        let vertex = vertex(json!({"name": "f", "function": function}));
        assert!(Programs::default().check(&vertex).is_err());
    }
}

#[tokio::test]
async fn an_expression_with_a_time_limit_is_evaluated_where_it_can_be_left() {
    let slow = "lists.range(3000).map(a, lists.range(3000).map(b, a * b).size()).size()";
    let vertex = vertex(json!({"name": "f", "timeout": "1s", "function": {"cel": slow}}));
    let program = Programs::default().for_vertex(&vertex).unwrap();
    let (calls, _told) = runner(perform_all);
    match program.start(activation(&vertex, &[], calls)) {
        Execution::Ready(_) => panic!("whoever has the expression evaluated cannot leave it"),
        // It is dropped while the expression is evaluated.
        Execution::Running(running) => assert!(running.now_or_never().is_none()),
    }
    let quick = json!({"name": "f", "timeout": "1s", "function": {"cel": "message.n + 1"}});
    let plain: VertexSpec = serde_json::from_value(quick).unwrap();
    let (calls, _told) = runner(perform_all);
    let program = Programs::default().for_vertex(&plain).unwrap();
    let outcome = program.start(activation(&plain, &[json!({"n": 2})], calls)).outcome().await;
    assert_eq!(output(outcome), Ok(json!(3)));
}
