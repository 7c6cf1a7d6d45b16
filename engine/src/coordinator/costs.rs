//! What edges cost: taken in with each commit, and handed on to where routers weigh it.

use std::sync::Arc;

use super::Coordinator;
use crate::costs::{Costs, EdgeCosts, Measured};
use crate::ids::FrameId;

impl Coordinator {
    /// What was measured so far of the edges of all graphs, by this run and those before it.
    pub fn costs(&self) -> &Costs {
        &self.costs
    }

    /// The name of the graph of a frame that is open.
    pub fn graph_name(&self, frame: FrameId) -> Option<&str> {
        self.frames.get(&frame).map(|frame| frame.name.as_str())
    }

    /// Takes in what the activations of a commit have cost.
    pub(super) fn learn(&mut self, measured: &[Measured]) {
        for measured in measured {
            if let Some(frame) = self.frames.get(&measured.frame) {
                self.costs.learn(&frame.name, measured);
            }
        }
    }

    /// What the edges of each frame cost in which a router weighs them.
    pub(super) fn weighed(&self) -> Vec<(FrameId, Arc<EdgeCosts>)> {
        self.frames.keys().filter_map(|frame| Some((*frame, self.costs_of(*frame)?))).collect()
    }

    /// What the edges of a frame cost, if something is known of them and a router weighs it.
    pub(super) fn costs_of(&self, frame: FrameId) -> Option<Arc<EdgeCosts>> {
        let frame = self.frames.get(&frame).filter(|frame| frame.graph.topology().weighs())?;
        self.costs.of(&frame.name).cloned()
    }

    /// Takes in from the log what the activations of the next commit have cost.
    pub(crate) fn replay_measured(&mut self, measured: &[Measured]) {
        self.measured = measured.to_vec();
    }

    /// Whether the run began with these costs.
    pub(crate) fn began_with(&self, costs: &Costs) -> bool {
        self.config.costs == *costs
    }
}
