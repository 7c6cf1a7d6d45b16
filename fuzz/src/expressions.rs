//! Expressions and templates.

use std::sync::{Arc, LazyLock};

use serde_json::{Value, json};
use superstep_engine::{Payload, RunStatus};
use superstep_graph::validate;
use superstep_runtime::{
    Expression, Models, NewRun, Programs, Run, Scope, Scripted, ScriptedModel, Setup, Template,
};
use superstep_store::Store;
use tokio::runtime::Runtime;

thread_local! {
    static RUNTIME: Runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().build().expect("there is a runtime");
}

static PROGRAMS: LazyLock<Arc<Programs>> = LazyLock::new(|| {
    let mut models = Models::default();
    let script = ScriptedModel { otherwise: Some(json!("yes")), ..ScriptedModel::default() };
    models.insert("m", Arc::new(Scripted::new(script)));
    Arc::new(Programs::new(models))
});

/// By its first byte compiles a text as an expression of a vertex, of an edge, of effects, or as a template; what
/// compiles is evaluated in a run of a small graph, which ends.
pub fn expressions(data: &[u8]) {
    let Some((kind, text)) = data.split_first() else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    let (compiles, last, edge) = match kind % 4 {
        0 => {
            let compiled = Expression::compile(text, Scope::Vertex);
            (compiled.is_ok(), json!({"function": {"cel": text}}), json!({}))
        }
        1 => {
            let compiled = Expression::compile(text, Scope::Edge);
            (
                compiled.is_ok(),
                json!({"function": {"cel": "message"}}),
                json!({"when": text, "transform": text}),
            )
        }
        2 => {
            let compiled = Expression::compile(text, Scope::Effects);
            let last = json!({"function": {"cel": "[1, 'two']"}, "effects": {"value": text}});
            (compiled.is_ok(), last, json!({}))
        }
        _ => {
            let compiled = Template::compile(text);
            (compiled.is_ok(), json!({"prompt": {"model": "m", "template": text}}), json!({}))
        }
    };
    if compiles {
        evaluate(last, edge);
    }
}

fn evaluate(last: Value, edge: Value) {
    let mut vertex = json!({"name": "last", "value": {"count": 3, "text": "ä"}});
    let mut between = json!({"from": "first", "to": "last"});
    for (whole, part) in [(&mut vertex, last), (&mut between, edge)] {
        let whole = whole.as_object_mut().expect("it is an object");
        whole.extend(part.as_object().cloned().unwrap_or_default());
    }
    let spec = json!({
        "entry": ["first"],
        "models": [{"name": "m", "modelServerRef": {"name": "m"}}],
        "vertices": [
            {"name": "first", "function": {"cel": "{'list': [1, 2.5, 'x', null, true], 'map': {'a': 'b'}, 'text': 'words and words'}"}},
            vertex,
        ],
        "edges": [between],
    });
    let Ok(spec) = serde_json::from_value(spec) else { return };
    let Ok(graph) = validate(&spec) else { return };
    let input = Payload::from(json!({"name": "Ada", "numbers": [3, 1, 2]}));
    let new = NewRun::new("run".parse().expect("it is a name"), graph, input);
    let Ok(run) = Run::create(Setup::new(Arc::clone(&PROGRAMS)), &Store::transient(), new) else { return };
    let end = RUNTIME.with(|runtime| runtime.block_on(run.drive()));
    let end = end.expect("memory takes records").expect("nothing waits for an answer");
    if let RunStatus::Failed { failure, .. } = &end.status {
        assert!(!failure.message.contains("panicked"), "{}", failure.message);
    }
}
