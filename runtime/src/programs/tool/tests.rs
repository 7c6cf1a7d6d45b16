use std::sync::Arc;

use superstep_engine::FailureClass;

use super::*;
use crate::calls::tests::{perform_all, runner};
use crate::programs::Programs;
use crate::programs::tests::given::{ClosureTool, activation, output, tools, vertex, weather};
use crate::tool::Tool;
use crate::tools::Tools;

async fn run(program: Value, payloads: &[Value]) -> Result<Value, Failure> {
    let programs = Programs::default().with_tools(tools([weather()]));
    let vertex = vertex(json!({"name": "ask", "tool": program}));
    let (calls, _told) = runner(perform_all);
    let program = programs.for_vertex(&vertex).unwrap();
    output(program.start(activation(&vertex, payloads, calls)).outcome().await)
}

#[tokio::test]
async fn the_answer_of_a_tool_is_the_payload() {
    let rome = json!({"city": "Rome", "celsius": 7});
    for (program, payloads) in [
        (json!({"name": "weather", "arguments": "{'city': message.place}"}), vec![json!({"place": "Rome"})]),
        (json!({"name": "weather"}), vec![json!({"city": "Rome"})]),
    ] {
        assert_eq!(run(program.clone(), &payloads).await.as_ref(), Ok(&rome), "{program}");
    }
}

#[tokio::test]
async fn one_of_the_tools_of_a_server_is_called() {
    let named = |name: &str| {
        let answer = name.to_owned();
        Arc::new(ClosureTool::new(name, json!({"type": "object"}), move |_| Ok(json!(answer))))
            as Arc<dyn Tool>
    };
    let mut tools = Tools::default();
    tools.insert("docs", [named("search"), named("read")]).unwrap();
    let programs = Programs::default().with_tools(tools);
    for name in ["search", "read"] {
        let vertex = vertex(json!({"name": "ask", "tool": {"name": "docs", "mcpTool": name}}));
        let (calls, _told) = runner(perform_all);
        let program = programs.for_vertex(&vertex).unwrap();
        let outcome = program.start(activation(&vertex, &[], calls)).outcome().await;
        assert_eq!(output(outcome).unwrap(), json!(name));
    }
    let either = programs.check(&vertex(json!({"name": "ask", "tool": {"name": "docs"}}))).unwrap_err();
    assert!(either.to_string().contains("search"), "{either}");
}

#[tokio::test]
async fn arguments_that_do_not_fit_and_failures_of_the_tool_name_what_failed() {
    for (arguments, class, parts) in [
        ("{'city': 5}", FailureClass::Permanent, ["weather", "/city"]),
        ("{'town': 'Rome'}", FailureClass::Permanent, ["weather", "\"city\""]),
        ("'Rome'", FailureClass::Permanent, ["weather", "no object"]),
        ("{'city': 'Atlantis'}", FailureClass::Permanent, ["weather", "no such city"]),
        ("{'city': 'Babel'}", FailureClass::Transient, ["weather", "busy"]),
    ] {
        let failure = run(json!({"name": "weather", "arguments": arguments}), &[]).await.unwrap_err();
        assert_eq!(failure.class, class, "{arguments}");
        assert!(parts.iter().all(|part| failure.message.contains(part)), "{arguments}: {failure}");
    }
    let without = run(json!({"name": "weather"}), &[]).await.unwrap_err();
    assert!(without.message.contains("\"city\""), "{without}");
}

#[tokio::test]
async fn a_call_is_made_with_a_key_and_is_as_repeatable_as_its_tool() {
    for idempotent in [true, false] {
        let mut tool = weather();
        Arc::get_mut(&mut tool).unwrap().idempotent = idempotent;
        let programs = Programs::default().with_tools(tools([Arc::clone(&tool)]));
        let vertex = vertex(json!({"name": "ask", "tool": {"name": "weather"}}));
        let (calls, told) = runner(move |ordinal, request| {
            assert_eq!((request.repeatable, request.reserve.calls), (idempotent, 1));
            assert_eq!(request.target, "tool weather");
            perform_all(ordinal, request)
        });
        let program = programs.for_vertex(&vertex).unwrap();
        program.start(activation(&vertex, &[json!({"city": "Rome"})], calls)).outcome().await;
        assert_eq!(tool.called.lock().unwrap()[0].idempotency_key, "key-0");
        assert_eq!(told.await.unwrap()[1].1.as_ref().unwrap().usage.calls, 1);
    }
}

#[test]
fn a_tool_that_is_not_there_is_named_before_the_run() {
    let programs = Programs::default().with_tools(tools([weather()]));
    for (program, part) in [
        (json!({"name": "wether"}), "\"weather\""),
        (json!({"name": "weather", "mcpTool": "wether"}), "\"weather\""),
        (json!({"name": "weather", "arguments": "1 +"}), "tool.arguments"),
    ] {
        let error = programs.check(&vertex(json!({"name": "ask", "tool": program}))).unwrap_err();
        assert!(error.to_string().contains(part), "{error}");
    }
}
