//! Models that run inside the workers that have them.

use std::sync::Mutex;

use futures::future::{BoxFuture, FutureExt as _};
use superstep_engine::RunStarted;
use superstep_runtime::{NewRun, Programs};
use superstep_store::RunName;
use superstep_worker::ProvisionsError;

use super::*;

/// Loads what runs need, and knows what it has loaded.
struct Knowing {
    loader: Loader,
    programs: Mutex<Vec<Arc<Programs>>>,
}

impl Knowing {
    fn start(group: &mut Group, name: &str, labels: &[&str]) -> Arc<Self> {
        let loader = Loader::new(group.store.clone());
        let knowing = Arc::new(Self { loader, programs: Mutex::default() });
        group.start_around(name, labels, None, Arc::clone(&knowing) as _);
        knowing
    }

    /// The models that were loaded for a run when vertices needed them.
    fn loaded(&self) -> Vec<String> {
        let programs = self.programs.lock().unwrap();
        programs.iter().flat_map(|programs| programs.models().loaded()).map(str::to_owned).collect()
    }

    /// Whether it was asked for the programs of a run.
    fn has_part(&self) -> bool {
        !self.programs.lock().unwrap().is_empty()
    }
}

impl Provisions for Knowing {
    fn programs<'a>(
        &'a self,
        run: &'a RunName,
        started: &'a RunStarted,
    ) -> BoxFuture<'a, Result<Arc<Programs>, ProvisionsError>> {
        async move {
            let programs = self.loader.programs(run, started).await?;
            self.programs.lock().unwrap().push(Arc::clone(&programs));
            Ok(programs)
        }
        .boxed()
    }

    fn not_loaded(&self, run: &RunName, started: &RunStarted) -> Result<Arc<Programs>, ProvisionsError> {
        self.loader.not_loaded(run, started)
    }

    fn new_run(
        &self,
        name: RunName,
        request: v1::SubmitRequest,
    ) -> BoxFuture<'_, Result<NewRun, ProvisionsError>> {
        self.loader.new_run(name, request)
    }
}

/// A graph with these members, whose model `near` runs inside workers and answers `yes`.
fn calling(members: &Value) -> Vec<String> {
    let document = |kind: &str, name: &str, spec: Value| {
        let metadata = json!({"name": name});
        json!({"apiVersion": "superstep.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec})
            .to_string()
    };
    let mut spec = members.clone();
    spec["models"] = json!([{"name": "near", "modelServerRef": {"name": "small"}, "placement": "InWorker"}]);
    let server = json!({"engine": {"scripted": {"otherwise": "yes"}}});
    vec![document("AgentGraph", "calling", spec), document("ModelServer", "small", server)]
}

fn prompt(name: &str) -> Value {
    json!({"name": name, "prompt": {"model": "near", "template": "Well?"}})
}

#[test]
fn a_model_inside_workers_is_loaded_and_called_only_by_workers_that_have_it() {
    let mut group = Group::new(&[]);
    let a = Knowing::start(&mut group, "a", &["model/other"]);
    let b = Knowing::start(&mut group, "b", &["model/"]);
    let c = Knowing::start(&mut group, "c", &["model/other", "model/small"]);
    group.complete(3);
    let asks: Vec<String> = (0..8).map(|number| format!("ask{number}")).collect();
    let plain: Vec<String> = (0..8).map(|number| format!("plain{number}")).collect();
    let function = |name: &String| json!({"name": name, "function": {"cel": "1"}});
    let vertices: Vec<Value> =
        asks.iter().map(|name| prompt(name)).chain(plain.iter().map(function)).collect();
    let entry = [asks, plain].concat();
    let documents = calling(&json!({"entry": entry, "vertices": vertices}));
    let (status, outputs, _) = alone(&documents, &Value::Null);
    assert_eq!(status, RunStatus::Succeeded);
    group.submit("calling", &documents, &Value::Null);
    assert_eq!(group.end("calling"), (status, outputs));
    let calls = |seen: &[Seen]| notices(seen).filter(|notice| matches!(notice, Notice::Called(_))).count();
    assert_eq!(calls(&group.watched("calling")), 8);
    // Each has a part of the run, and one of them the model.
    assert!([&a, &b, &c].iter().all(|worker| worker.has_part()));
    assert_eq!((a.loaded(), b.loaded(), c.loaded()), (vec![], vec![], vec!["small".to_owned()]));
}

#[test]
fn a_vertex_waits_for_a_worker_that_has_the_model_it_calls() {
    let mut group = Group::new(&[]);
    group.start_with("a", &["model/other"]);
    group.start_with("b", &["model/", "gpu"]);
    group.complete(2);
    let documents = calling(&json!({"entry": ["ask"], "vertices": [prompt("ask")]}));
    group.submit("calling", &documents, &Value::Null);
    until("it waits for who has it", || group.get("calling").waits_for.contains("model/small"));
    // One that names no model has whichever a run names.
    let c = Knowing::start(&mut group, "c", &[]);
    assert_eq!(group.end("calling").0, RunStatus::Succeeded);
    assert_eq!(c.loaded(), ["small"]);
}

/// A vertex adds eight others that call a model, and another one sends to them in the next superstep.
#[test]
fn vertices_that_a_mutation_brings_are_where_the_model_is_that_they_call() {
    let mut group = Group::new(&[]);
    let a = Knowing::start(&mut group, "a", &["model/"]);
    let b = Knowing::start(&mut group, "b", &["model/"]);
    group.complete(2);
    let mutations: Vec<Value> = (0..8)
        .flat_map(|number| {
            let name = format!("late{number}");
            [json!({"addVertex": prompt(&name)}), json!({"addEdge": {"from": "then", "to": name}})]
        })
        .collect();
    // Every value in it is a text in single quotes, as CEL has them.
    let mutations = Value::from(mutations).to_string().replace('"', "'");
    let documents = calling(&json!({
        "entry": ["adds"],
        "vertices": [
            {"name": "adds", "function": {"cel": "1"}, "capabilities": {"models": ["near"]},
                "effects": {"mutations": mutations}},
            {"name": "then", "function": {"cel": "message"}},
        ],
        "edges": [{"from": "adds", "to": "then"}],
        "mutations": {"allow": ["addVertex", "addEdge"]},
    }));
    let (status, outputs, told) = alone(&documents, &Value::Null);
    assert_eq!(status, RunStatus::Succeeded);
    group.submit("calling", &documents, &Value::Null);
    until("it waits for who has the model", || group.get("calling").waits_for.contains("model/small"));
    let c = Knowing::start(&mut group, "c", &["model/small"]);
    assert_eq!(group.end("calling"), (status, outputs));
    let seen = group.watched("calling");
    assert_eq!(course(notices(&seen)), course(told.iter()));
    assert_eq!(notices(&seen).filter(|notice| matches!(notice, Notice::Called(_))).count(), 8);
    assert_eq!((a.loaded(), b.loaded(), c.loaded()), (vec![], vec![], vec!["small".to_owned()]));
}
