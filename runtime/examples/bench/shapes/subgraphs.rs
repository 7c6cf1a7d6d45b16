//! A list of subjects, and for each a sub-graph that writes a text and changes it ten times.

use std::sync::Arc;

use serde_json::{Value, json};
use superstep_engine::{Payload, ProgramResult, View};

use super::{Vertex, Work, custom, edges, graph, message, on_port};

/// Letters of a subject.
const LETTERS: usize = 1_000;
const BUMPS: usize = 10;

pub(super) fn work(n: usize) -> Work {
    let outer = graph(json!({
        "entry": ["source"],
        "vertices": [
            custom("source", "source"),
            {"name": "joke", "forEach": {}, "graph": {"ref": {"name": "joke"}}},
        ],
        "edges": edges(&[("source", "joke")]),
    }));
    let inner = graph(json!({
        "entry": ["edit"],
        "vertices": [custom("edit", "edit"), custom("generate", "generate"), custom("bump", "bump")],
        "edges": [
            {"from": "edit", "to": "generate"},
            {"from": "generate", "to": "bump"},
            {"from": "bump", "to": "bump", "port": "again"},
        ],
    }));
    let subjects: Vec<String> = (0..n).map(|number| subject(number).to_string()).collect();
    let mut work = Work::new(outer, 14, 1 + n + 12 * n).with(|programs| {
        programs.register_fn("source", |view| Ok(view.input.clone()));
        programs.register_fn("edit", |view| {
            Ok(Payload::from(json!(format!("{} - hohoho", view.input.to_json()))))
        });
        programs.register_fn("generate", |view| {
            Ok(Payload::from(json!(format!("Joke about {}", text(message(view)?.value())))))
        });
        programs.register("bump", Arc::new(Vertex(bump)));
    });
    work.graphs.insert("joke".to_owned(), inner);
    // As what comes from outside or from a log, it is a text until somebody asks for its value.
    work.input = Payload::from_json(format!("[{}]", subjects.join(","))).expect("it is JSON");
    work
}

/// A list of letters.
fn subject(number: usize) -> Value {
    let alphabet = (b'a'..=b'z').map(|letter| char::from(letter).to_string()).cycle();
    alphabet.skip(number % 26).step_by(7).take(LETTERS).collect()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn bump(view: &View) -> ProgramResult {
    let before = message(view).unwrap_or_else(|_| Payload::null());
    let after = format!("{} a", text(before.value()));
    let done = after.ends_with(&" a".repeat(BUMPS));
    let payload = Payload::from(Value::String(after));
    if done { ProgramResult::output(payload) } else { on_port("again", payload) }
}
