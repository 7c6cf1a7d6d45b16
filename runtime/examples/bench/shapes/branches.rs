//! A fast branch of two vertices beside a slow one, and a join of both: no barrier may hold the fast one up.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use serde_json::json;
use superstep_engine::{Outcome, Payload, ProgramResult};
use superstep_runtime::{Activation, Execution, Program};

use super::{Work, custom, edges, graph};

/// Waits, and sends what it is.
struct Wait(Duration);

impl Program for Wait {
    fn start(&self, _: Activation) -> Execution {
        let pause = tokio::time::sleep(self.0);
        let done = || Outcome::Done(ProgramResult::output(Payload::from(json!({"x": 1}))));
        if self.0.is_zero() {
            Execution::Ready(done())
        } else {
            Execution::Running(pause.map(move |()| done()).boxed())
        }
    }
}

/// The slow branch takes `n` milliseconds, each vertex of the fast one two fifths of it.
pub(super) fn work(n: usize) -> Work {
    let mut join = custom("e", "at_once");
    join["join"] = json!({"mode": "All", "of": ["b", "d"]});
    let graph = graph(json!({
        "entry": ["a"],
        "barrier": {"mode": "Any"},
        "vertices": [custom("a", "at_once"), custom("b", "slow"), custom("c", "fast"), custom("d", "fast"), join],
        "edges": edges(&[("a", "b"), ("a", "c"), ("b", "e"), ("c", "d"), ("d", "e")]),
    }));
    let slow = Duration::from_millis(n as u64);
    Work::new(graph, 5, 5).with(move |programs| {
        for (name, pause) in [("at_once", Duration::ZERO), ("slow", slow), ("fast", slow * 2 / 5)] {
            programs.register(name, Arc::new(Wait(pause)));
        }
    })
}
