use std::sync::{Mutex, PoisonError};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use superstep_engine::FailureClass;

use super::*;
use crate::calls::CallDecision;
use crate::calls::tests::{perform_all, runner};
use crate::model::{ModelAnswer, ModelRequest};
use crate::models::Models;
use crate::program::OnText;
use crate::programs::Programs;
use crate::programs::tests::given::{ClosureTool, activation, output, scripted, tools, vertex, weather};

/// Every conversation that a scripted model can lead: with tool calling of its own, and by JSON.
async fn run(
    script: Value,
    agent: Value,
    all: &[Arc<ClosureTool>],
) -> (Result<Value, Failure>, Vec<(String, bool)>) {
    let programs = scripted(script).with_tools(tools(all.iter().cloned()));
    let mut agent = agent;
    agent["model"] = json!("small");
    let vertex = vertex(json!({"name": "assistant", "agent": agent}));
    let targets = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&targets);
    let (calls, _told) = runner(move |ordinal, request| {
        seen.lock().unwrap().push((request.target.clone(), request.repeatable));
        perform_all(ordinal, request)
    });
    let program = programs.for_vertex(&vertex).unwrap();
    let outcome = program.start(activation(&vertex, &[], calls)).outcome().await;
    let targets = targets.lock().unwrap_or_else(PoisonError::into_inner).clone();
    (output(outcome), targets)
}

fn call(city: &str) -> Value {
    json!({"name": "weather", "arguments": {"city": city}})
}

#[tokio::test]
async fn a_model_calls_tools_at_the_same_time_and_then_answers() {
    let native = json!({"rules": [
        {"turn": 1, "contains": "It crashes.", "calls": [call("Rome"), call("Oslo")]},
        {"tool": "weather", "last": "Oslo", "contains": "Rome", "answer": "cold in both"},
    ]});
    let prompted = json!({"rules": [
        {"turn": 1, "contains": "- weather: Does weather.", "answer": {"call": [call("Rome"), call("Oslo")]}},
        {"last": "{\"results\":[{\"name\":\"weather\",\"result\":{\"celsius\":7,\"city\":\"Rome\"}},{\"name\":\"weather\",\"result\":{\"celsius\":7,\"city\":\"Oslo\"}}]}",
            "answer": {"answer": "cold in both"}},
    ]});
    for script in [native, prompted] {
        let tool = weather();
        let (answer, targets) = run(script, json!({"tools": ["weather"]}), &[Arc::clone(&tool)]).await;
        assert_eq!(answer.unwrap(), json!({"text": "cold in both"}));
        assert_eq!(tool.arguments(), [json!({"city": "Rome"}), json!({"city": "Oslo"})]);
        let targets: Vec<&str> = targets.iter().map(|(target, _)| target.as_str()).collect();
        assert_eq!(targets, ["model small", "tool weather", "tool weather", "model small"]);
    }
}

#[tokio::test]
async fn several_tools_are_called_in_sequence() {
    let set = Arc::new(ClosureTool::new(
        "set_temperature",
        json!({"type": "object", "required": ["celsius"], "properties": {"celsius": {"type": "integer"}}}),
        |arguments| Ok(json!(format!("set to {}", arguments["celsius"]))),
    ));
    let script = json!({"rules": [
        {"turn": 1, "calls": [call("Rome")]},
        {"tool": "weather", "calls": [{"name": "set_temperature", "arguments": {"celsius": 21}}]},
        {"tool": "set_temperature", "last": "set to 21", "answer": "warm"},
    ]});
    let (answer, targets) =
        run(script, json!({"tools": ["weather", "set_temperature"]}), &[weather(), set]).await;
    assert_eq!(answer.unwrap(), json!({"text": "warm"}));
    assert_eq!(targets.len(), 5);
}

#[tokio::test]
async fn mistakes_and_failures_go_back_to_the_model() {
    for (wanted, told) in [
        (json!({"name": "wether", "arguments": {}}), "did you mean \\\"weather\\\"?"),
        (json!({"name": "weather", "arguments": {"town": "Rome"}}), "\\\"city\\\" is a required property"),
        (json!({"name": "weather", "arguments": "Rome"}), "are no object"),
        (call("Atlantis"), "no such city"),
    ] {
        let prompted = json!({"rules": [
            {"turn": 1, "answer": {"call": [wanted.clone()]}},
            {"last": told, "answer": {"answer": "sorry"}},
        ]});
        let native = json!({"rules": [
            {"turn": 1, "calls": [wanted.clone()]},
            {"last": told.replace('\\', ""), "answer": "sorry"},
        ]});
        for script in [prompted, native] {
            let (answer, _) = run(script, json!({"tools": ["weather"]}), &[weather()]).await;
            assert_eq!(answer, Ok(json!({"text": "sorry"})), "{wanted}");
        }
    }
}

