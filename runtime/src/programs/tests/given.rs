//! What the tests of programs share.

use std::sync::Mutex;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use serde_json::{Value, json};
use superstep_engine::{Outcome, Received, Scene};
use superstep_graph::Port;

use super::super::*;
use crate::calls::Calls;
use crate::models::{Scripted, ScriptedModel};
use crate::program::{Activation, Listener};
use crate::tool::{Tool, ToolRequest, ToolSignature};

type Answering = dyn Fn(&Value) -> Result<Value, Failure> + Send + Sync;

/// A closure as a tool, which keeps what it was called with.
pub(crate) struct ClosureTool {
    signature: ToolSignature,
    pub(crate) idempotent: bool,
    pub(crate) called: Mutex<Vec<ToolRequest>>,
    answer: Box<Answering>,
}

impl ClosureTool {
    pub(crate) fn new(
        name: &str,
        parameters: Value,
        answer: impl Fn(&Value) -> Result<Value, Failure> + Send + Sync + 'static,
    ) -> Self {
        let signature = ToolSignature {
            name: name.to_owned(),
            description: format!("Does {name}."),
            parameters: Arc::new(parameters),
        };
        Self { signature, idempotent: true, called: Mutex::default(), answer: Box::new(answer) }
    }

    /// The arguments of its calls so far.
    pub(crate) fn arguments(&self) -> Vec<Value> {
        self.called.lock().unwrap().iter().map(|request| request.arguments.clone()).collect()
    }
}

impl Tool for ClosureTool {
    fn signature(&self) -> &ToolSignature {
        &self.signature
    }

    fn is_idempotent(&self) -> bool {
        self.idempotent
    }

    fn call(&self, request: ToolRequest) -> BoxFuture<'static, Result<Payload, Failure>> {
        let answer = (self.answer)(&request.arguments).map(Payload::from);
        self.called.lock().unwrap().push(request);
        futures::future::ready(answer).boxed()
    }
}

/// A tool that knows the weather of all cities but one.
pub(crate) fn weather() -> Arc<ClosureTool> {
    let parameters =
        json!({"type": "object", "required": ["city"], "properties": {"city": {"type": "string"}}});
    Arc::new(ClosureTool::new("weather", parameters, |arguments| match arguments["city"].as_str() {
        Some("Atlantis") => Err(Failure::permanent("tool \"weather\": no such city")),
        Some("Babel") => Err(Failure::transient("tool \"weather\": busy")),
        city => Ok(json!({"city": city, "celsius": 7})),
    }))
}

pub(crate) fn tools(all: impl IntoIterator<Item = Arc<ClosureTool>>) -> Tools {
    let mut tools = Tools::default();
    for tool in all {
        let name = tool.signature.name.clone();
        tools.insert(name.as_str(), [tool as Arc<dyn Tool>]).unwrap();
    }
    tools
}

/// The built-in programs with one scripted model, named `small`.
pub(crate) fn scripted(script: Value) -> Programs {
    let script: ScriptedModel = serde_json::from_value(script).unwrap();
    let mut models = Models::default();
    let scripted = Arc::new(Scripted::new(script));
    models.insert("small", Arc::clone(&scripted) as _);
    models.insert_embedder("small", scripted);
    Programs::new(models)
}

pub(crate) fn vertex(value: Value) -> VertexSpec {
    serde_json::from_value(value).unwrap()
}

/// An activation woken by `payloads`, with the input `{"text": "It crashes."}`.
pub(crate) fn activation(vertex: &VertexSpec, payloads: &[Value], calls: Calls) -> Activation {
    let message = |payload: &Value| Received {
        from: "a".into(),
        port: Port::default(),
        payload: payload.clone().into(),
    };
    Activation {
        view: View::from(Scene {
            input: Payload::from(json!({"text": "It crashes."})),
            parameters: Payload::from(json!({"style": "formal"})),
            messages: payloads.iter().map(message).collect(),
            kept: Vec::new(),
            value: Payload::null(),
            aggregates: Arc::default(),
            superstep: 0,
            route: None,
        }),
        resumption: None,
        vertex: Arc::new(vertex.clone()),
        ports: Arc::from([Port::default()]),
        calls,
        seed: 1,
        listener: Listener::default(),
    }
}

/// The output, or why there is none.
pub(crate) fn output(outcome: Outcome) -> Result<Value, Failure> {
    match outcome {
        Outcome::Done(result) => Ok(result.as_output().unwrap().value().clone()),
        Outcome::Failed(failure) => Err(failure),
        Outcome::Suspended(question) => panic!("{question:?}"),
    }
}
