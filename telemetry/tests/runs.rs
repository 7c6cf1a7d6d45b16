//! A run that has something of everything.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::future::BoxFuture;
use serde_json::{Value, json};
use superstep_engine::{Failure, Notice, Payload, Record, Totals};
use superstep_graph::{ValidatedGraph, validate};
use superstep_runtime::{
    Model, Models, NewRun, Programs, Scripted, Tool, ToolRequest, ToolSignature, Tools, read_run, tell,
};
use superstep_store::{RunName, Store};

/// What the model is asked and says, none of which is in a trace unless it is asked for.
pub(crate) const SAID: [&str; 5] =
    ["Say something", "something nice", "a secret city", "it rains", "is broken"];

fn graph(spec: Value) -> ValidatedGraph {
    validate(&serde_json::from_value(spec).unwrap()).unwrap()
}

/// Sub-graph, forEach, router, a vertex that fails, one that is tried again, and an agent with a tool.
pub(crate) fn new_run(name: &str) -> NewRun {
    let models = json!([{"name": "m", "modelServerRef": {"name": "m"}}]);
    let inner = json!({
        "entry": ["first"],
        "vertices": [{"name": "first", "function": {"cel": "input"}}, {"name": "second", "function": {"cel": "message"}}],
        "edges": [{"from": "first", "to": "second"}],
    });
    let main = json!({
        "models": models,
        "tools": [{"name": "weather", "custom": {"name": "weather", "idempotent": true}}],
        "entry": ["split", "helper", "flaky", "broken", "vectors"],
        "vertices": [
            {"name": "split", "function": {"cel": "['a', 'b', 'c']"}},
            {"name": "each", "forEach": {}, "prompt": {"model": "m", "template": "Say something to {{ element }}"}},
            {"name": "pick", "router": {"cel": "size(message) == 3 ? 'all' : 'some'"}},
            {"name": "inside", "graph": {"ref": {"name": "inner"}}},
            {"name": "never", "function": {"cel": "1"}},
            {"name": "helper", "agent": {"model": "m", "tools": ["weather"], "system": "You help.", "template": "Rain?"}},
            {"name": "flaky", "prompt": {"model": "m", "template": "Be flaky"}, "retry": {"maxAttempts": 3, "backoff": "1ms"}},
            {"name": "vectors", "embed": {"model": "m", "texts": "['something nice', 'a secret city']"}},
            {"name": "broken", "tool": {"name": "weather", "arguments": "{'city': 'nowhere'}"}, "onFailure": "Ignore"},
        ],
        "edges": [
            {"from": "split", "to": "each"},
            {"from": "each", "to": "pick"},
            {"from": "pick", "port": "all", "to": "inside"},
            {"from": "pick", "port": "some", "to": "never"},
            {"from": "flaky", "to": "never", "when": "false"},
        ],
        "outputs": [{"vertex": "inside"}, {"vertex": "helper"}],
    });
    let mut new = NewRun::new(name.parse().unwrap(), graph(main), json!({}));
    new.graphs.insert("inner".to_owned(), graph(inner));
    new
}

pub(crate) fn programs() -> Programs {
    let script = json!({"rules": [
        {"vertex": "helper", "turn": 1, "calls": [{"name": "weather", "arguments": {"city": "a secret city"}}]},
        {"vertex": "helper", "turn": 2, "answer": "it rains"},
        {"vertex": "flaky", "answer": "ok", "fail": {"times": 2, "message": "busy"}},
    ], "otherwise": "something nice", "latency": "10ms", "prices": {"promptPerMillion": 1.0, "completionPerMillion": 2.0}});
    let mut models = Models::default();
    let scripted = Arc::new(Scripted::new(serde_json::from_value(script).unwrap()));
    models.insert("m", Arc::clone(&scripted) as Arc<dyn Model>);
    models.insert_embedder("m", scripted);
    let mut tools = Tools::default();
    tools.insert("weather", [Arc::new(weather()) as Arc<dyn Tool>]).unwrap();
    Programs::new(models).with_tools(tools)
}

fn weather() -> impl Tool {
    Weather(ToolSignature {
        name: "weather".to_owned(),
        description: "Tells the weather.".to_owned(),
        parameters: Arc::new(json!({"type": "object", "properties": {"city": {"type": "string"}}})),
    })
}

struct Weather(ToolSignature);

impl Tool for Weather {
    fn signature(&self) -> &ToolSignature {
        &self.0
    }

    fn is_idempotent(&self) -> bool {
        true
    }

    fn call(&self, request: ToolRequest) -> BoxFuture<'static, Result<Payload, Failure>> {
        let answer = match request.arguments["city"].as_str() {
            Some("nowhere") => Err(Failure::permanent("nowhere is broken")),
            Some(_) | None => Ok(json!("7 degrees").into()),
        };
        Box::pin(std::future::ready(answer))
    }
}

/// What the log of a run says of it: how many messages have which status, and what it used.
pub(crate) struct Account {
    pub(crate) statuses: BTreeMap<String, i64>,
    pub(crate) totals: Totals,
    pub(crate) supersteps: usize,
    pub(crate) activations: usize,
}

pub(crate) fn account(store: &Store<Record>, name: &str) -> Account {
    let name: RunName = name.parse().unwrap();
    let (_, records) = read_run(store, &name).unwrap();
    let mut statuses = BTreeMap::new();
    let (mut supersteps, mut activations) = (0, 0);
    let (_, totals) = tell(&name, &records, &Arc::new(programs()), |notice| match notice {
        Notice::Settled { status, .. } => *statuses.entry(format!("{status:?}")).or_default() += 1,
        Notice::Committed { .. } => supersteps += 1,
        Notice::Started { .. } => activations += 1,
        Notice::SuperstepStarted { .. }
        | Notice::Opened { .. }
        | Notice::Called(_)
        | Notice::Retrying { .. }
        | Notice::Asked { .. }
        | Notice::Completed { .. }
        | Notice::Cancelled { .. }
        | Notice::JoinIncomplete { .. }
        | Notice::Mutated { .. }
        | Notice::Paused
        | Notice::Suspended
        | Notice::Resumed { .. }
        | Notice::Ended { .. } => {}
    })
    .unwrap();
    Account { statuses, totals, supersteps, activations }
}
