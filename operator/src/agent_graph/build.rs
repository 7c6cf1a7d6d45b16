//! The children of a graph, as they are to be.

mod access;
mod configuration;
mod network;
mod services;
mod store;
mod workers;

use superstep_api::WorkersSpec;
use superstep_graph::GraphSpec;

use super::needs::Needs;
use crate::children::{Child, Owner};
use crate::names::OfGraph;
use crate::settings::Settings;

/// What children are made of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan<'a> {
    /// The graph as an object.
    pub(super) owner: &'a Owner,
    /// What it says of its workers.
    pub(super) workers: &'a WorkersSpec,
    /// The graph with its patches.
    pub(super) effective: &'a GraphSpec,
    /// What its runs need.
    pub(super) needs: &'a Needs,
    /// How the operator was installed.
    pub(super) settings: &'a Settings,
    /// The authorities of its workers' certificates, as PEM.
    pub(super) authorities: Option<&'a str>,
}

impl Plan<'_> {
    fn names(&self) -> OfGraph<'_> {
        OfGraph(&self.owner.name)
    }
}

/// The children, in the order in which they are made: pods come last, when what they name is there.
pub(super) fn children(plan: &Plan<'_>) -> Vec<Child> {
    let mut children = access::children(plan);
    children.push(Child::new(&configuration::configuration(plan)));
    children.extend(services::services(plan).iter().map(Child::new));
    if !plan.settings.no_network_policies {
        children.push(Child::new(&network::policy(plan)));
    }
    children.push(Child::new(&services::budget(plan)));
    children.push(Child::new(&workers::set(plan)));
    children
}
