//! What is simulated: graphs, and what the outside does to their run.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::json;
use superstep_engine::{Costs, Homes, Patch, Payload, RunConfig, RunStarted};
use superstep_graph::{
    BarrierMode, CustomProgram, Governance, GraphSpec, Mutation, OnUnknown, ValidatedGraph, VertexSpec,
};

use crate::behaviour::Behaviour;
use crate::budget::Budget;

/// The name of the run.
pub(crate) const RUN: &str = "simulated";

/// The name of the run's own graph.
pub(crate) const ROOT: &str = "main";

/// Graphs, and what the outside does to their run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Scenario {
    /// The graphs by name; `main` is the run's own.
    pub library: BTreeMap<String, GraphSpec>,
    /// Whether every execution of a call has another answer.
    pub nonce: bool,
    /// Changes from outside, and the microsecond at which each is asked for.
    pub patches: Vec<(u64, Patch)>,
    /// The microsecond at which somebody cancels the run.
    pub cancel_at: Option<u64>,
}

impl Scenario {
    /// The scenario of one graph.
    pub fn of(graph: GraphSpec) -> Self {
        Self { library: [(ROOT.to_owned(), graph)].into(), ..Self::default() }
    }

    /// Whether every run of it is the same, whatever crashes and however long things take: the
    /// barrier waits for all, answers are pure, and nothing depends on time, on the outside, or on
    /// which of several calls takes the last of a budget.
    pub fn is_exact(&self) -> bool {
        let timeless = |vertex: &VertexSpec| {
            let behaviour = behaviour_of(vertex);
            let asks = behaviour.asks > 0;
            let repeats = behaviour.calls == 0 || vertex.on_unknown == Some(OnUnknown::Retry);
            !asks && repeats && vertex.timeout.is_none()
        };
        let unlimited = |graph: &GraphSpec| {
            let limits = &graph.limits;
            let ample = limits.calls >= 10_000 && limits.tokens.is_none() && limits.cost.is_none();
            ample && limits.duration.is_none()
        };
        let undecided = |graph: &GraphSpec| graph.mutations.governance != Governance::Propose;
        let waits = self.library[ROOT].barrier.mode == BarrierMode::All;
        let undisturbed = self.patches.is_empty() && self.cancel_at.is_none() && !self.nonce;
        waits
            && undisturbed
            && self.library.values().all(undecided)
            && self.library.values().all(|graph| unlimited(graph) && graph.vertices.iter().all(timeless))
    }

    /// The most that the run's own graph allows, by the documents that it may have.
    pub(crate) fn budget(&self) -> Budget {
        let changes = self.patches.iter().flat_map(|(_, patch)| &patch.mutations);
        let adopted = changes
            .filter_map(|change| if let Mutation::Adopt(graph) = change { Some(&**graph) } else { None });
        let budgets = adopted.map(|graph| Budget::from(&graph.limits));
        budgets.fold(Budget::from(&self.library[ROOT].limits), Budget::or)
    }

    /// What an engine with so many partitions begins with.
    pub(crate) fn config(&self, partitions: u32) -> RunConfig {
        let started = RunStarted {
            run: RUN.to_owned(),
            root: ROOT.to_owned(),
            graphs: self.library.iter().map(|(name, spec)| (name.clone(), Arc::new(spec.clone()))).collect(),
            input: Payload::from(json!("input")),
            attachment: Payload::null(),
            started_at: 0,
        };
        let validated = |spec: &GraphSpec| ValidatedGraph::after_mutation(spec.clone());
        let library = self.library.iter().map(|(name, spec)| (name.clone(), validated(spec))).collect();
        let homes = Arc::new(Homes::numbered(partitions));
        RunConfig {
            started: Arc::new(started),
            library,
            carried: None,
            homes,
            costs: Costs::default(),
            remains: None,
        }
    }
}

/// A vertex that behaves so. A call in flight at a crash is made again.
pub(crate) fn vertex(name: &str, behaviour: &Behaviour) -> VertexSpec {
    let parameters = serde_json::to_value(behaviour).unwrap_or_default();
    VertexSpec {
        name: name.into(),
        custom: Some(CustomProgram { name: "simulated".to_owned(), parameters }),
        on_unknown: Some(OnUnknown::Retry),
        ..VertexSpec::default()
    }
}

pub(crate) fn behaviour_of(vertex: &VertexSpec) -> Behaviour {
    let parameters = vertex.custom.as_ref().map(|custom| custom.parameters.clone()).unwrap_or_default();
    serde_json::from_value(parameters).unwrap_or_default()
}

/// Gives a vertex whose program is simulated another behaviour.
pub(crate) fn set_behaviour(vertex: &mut VertexSpec, behaviour: &Behaviour) {
    if let Some(custom) = &mut vertex.custom {
        custom.parameters = serde_json::to_value(behaviour).unwrap_or_default();
    }
}
