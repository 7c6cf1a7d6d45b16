//! An agent whose model calls a tool again and again, with long arguments and longer answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use superstep_engine::Failure;
use superstep_runtime::{Json, Model, ModelAnswer, ModelRequest, OnText, ToolCall};

use super::{Work, graph};

/// Looks something up.
#[derive(Deserialize, JsonSchema)]
struct LookUp {
    /// What to look for.
    query: String,
}

/// Calls the tool until it has done so often enough, whatever it is told.
struct Caller {
    calls: u64,
    made: Arc<AtomicU64>,
}

impl Model for Caller {
    fn calls_tools(&self) -> bool {
        true
    }

    fn generate(
        &self,
        _: ModelRequest,
        _: Option<OnText>,
    ) -> BoxFuture<'static, Result<ModelAnswer, Failure>> {
        let call = self.made.fetch_add(1, Ordering::Relaxed) % (self.calls + 1);
        let answer = if call == self.calls {
            ModelAnswer { text: "answer".repeat(100), ..ModelAnswer::default() }
        } else {
            let query = format!("{call:08x}-0000-4000-8000-000000000000").repeat(100);
            let id = format!("call-{call}");
            let call = ToolCall { id, name: "look_up".to_owned(), arguments: json!({"query": query}) };
            ModelAnswer { tool_calls: vec![call], ..ModelAnswer::default() }
        };
        futures::future::ready(Ok(answer)).boxed()
    }
}

pub(super) fn work(n: usize) -> Work {
    let graph = graph(json!({
        "entry": ["agent"],
        "models": [{"name": "caller", "modelServerRef": {"name": "caller"}}],
        "tools": [{"name": "look_up", "custom": {"name": "look_up", "idempotent": true}}],
        "vertices": [{
            "name": "agent",
            "agent": {"model": "caller", "tools": ["look_up"], "template": "hi?", "maxTurns": n + 1},
        }],
    }));
    let mut work = Work::new(graph, 1, 1).with(|programs| {
        let look_up = |asked: LookUp| Json(json!(format!("result for query: {}", asked.query).repeat(10)));
        programs.register_tool_closure("look_up", look_up).expect("the closure is a tool");
    });
    work.models.insert("caller", Arc::new(Caller { calls: n as u64, made: Arc::default() }));
    work
}
