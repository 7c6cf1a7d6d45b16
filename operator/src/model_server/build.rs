//! The children of a model server, as they are to be.

mod engine;
mod network;
mod pod;
mod service;

use superstep_api::ModelServerSpec;

use crate::children::{Child, Owner};
use crate::names::OfModelServer;
use crate::settings::Settings;

/// What children are made of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan<'a> {
    /// The model server as an object.
    pub(super) owner: &'a Owner,
    /// What it says, with every variable replaced by its default.
    pub(super) spec: &'a ModelServerSpec,
    /// How the operator was installed.
    pub(super) settings: &'a Settings,
    /// How many pods there are to be.
    pub(super) replicas: u32,
}

impl Plan<'_> {
    fn names(&self) -> OfModelServer<'_> {
        OfModelServer(&self.owner.name)
    }
}

/// Whether pods serve it.
pub(super) fn has_pods(spec: &ModelServerSpec) -> bool {
    spec.engine.external.is_none() && spec.engine.scripted.is_none()
}

/// The children, in the order in which they are made.
pub(super) fn children(plan: &Plan<'_>) -> Vec<Child> {
    if !has_pods(plan.spec) {
        return Vec::new();
    }
    let mut children = Vec::new();
    let document = pod::document(plan);
    children.extend(document.as_ref().map(Child::new));
    children.push(Child::new(&service::service(plan)));
    if !plan.settings.no_network_policies {
        children.push(Child::new(&network::policy(plan)));
    }
    children.push(pod::pods(plan, document.as_ref()));
    children
}

/// The kind of what makes its pods.
pub(super) fn workload(spec: &ModelServerSpec) -> &'static str {
    let has_volumes = spec.cache.as_ref().is_some_and(|cache| cache.new.is_some());
    if has_volumes { "StatefulSet" } else { "Deployment" }
}
