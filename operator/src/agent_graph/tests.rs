//! Documents in, objects out.

use std::collections::BTreeMap;
use std::sync::Arc;

use expect_test::expect_file;
use kube::ResourceExt as _;
use superstep_api::{AgentGraphObject, AgentGraphPatchObject, ModelServerObject};

use super::build::{Plan, children};
use super::dereference::{Known, dereference};
use super::needs::needs;
use super::validate::check;
use crate::children::Owner;
use crate::settings::Settings;
use crate::testing::{documents, settings, yaml};

/// What a file has beside its first graph.
#[derive(Default)]
struct Beside {
    graphs: BTreeMap<String, Arc<AgentGraphObject>>,
    servers: BTreeMap<String, Arc<ModelServerObject>>,
    patches: Vec<Arc<AgentGraphPatchObject>>,
}

impl Known for Beside {
    fn graph(&self, name: &str) -> Option<Arc<AgentGraphObject>> {
        self.graphs.get(name).cloned()
    }

    fn server(&self, name: &str) -> Option<Arc<ModelServerObject>> {
        self.servers.get(name).cloned()
    }

    fn patches(&self, graph: &str) -> Vec<Arc<AgentGraphPatchObject>> {
        self.patches.iter().filter(|patch| patch.spec.graph_ref.name == graph).cloned().collect()
    }

    fn is_malformed(&self, _: &str, _: &str) -> bool {
        false
    }
}

/// What is made of the documents of a file, or what is wrong with them.
fn made(file: &str, settings: &Settings) -> String {
    let mut documents = documents(&format!("agent_graph/{file}.yaml")).into_iter();
    let root: AgentGraphObject = serde_json::from_value(documents.next().unwrap()).unwrap();
    let mut beside = Beside::default();
    for document in documents {
        match document["kind"].as_str().unwrap() {
            "AgentGraph" => {
                let graph: AgentGraphObject = serde_json::from_value(document).unwrap();
                beside.graphs.insert(graph.name_any(), Arc::new(graph));
            }
            "ModelServer" => {
                let server: ModelServerObject = serde_json::from_value(document).unwrap();
                beside.servers.insert(server.name_any(), Arc::new(server));
            }
            _ => beside.patches.push(Arc::new(serde_json::from_value(document).unwrap())),
        }
    }
    let referenced = dereference(&beside, &root);
    let needs = needs(&referenced);
    let wrong = check(&root, &referenced, &needs, &settings.store).err().unwrap_or_default();
    let wrong = wrong.iter().map(ToString::to_string);
    let told: Vec<String> =
        wrong.chain(referenced.missing.iter().map(|missing| missing.message.clone())).collect();
    if !told.is_empty() {
        return told.join("\n") + "\n";
    }
    let owner = Owner::of(&root).unwrap();
    let plan = Plan {
        owner: &owner,
        workers: &root.spec.workers,
        effective: &referenced.graphs[&root.name_any()],
        needs: &needs,
        settings,
        authorities: Some("(authorities)\n"),
    };
    yaml(&children(&plan))
}

#[test]
fn a_small_graph_has_one_worker_that_reaches_little() {
    let made = made("small", &settings(&[]));
    expect_file!["../../testdata/agent_graph/small.out.yaml"].assert_eq(&made);
}

#[test]
fn everything_that_a_graph_says_of_its_workers_is_heeded() {
    let settings = settings(&[
        "--signer-address=https://superstep-operator.superstep.svc:8443",
        "--api-server=10.0.0.1:6443",
        "--models-claim=models",
        "--worker-gpu-image=worker:gpu",
        "--image-pull-policy=Never",
        "--image-pull-secret=registry",
    ]);
    expect_file!["../../testdata/agent_graph/full.out.yaml"].assert_eq(&made("full", &settings));
}

#[test]
fn every_mistake_is_told_with_its_place() {
    expect_file!["../../testdata/agent_graph/wrong.out.txt"].assert_eq(&made("wrong", &settings(&[])));
}
