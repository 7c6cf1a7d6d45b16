use serde_json::{Value, json};
use superstep_engine::{Payload, RunStatus};
use superstep_runtime::{NewRun, Run, Setup, read_run};
use superstep_store::Store;

use super::*;
use crate::{Provided, Quiet, RunPlan, read_documents};

fn document(kind: &str, name: &str, spec: Value) -> String {
    let metadata = json!({"name": name});
    json!({"apiVersion": "superstep.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec})
        .to_string()
}

/// A graph with a parameter, that asks a model, calls a tool and opens another graph.
fn documents(tool: &Value) -> Vec<String> {
    let graph = json!({
        "parameters": {"schema": {"type": "object"}, "default": {"word": "usual"}},
        "models": [{"name": "m", "modelServerRef": {"name": "s"}}],
        "tools": [tool],
        "entry": ["ask"],
        "vertices": [
            {"name": "ask", "prompt": {"model": "m", "template": "{{ parameters.word }}"}},
            {"name": "copy", "tool": {"name": "t", "arguments": "{}"}},
            {"name": "inner", "graph": {"ref": {"name": "h"}}},
        ],
        "edges": [{"from": "ask", "to": "copy"}, {"from": "copy", "to": "inner"}],
    });
    let inner = json!({"entry": ["a"], "vertices": [{"name": "a", "function": {"cel": "input"}}]});
    let server = json!({"engine": {"scripted": {"otherwise": "Hello"}}});
    vec![
        document("AgentGraph", "g", graph),
        document("AgentGraph", "h", inner),
        document("ModelServer", "s", server),
    ]
}

fn command() -> Value {
    json!({"name": "t", "command": {"argv": ["cat"]}})
}

#[tokio::test]
async fn a_run_that_was_begun_can_be_taken_over_from_its_first_record() {
    let resources = read_documents(&documents(&command())).unwrap();
    let plan = RunPlan::of(&resources, "g", &json!({"word": "given"})).unwrap();
    assert_eq!(plan.graphs()["g"].spec().parameters_with(&Value::Null), json!({"word": "given"}));
    let Provided { programs, attachment } = plan.provide(Results::memory(), Arc::new(Quiet)).await.unwrap();
    let store = Store::memory();
    let name: RunName = "r".parse().unwrap();
    let new = NewRun {
        name: name.clone(),
        root: plan.root().to_owned(),
        graphs: plan.graphs().clone(),
        input: Payload::from(json!({})),
        attachment,
        started_at: 0,
        carried: None,
    };
    let run = Run::create(Setup::new(Arc::new(programs)), &store, new).unwrap();
    assert_eq!(run.drive().await.unwrap().unwrap().status, RunStatus::Succeeded);
    let (started, records) = read_run(&store, &name).unwrap();
    // As if the first process had been killed at once.
    let store = Store::memory();
    let mut log = store.create(&name, "test").unwrap();
    log.append(records[..1].to_vec()).await.unwrap();
    drop(log);
    let programs = programs_of(&name, &started, Results::memory(), Arc::new(Quiet)).await.unwrap();
    let run = Run::resume(Setup::new(Arc::new(programs)), &store, &name).unwrap();
    let end = run.drive().await.unwrap().unwrap();
    assert_eq!(end.status, RunStatus::Succeeded);
    assert!(not_loaded(&name, &started).is_ok());
}

#[tokio::test]
async fn what_cannot_be_had_is_an_error() {
    let resources =
        read_documents(&documents(&json!({"name": "t", "command": {"argv": ["/none/such"]}}))).unwrap();
    let plan = RunPlan::of(&resources, "g", &Value::Null).unwrap();
    let error = plan.provide(Results::memory(), Arc::new(Quiet)).await.unwrap_err();
    assert!(matches!(error, ProvisionError::Tools(_)), "{error}");
    let started = RunStarted {
        run: "r".to_owned(),
        root: "g".to_owned(),
        graphs: std::collections::BTreeMap::new(),
        input: Payload::null(),
        attachment: Payload::from(json!([1])),
        started_at: 0,
    };
    let error = not_loaded(&"r".parse().unwrap(), &started).unwrap_err();
    assert!(error.to_string().contains("run \"r\""), "{error}");
}

#[tokio::test]
async fn a_worker_loads_a_model_that_runs_in_it_when_it_is_needed() {
    let model = |name: &str, server: &str, placement: &str| json!({"name": name, "modelServerRef": {"name": server}, "placement": placement});
    let graph = json!({
        "models": [
            model("near", "absent", "InWorker"), model("also", "scripted", "InWorker"),
            model("far", "scripted", "Server"),
        ],
        "entry": ["a"],
        "vertices": [{"name": "a", "prompt": {"model": "far", "template": "hi"}}],
    });
    let sources = json!([{"file": {"path": "/none/such.gguf"}}]);
    let absent = json!({"engine": {"candle": {}}, "model": {"name": "m", "sources": sources}});
    let documents = [
        document("AgentGraph", "g", graph),
        document("ModelServer", "absent", absent),
        document("ModelServer", "scripted", json!({"engine": {"scripted": {"otherwise": "Hello"}}})),
    ];
    let resources = read_documents(&documents).unwrap();
    let plan = RunPlan::of(&resources, "g", &Value::Null).unwrap();
    let (results, quiet): (_, Arc<dyn Downloads>) = (Results::memory(), Arc::new(Quiet));
    let error = plan.provide(results.clone(), Arc::clone(&quiet)).await.unwrap_err();
    assert!(matches!(error, ProvisionError::Model(_)), "{error}");
    let provided = plan.for_a_worker().provide(results, quiet).await.unwrap();
    let models = provided.programs.models();
    assert!(models.find(&"near".into()).is_some() && models.loaded().next().is_none());
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    models.load(&names(&["scripted", "unknown"])).await.unwrap();
    assert_eq!(models.loaded().collect::<Vec<_>>(), ["scripted"]);
    assert!(models.load(&names(&["absent"])).await.is_err());
}