#[tokio::test]
async fn what_may_pass_is_for_the_engine_to_retry() {
    let script = json!({"rules": [{"turn": 1, "calls": [call("Rome"), call("Babel")]}]});
    let tool = weather();
    let (answer, _) = run(script, json!({"tools": ["weather"]}), &[Arc::clone(&tool)]).await;
    let failure = answer.unwrap_err();
    assert_eq!(failure.class, FailureClass::Transient);
    assert!(failure.message.contains("weather") && failure.message.contains("busy"), "{failure}");
    assert_eq!(tool.arguments().len(), 2, "the other call was made all the same");
}

#[tokio::test]
async fn a_call_that_repeats_itself_is_stopped() {
    let stubborn = json!({"rules": [{"calls": [call("Rome")]}]});
    let tool = weather();
    let (answer, _) = run(stubborn, json!({"tools": ["weather"]}), &[Arc::clone(&tool)]).await;
    let message = answer.unwrap_err().message;
    assert!(message.contains("\"weather\" 4 times") && message.contains("repeatLimit 3"), "{message}");
    assert_eq!(tool.arguments().len(), 2);
    let told =
        json!({"rules": [{"last": "not called: 1 calls", "answer": "fine"}, {"calls": [call("Rome")]}]});
    let (answer, _) = run(told, json!({"tools": ["weather"], "repeatLimit": 2}), &[weather()]).await;
    assert_eq!(answer, Ok(json!({"text": "fine"})));
}

#[tokio::test]
async fn turns_are_counted() {
    let busy = json!({"rules": [
        {"turn": 1, "calls": [call("Rome")]}, {"turn": 2, "calls": [call("Oslo")]}, {"answer": "done"},
    ]});
    let (answer, targets) =
        run(busy.clone(), json!({"tools": ["weather"], "maxTurns": 2}), &[weather()]).await;
    let failure = answer.unwrap_err();
    assert_eq!(failure.class, FailureClass::Permanent);
    assert!(failure.message.contains("maxTurns 2"), "{failure}");
    assert_eq!(targets.len(), 3, "the calls of the last turn are not made");
    let (answer, _) = run(busy, json!({"tools": ["weather"], "maxTurns": 3}), &[weather()]).await;
    assert_eq!(answer, Ok(json!({"text": "done"})));
}

