//! What the objects of the operator are called. Names follow from what they belong to, so that nothing is made twice.

use std::collections::BTreeMap;

/// The field manager of everything that the operator writes but status.
pub(crate) const MANAGER: &str = "superstep-operator";
/// The field manager of status.
pub(crate) const STATUS_MANAGER: &str = "superstep-operator-status";

/// The field manager of what keeps objects from going.
pub(crate) const FINALIZER_MANAGER: &str = "superstep-operator-finalizer";

/// The port of the services of workers.
pub(crate) const GRPC: i32 = 7101;
/// The port where workers say how they are.
pub(crate) const HEALTH: i32 = 7102;
/// The port of the services of models.
pub(crate) const HTTP: i32 = 8000;

/// Names an `AgentGraph` on its children.
pub(crate) const GRAPH: &str = "superstep.dev/graph";
/// Names a `ModelServer` on its children.
pub(crate) const MODEL_SERVER: &str = "superstep.dev/model-server";
/// Names who made an object.
pub(crate) const MANAGED_BY: &str = "app.kubernetes.io/managed-by";

/// The longest name of a graph or a model server: a label of the pods of a StatefulSet has `NAME-worker` and a hash of ten
/// letters, and no label is longer than 63.
pub(crate) const LONGEST: usize = 45;

/// The names of a graph's children.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OfGraph<'a>(pub(crate) &'a str);

impl OfGraph<'_> {
    /// The account, the role, the lease, the disruption budget and the set of pods.
    pub(crate) fn worker(self) -> String {
        format!("{}-worker", self.0)
    }

    /// The service that gives each pod its name.
    pub(crate) fn workers(self) -> String {
        format!("{}-workers", self.0)
    }

    /// The service of runs, of the pods that are ready.
    pub(crate) fn runs(self) -> String {
        format!("{}-runs", self.0)
    }

    /// The effective graph, and the authorities of the workers' certificates.
    pub(crate) fn graph(self) -> String {
        format!("{}-graph", self.0)
    }

    /// The labels of its children.
    pub(crate) fn labels(self) -> BTreeMap<String, String> {
        labels("worker", GRAPH, self.0)
    }

    /// What selects its pods, which never changes.
    pub(crate) fn selector(self) -> BTreeMap<String, String> {
        selector("worker", GRAPH, self.0)
    }
}

/// The names of a model server's children.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OfModelServer<'a>(pub(crate) &'a str);

impl OfModelServer<'_> {
    /// All of them.
    pub(crate) fn model(self) -> String {
        format!("{}-model", self.0)
    }

    /// Where it is asked, by the protocol of OpenAI.
    pub(crate) fn url(self, namespace: &str) -> String {
        format!("http://{}.{namespace}.svc:{HTTP}/v1", self.model())
    }

    /// The labels of its children.
    pub(crate) fn labels(self) -> BTreeMap<String, String> {
        labels("model-server", MODEL_SERVER, self.0)
    }

    /// What selects its pods, which never changes.
    pub(crate) fn selector(self) -> BTreeMap<String, String> {
        selector("model-server", MODEL_SERVER, self.0)
    }
}

/// Why the objects of this name cannot have children, if they cannot.
pub(crate) fn misnamed(kind: &str, name: &str) -> Option<String> {
    let begins = name.starts_with(|letter: char| letter.is_ascii_lowercase());
    let is_label = begins && !name.contains('.');
    if is_label && name.len() <= LONGEST {
        return None;
    }
    Some(format!(
        "the name {name:?} gives its pods and services no names: a {kind} that a cluster runs has at most {LONGEST} of a-z, \
         0-9 and -, and begins with a letter; create it under such a name"
    ))
}

fn labels(component: &str, owner: &str, name: &str) -> BTreeMap<String, String> {
    let mut labels = selector(component, owner, name);
    labels.insert(MANAGED_BY.to_owned(), MANAGER.to_owned());
    labels
}

fn selector(component: &str, owner: &str, name: &str) -> BTreeMap<String, String> {
    BTreeMap::from([
        ("app.kubernetes.io/name".to_owned(), "superstep".to_owned()),
        ("app.kubernetes.io/component".to_owned(), component.to_owned()),
        (owner.to_owned(), name.to_owned()),
    ])
}
