//! Short ways to begin a run, with what an embedding process seldom changes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use superstep_engine::{Carried, Payload};
use superstep_graph::ValidatedGraph;
use superstep_store::RunName;

use super::{NewRun, Observer, Setup};
use crate::programs::Programs;

impl Setup {
    /// Programs, nobody who is told anything, and runs that are left when they are paused.
    pub fn new(programs: impl Into<Arc<Programs>>) -> Self {
        let programs = programs.into();
        Self { programs, observers: Vec::new(), owner: "superstep".to_owned(), leave_when_paused: true }
    }

    /// The same, with one more that is told what happens.
    #[must_use]
    pub fn observed_by(mut self, observer: Arc<dyn Observer>) -> Self {
        self.observers.push(observer);
        self
    }
}

impl NewRun {
    /// A run named `name` of one graph, which has no sub-graphs, begun now by this machine's clock.
    pub fn new(name: RunName, graph: ValidatedGraph, input: impl Into<Payload>) -> Self {
        let root = "main".to_owned();
        let started_at = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        Self {
            name,
            graphs: BTreeMap::from([(root.clone(), graph)]),
            root,
            input: input.into(),
            attachment: Payload::null(),
            started_at: started_at.map_or(0, |since| since.as_secs()),
            carried: None,
        }
    }

    /// The same run, which continues another one: the values of its vertices, and what its persistent
    /// aggregators hold, are those that the other run left, as far as its graph has them.
    #[must_use]
    pub fn continuing(self, carried: Carried) -> Self {
        Self { carried: Some(carried), ..self }
    }
}