#[tokio::test]
async fn the_answer_is_held_to_a_schema() {
    let schema = json!({"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}});
    let scripts = [
        json!({"rules": [
            {"turn": 1, "contains": "fits this schema", "calls": [call("Rome")]},
            {"last": "not valid", "answer": {"n": 7}}, {"answer": "seven"},
        ]}),
        json!({"rules": [
            {"turn": 1, "contains": "where the answer fits", "answer": {"call": call("Rome")}},
            {"last": "not valid", "answer": {"answer": {"n": 7}}}, {"answer": {"answer": {"n": "seven"}}},
        ]}),
        json!({"rules": [
            {"turn": 1, "answer": {"call": call("Rome")}},
            {"last": "not valid", "answer": "It is\n```json\n{\"answer\": {\"n\": 7}}\n```"}, {"answer": {"call": [{}]}},
        ]}),
    ];
    for script in scripts {
        let agent = json!({"tools": ["weather"], "output": {"schema": schema}});
        let (answer, targets) = run(script.clone(), agent, &[weather()]).await;
        assert_eq!(answer, Ok(json!({"n": 7})), "{script}");
        assert_eq!(targets.len(), 4, "{script}");
    }
    let agent = json!({"output": {"schema": schema}});
    let (answer, targets) = run(json!({"otherwise": "seven"}), agent, &[]).await;
    assert!(answer.unwrap_err().message.contains("no valid answer in 3 calls"));
    assert_eq!(targets.len(), 3);
}

#[tokio::test]
async fn what_cannot_be_asked_fails_without_a_call() {
    let two = Arc::new(ClosureTool::new("weather", json!({}), |_| Ok(Value::Null)));
    let mut all = tools([weather()]);
    all.insert("other", [two as Arc<dyn crate::tool::Tool>]).unwrap();
    let programs = scripted(json!({"otherwise": "x"})).with_tools(all);
    for (agent, part) in [
        (json!({"model": "small", "tools": ["weather", "other"]}), "both offer a tool named"),
        (
            json!({"model": "small", "tools": ["weather"], "toolCalling": "Native"}),
            "no tool calling of its own",
        ),
        (json!({"model": "small", "template": "{{ input.txet }}"}), "input.txet"),
    ] {
        let vertex = vertex(json!({"name": "assistant", "agent": agent}));
        let (calls, told) = runner(perform_all);
        let program = programs.for_vertex(&vertex).unwrap();
        let failure = output(program.start(activation(&vertex, &[], calls)).outcome().await).unwrap_err();
        assert!(failure.message.contains(part), "{failure}");
        assert_eq!(told.await.unwrap(), []);
    }
}

#[tokio::test]
async fn without_a_template_the_model_is_told_what_came() {
    for (payload, said) in [
        (json!("hello"), "hello"),
        (json!({"text": "hello"}), "hello"),
        (json!({"text": "hello", "n": 1}), "\"n\":1"),
        (json!({"text": 1}), "{\"text\":1}"),
    ] {
        let programs = scripted(json!({"rules": [{"last": said, "answer": "heard"}]}));
        let vertex = vertex(json!({"name": "assistant", "agent": {"model": "small"}}));
        let (calls, _told) = runner(perform_all);
        let program = programs.for_vertex(&vertex).unwrap();
        let outcome = program.start(activation(&vertex, &[payload], calls)).outcome().await;
        assert_eq!(output(outcome), Ok(json!({"text": "heard"})));
    }
}

#[tokio::test]
async fn the_turns_before_come_to_the_model_before_what_is_asked() {
    let script =
        json!({"rules": [{"turn": 2, "contains": "I am Ada", "answer": "Ada"}], "otherwise": "who?"});
    let programs = scripted(script);
    for (history, answer) in
        [("[{'user': 'I am Ada.', 'assistant': 'Hello.'}]", "Ada"), ("[]", "who?"), ("null", "who?")]
    {
        let agent = json!({"model": "small", "history": history, "template": "Who am I?"});
        let vertex = vertex(json!({"name": "assistant", "agent": agent}));
        let (calls, _told) = runner(perform_all);
        let program = programs.for_vertex(&vertex).unwrap();
        let outcome = program.start(activation(&vertex, &[], calls)).outcome().await;
        assert_eq!(output(outcome), Ok(json!({"text": answer})), "{history}");
    }
}

#[tokio::test]
async fn a_conversation_is_had_again_from_its_recorded_calls() {
    let script = json!({"rules": [
        {"turn": 1, "calls": [call("Rome"), call("Oslo")]}, {"tool": "weather", "answer": "cold"},
    ]});
    let tool = weather();
    let programs = scripted(script).with_tools(tools([Arc::clone(&tool)]));
    let vertex = vertex(json!({"name": "assistant", "agent": {"model": "small", "tools": ["weather"]}}));
    let program = programs.for_vertex(&vertex).unwrap();
    let (calls, told) = runner(perform_all);
    program.start(activation(&vertex, &[], calls)).outcome().await;
    let mut outcomes: std::collections::BTreeMap<_, _> =
        told.await.unwrap().into_iter().filter_map(|(ordinal, outcome)| Some((ordinal, outcome?))).collect();
    assert_eq!(outcomes.len(), 4);
    // The last call of the model is all that the log lacks.
    outcomes.remove(&3);
    let (calls, told) = runner(move |ordinal, request| match outcomes.get(&ordinal) {
        Some(outcome) => CallDecision::Reuse(outcome.clone()),
        None => perform_all(ordinal, request),
    });
    let outcome = program.start(activation(&vertex, &[], calls)).outcome().await;
    assert_eq!(output(outcome), Ok(json!({"text": "cold"})));
    assert_eq!(tool.arguments().len(), 2, "a tool was called again");
    assert_eq!(told.await.unwrap().iter().filter(|(_, outcome)| outcome.is_some()).count(), 1);
}

#[tokio::test]
async fn a_call_that_must_not_be_made_fails_the_agent() {
    let script = json!({"rules": [{"turn": 1, "calls": [call("Rome")]}, {"answer": "went on"}]});
    let programs = scripted(script).with_tools(tools([weather()]));
    let vertex = vertex(json!({"name": "assistant", "agent": {"model": "small", "tools": ["weather"]}}));
    let (calls, _told) = runner(|ordinal, request| match ordinal {
        1 => CallDecision::Refused(Failure::permanent("what became of it is unknown")),
        _ => perform_all(ordinal, request),
    });
    let program = programs.for_vertex(&vertex).unwrap();
    let failure = output(program.start(activation(&vertex, &[], calls)).outcome().await).unwrap_err();
    assert_eq!(failure.message, "what became of it is unknown");
}

/// A model that thinks before it calls a tool, and before an answer that does not fit; its provider wants
/// the thoughts back.
struct Thinking(Mutex<Vec<ModelRequest>>);

impl Model for Thinking {
    fn calls_tools(&self) -> bool {
        true
    }

    fn generate(
        &self,
        request: ModelRequest,
        _: Option<OnText>,
    ) -> BoxFuture<'static, Result<ModelAnswer, Failure>> {
        let mut asked = self.0.lock().unwrap();
        asked.push(request);
        let number = asked.len();
        let wanted = ToolCall { id: "c".into(), name: "weather".into(), arguments: json!({"city": "Rome"}) };
        let answer = ModelAnswer {
            text: if number < 3 { String::new() } else { "{\"n\":7}".to_owned() },
            reasoning: Some(format!("thought {number}")),
            keepsake: Some(json!({ "signature": number })),
            tool_calls: if number == 1 { vec![wanted] } else { Vec::new() },
            ..ModelAnswer::default()
        };
        futures::future::ready(Ok(answer)).boxed()
    }
}

#[tokio::test]
async fn thoughts_are_recorded_and_their_keepsakes_sent_back_and_no_payload_has_them() {
    let model = Arc::new(Thinking(Mutex::default()));
    let mut models = Models::default();
    models.insert("small", Arc::clone(&model) as Arc<dyn Model>);
    let programs = Programs::new(models).with_tools(tools([weather()]));
    let schema = json!({"type": "object", "required": ["n"]});
    let agent = json!({"model": "small", "tools": ["weather"], "output": {"schema": schema}});
    let vertex = vertex(json!({"name": "assistant", "agent": agent}));
    let (calls, told) = runner(perform_all);
    let program = programs.for_vertex(&vertex).unwrap();
    let answer = output(program.start(activation(&vertex, &[], calls)).outcome().await);
    assert_eq!(answer.unwrap(), json!({"n": 7}));
    let asked = model.0.lock().unwrap().clone();
    let keepsakes: Vec<Value> =
        asked.last().unwrap().messages.iter().filter_map(|message| message.keepsake.clone()).collect();
    assert_eq!(keepsakes, [json!({"signature": 1}), json!({"signature": 2})]);
    let outcomes = told.await.unwrap().into_iter().filter_map(|(_, outcome)| outcome?.answer.ok());
    let recorded = outcomes.filter_map(|payload| RecordedAnswer::read(&payload).ok());
    let reasoning: Vec<String> = recorded.filter_map(|answer| answer.reasoning).collect();
    assert_eq!(reasoning, ["thought 1", "thought 2", "thought 3"]);
}

#[tokio::test]
async fn what_a_tool_gave_is_there_once_however_often_the_model_is_asked() {
    let model = Arc::new(Thinking(Mutex::default()));
    let mut models = Models::default();
    models.insert("small", Arc::clone(&model) as Arc<dyn Model>);
    let tool = Arc::new(ClosureTool::new("weather", json!({"type": "object"}), |_| Ok(json!("cold"))));
    let programs = Programs::new(models).with_tools(tools([tool]));
    let output = json!({"schema": {"type": "object", "required": ["n"]}});
    let agent = json!({"model": "small", "tools": ["weather"], "output": output});
    let vertex = vertex(json!({"name": "assistant", "agent": agent}));
    let (calls, told) = runner(perform_all);
    programs.for_vertex(&vertex).unwrap().start(activation(&vertex, &[], calls)).outcome().await;
    let gave = told.await.unwrap().into_iter().filter_map(|(_, outcome)| outcome?.answer.ok());
    let gave: Vec<Payload> = gave.filter(|payload| payload.value().is_string()).collect();
    let [gave] = gave.as_slice() else { panic!("{gave:?}") };
    let asked = model.0.lock().unwrap().clone();
    let of_tool = |message: &&ChatMessage| message.role == Role::Tool;
    let told: Vec<&ChatMessage> =
        asked.iter().flat_map(|request| request.messages.iter().filter(of_tool)).collect();
    assert_eq!(told.len(), 2, "it was asked twice after that");
    for message in told {
        assert!(std::ptr::eq(message.content.as_str(), gave.value().as_str().unwrap()), "{message:?}");
    }
    // Who keeps what was asked keeps it as it was.
    let lengths: Vec<usize> = asked.iter().map(|request| request.messages.len()).collect();
    assert_eq!(lengths, [2, 4, 6]);
}
