//! What holds for all programs, and what their tests share.

pub(crate) mod given;

use std::collections::BTreeMap;

use serde_json::{Value, json};
use superstep_engine::{Outcome, ProgramResult, Received, Scene, ValueChange};
use superstep_graph::{MutationKind, Port};
use tokio::sync::mpsc;

use super::*;
use crate::calls::{Caller, Calls};
use crate::program::{Activation, Execution};

fn vertex(value: Value) -> VertexSpec {
    serde_json::from_value(value).unwrap()
}

fn activation(vertex: &VertexSpec, payloads: &[Value]) -> Activation {
    let message = |payload: &Value| Received {
        from: "a".into(),
        port: Port::default(),
        payload: payload.clone().into(),
    };
    Activation {
        view: View::from(Scene {
            input: Payload::from(json!({"text": "x"})),
            parameters: Payload::from(json!({"style": "formal"})),
            messages: payloads.iter().map(message).collect(),
            kept: Vec::new(),
            value: Payload::from(json!(1)),
            aggregates: Arc::new(BTreeMap::new()),
            superstep: 0,
            route: None,
        }),
        resumption: None,
        vertex: Arc::new(vertex.clone()),
        ports: Arc::from([Port::default(), Port::from("good"), Port::from("bad")]),
        calls: Calls::new(Caller(0), mpsc::unbounded_channel().0),
        seed: 0,
        listener: crate::program::Listener::default(),
    }
}

fn start(programs: &Programs, vertex: &VertexSpec, payloads: &[Value]) -> Result<ProgramResult, String> {
    let program = programs.for_vertex(vertex).map_err(|error| error.to_string())?;
    match program.start(activation(vertex, payloads)) {
        Execution::Ready(Outcome::Done(result)) => Ok(result),
        Execution::Ready(Outcome::Failed(failure)) => Err(failure.message),
        other @ (Execution::Ready(Outcome::Suspended(_)) | Execution::Running(_)) => panic!("{other:?}"),
    }
}

fn builtin(value: Value, payloads: &[Value]) -> Result<ProgramResult, String> {
    start(&Programs::default(), &vertex(value), payloads)
}

#[test]
fn a_function_sends_the_value_of_its_expression() {
    let result =
        builtin(json!({"name": "f", "function": {"cel": "message.n + value"}}), &[json!({"n": 2})]).unwrap();
    assert_eq!(result, ProgramResult::output(json!(3).into()));
}

#[test]
fn a_router_sends_what_woke_it_on_the_ports_that_it_names() {
    let two = [json!({"n": 2}), json!({"n": 3})];
    for (router, payloads, emissions) in [
        (json!({"cel": "message.n > 1 ? 'good' : 'bad'"}), &two[..1], vec![("good", json!({"n": 2}))]),
        (json!({"cel": "['bad', 'good', 'bad']"}), &two[..], vec![("bad", json!(two)), ("good", json!(two))]),
        (json!({"cel": "[]"}), &two[..], vec![]),
        (json!({"cel": "'out'", "payload": "messages.size()"}), &two[..], vec![("out", json!(2))]),
    ] {
        let result = builtin(json!({"name": "r", "router": router.clone()}), payloads).unwrap();
        let sent: Vec<_> =
            result.emissions.iter().map(|sent| (sent.port.as_str(), sent.payload.value().clone())).collect();
        assert_eq!(sent, emissions, "{router}");
    }
}

#[test]
fn a_router_fails_on_what_is_no_port_of_an_edge() {
    for (cel, part) in
        [("'goood'", "\"good\""), ("'elsewhere'", "bad"), ("1", "a number"), ("['good', null]", "null")]
    {
        let reason = builtin(json!({"name": "r", "router": {"cel": cel}}), &[]).unwrap_err();
        assert!(reason.contains(part), "{cel}: {reason}");
    }
}

#[test]
fn effects_are_added_to_the_result_of_any_program() {
    let mut programs = Programs::default();
    programs.register_fn("count", |view| Ok(json!({"n": view.messages.len()}).into()));
    let effects = json!({
        "value": "value + output.n",
        "mutations": "[{'removeEdge': {'from': 'a', 'to': 'b'}}]",
        "sends": "[{'to': 'b', 'payload': output.n}]",
        "contribute": {"total": "output.n", "never": "null"},
    });
    let vertex = vertex(json!({"name": "c", "custom": {"name": "count"}, "effects": effects}));
    let result = start(&programs, &vertex, &[json!(1), json!(2)]).unwrap();
    assert_eq!(result.as_output().unwrap().value(), &json!({"n": 2}));
    assert_eq!(result.value, ValueChange::Set(json!(3).into()));
    assert_eq!(result.mutations[0].kind(), MutationKind::RemoveEdge);
    assert_eq!((result.direct[0].to.as_str(), result.direct[0].payload.value()), ("b", &json!(2)));
    assert_eq!(result.contributions, [("total".into(), json!(2).into())]);
}

#[test]
fn an_effect_of_the_wrong_kind_fails_the_whole_result() {
    for (effects, part) in [
        (json!({"mutations": "[{'removeEdge': {'from': 'a', 'too': 'b'}}]"}), "item 0"),
        (json!({"mutations": "[{'dropEdge': {}}]"}), "dropEdge"),
        (json!({"mutations": "{}"}), "a list is expected"),
        (json!({"sends": "[{'to': 'b'}]"}), "payload"),
        (json!({"append": "output.absent"}), "absent"),
    ] {
        let vertex = json!({"name": "f", "function": {"cel": "{'n': 1}"}, "effects": effects.clone()});
        let reason = builtin(vertex, &[]).unwrap_err();
        assert!(reason.contains(part), "{effects}: {reason}");
    }
}

#[test]
fn what_cannot_be_executed_is_refused_before_it_starts() {
    let mut programs = Programs::default();
    programs.register_fn("count", |_| Ok(Payload::null()));
    for (value, part) in [
        (json!({"name": "a"}), "exactly one"),
        (json!({"name": "a", "custom": {"name": "cuont"}}), "\"count\""),
        (json!({"name": "a", "function": {"cel": "inptu"}}), "function.cel: line 1, column 1"),
        (json!({"name": "a", "function": {"cel": "1"}, "effects": {"value": "1 +"}}), "effects.value"),
        (json!({"name": "a", "graph": {"ref": {"name": "g"}}}), "frame"),
        (json!({"name": "a", "graph": {"ref": {"name": "g"}}, "effects": {"value": "1 +"}}), "frame"),
        (json!({"name": "a", "prompt": {"model": "m", "template": "x"}}), "\"m\""),
    ] {
        let reason = start(&programs, &vertex(value.clone()), &[]).unwrap_err();
        assert!(reason.contains(part), "{value}: {reason}");
    }
    assert_eq!(programs.check(&vertex(json!({"name": "a", "graph": {"ref": {"name": "g"}}}))), Ok(()));
    let broken = json!({"name": "a", "graph": {"ref": {"name": "g"}}, "effects": {"value": "1 +"}});
    assert!(programs.check(&vertex(broken)).is_err());
}

#[test]
fn equal_vertices_share_one_prepared_program() {
    let programs = Programs::default();
    let vertex = vertex(json!({"name": "a", "function": {"cel": "1"}}));
    let first = programs.for_vertex(&vertex).unwrap();
    assert!(Arc::ptr_eq(&first, &programs.for_vertex(&vertex.clone()).unwrap()));
}
