use std::sync::Arc;

use serde_json::json;
use superstep_graph::Sampling;

use super::*;
use crate::model::{ChatMessage, Role};

fn request(vertex: &str, text: &str, schema: Option<Value>) -> ModelRequest {
    ModelRequest {
        vertex: vertex.into(),
        messages: vec![ChatMessage::new(Role::User, text)].into(),
        tools: Arc::default(),
        sampling: Sampling::default(),
        seed: 0,
        schema: schema.map(Arc::new),
        idempotency_key: String::new(),
    }
}

async fn answer(script: Value, request: ModelRequest) -> Result<String, Failure> {
    let model = Scripted::new(serde_json::from_value(script).unwrap());
    model.generate(request, None).await.map(|answer| answer.text)
}

#[tokio::test]
async fn the_first_rule_that_matches_answers() {
    let script = json!({
        "rules": [
            {"contains": "crash", "vertex": "sort", "answer": {"kind": "bug"}},
            {"contains": "crash", "answer": "sorry"},
            {"vertex": "sort", "answer": "sorted"},
        ],
        "otherwise": "what?",
    });
    for (vertex, text, expected) in [
        ("sort", "a crash", "{\"kind\":\"bug\"}"),
        ("reply", "a crash", "sorry"),
        ("sort", "fine", "sorted"),
        ("reply", "fine", "what?"),
    ] {
        assert_eq!(answer(script.clone(), request(vertex, text, None)).await.unwrap(), expected);
    }
}

#[tokio::test]
async fn without_a_rule_the_smallest_instance_of_the_schema_answers() {
    let schema = json!({"type": "object", "required": ["grade"], "properties": {"grade": {"minimum": 1}}});
    assert_eq!(answer(json!({}), request("judge", "x", Some(schema))).await.unwrap(), "{\"grade\":1}");
    assert_eq!(
        answer(json!({}), request("judge", "x", None)).await.unwrap_err().class,
        FailureClass::Permanent
    );
}

#[tokio::test]
async fn failures_come_before_the_answer_and_end() {
    let script = json!({"rules": [{"answer": "ok", "fail": {"times": 2, "message": "busy"}}]});
    let model = Scripted::new(serde_json::from_value(script).unwrap());
    for fails in [true, true, false, false] {
        assert_eq!(model.generate(request("a", "x", None), None).await.is_err(), fails);
    }
}

#[tokio::test]
async fn an_answer_ends_at_the_most_tokens_allowed() {
    let model = Scripted::new(serde_json::from_value(json!({"otherwise": "ééééé"})).unwrap());
    let mut request = request("a", "x", None);
    request.sampling.max_tokens = Some(1);
    let reserve = model.reserve(&request);
    let answer = model.generate(request, None).await.unwrap();
    assert_eq!((answer.text.as_str(), answer.finish), ("éé", Finish::Length));
    assert!(answer.usage.completion_tokens <= reserve.completion_tokens);
}

#[test]
fn unknown_fields_are_refused() {
    for script in [json!({"rule": []}), json!({"rules": [{"answer": 1, "contain": "x"}]})] {
        assert!(serde_json::from_value::<ScriptedModel>(script).is_err());
    }
}

fn called(name: &str) -> Vec<ChatMessage> {
    let call = ToolCall { id: "1".to_owned(), name: name.to_owned(), arguments: json!({}) };
    let said = ChatMessage::new(Role::Assistant, "");
    let answered = ChatMessage::new(Role::Tool, "7 degrees");
    vec![
        ChatMessage { tool_calls: vec![call], ..said },
        ChatMessage { answers: Some("1".to_owned()), ..answered },
    ]
}

#[tokio::test]
async fn a_conversation_with_tools_is_scripted_by_turn_and_tool() {
    let script = json!({"rules": [
        {"turn": 1, "calls": [{"name": "weather", "arguments": {"city": "Rome"}}, {"name": "now"}]},
        {"tool": "weather", "last": "7 degrees", "answer": "cold"},
        {"tool": "now", "answer": "late"},
    ]});
    let model = Scripted::new(serde_json::from_value(script).unwrap());
    assert!(model.calls_tools());
    let first = model.generate(request("a", "x", None), None).await.unwrap();
    let calls: Vec<_> =
        first.tool_calls.iter().map(|call| (call.id.as_str(), call.arguments.clone())).collect();
    assert_eq!(calls, [("call_1_0", json!({"city": "Rome"})), ("call_1_1", json!({}))]);
    assert!(first.text.is_empty() && first.usage.completion_tokens > 0);
    for (tool, expected) in [("weather", "cold"), ("now", "late")] {
        let mut request = request("a", "x", None);
        Arc::make_mut(&mut request.messages).extend(called(tool));
        assert_eq!(model.generate(request, None).await.unwrap().text, expected);
    }
}

#[test]
fn a_rule_that_says_nothing_is_a_mistake() {
    let script: ScriptedModel =
        serde_json::from_value(json!({"rules": [{"answer": "x"}, {"turn": 1}]})).unwrap();
    let problems = script.problems();
    assert_eq!(problems.len(), 1);
    assert_eq!(problems[0].path.to_string(), "rules[1]");
}

#[tokio::test(start_paused = true)]
async fn text_is_told_in_the_time_that_its_tokens_take() {
    let script = json!({"otherwise": "one two three", "latency": "1s", "tokenLatency": "100ms"});
    let model = Scripted::new(serde_json::from_value(script).unwrap());
    let begun = tokio::time::Instant::now();
    let heard = Arc::new(std::sync::Mutex::new(Vec::new()));
    let hearing = Arc::clone(&heard);
    let on_text: OnText = Arc::new(move |text| {
        hearing.lock().unwrap().push((text.to_owned(), begun.elapsed().as_millis()));
    });
    model.generate(request("a", "x", None), Some(on_text)).await.unwrap();
    let expected = [("one ", 1_100), ("two ", 1_200), ("three", 1_400)];
    let heard = heard.lock().unwrap();
    let heard: Vec<_> = heard.iter().map(|(text, at)| (text.as_str(), *at)).collect();
    assert_eq!(heard, expected);
}
