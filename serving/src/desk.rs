//! Where requests for the offered model are taken.

use std::sync::Arc;

use superstep_engine::Failure;
use superstep_runtime::{Embedder, Model, Reranker};

use crate::counts::Counts;
use crate::flights::Flights;
use crate::gate::{Gate, Place};
use crate::offered::Offered;
use crate::refusal::Refusal;

/// Where requests for the offered model are taken.
pub(crate) struct Desk {
    pub(crate) offered: Offered,
    pub(crate) gate: Arc<Gate>,
    pub(crate) flights: Arc<Flights>,
    pub(crate) counts: Arc<Counts>,
}

impl Desk {
    /// A desk before which `queue` requests may wait. `doubt` is told of failures that may pass.
    pub(crate) fn new(
        offered: Offered,
        queue: usize,
        counts: Arc<Counts>,
        doubt: Box<dyn Fn() + Send + Sync>,
    ) -> Self {
        let gate = Arc::new(Gate::new(offered.concurrent.max(1), queue));
        let flights = Arc::new(Flights::new(Arc::clone(&gate), Arc::clone(&counts), doubt));
        Self { offered, gate, flights, counts }
    }

    /// Checks that the model is meant.
    pub(crate) fn check_name(&self, asked: &str) -> Result<(), Refusal> {
        if self.offered.is_called(asked) {
            Ok(())
        } else {
            Err(Refusal::no_model(asked, self.offered.name()))
        }
    }

    /// What writes by the name that a client asks for: the model, or with one of its adapters, as MODEL:ADAPTER. The
    /// name is that by which it answers.
    pub(crate) fn writer(&self, asked: &str) -> Result<(String, Arc<dyn Model>), Refusal> {
        let name = self.offered.name();
        let model = self.offered.model.as_ref();
        let model = || model.ok_or_else(|| Refusal::other_model(name, "write texts"));
        // The name of a model may have a colon itself.
        if self.offered.is_called(asked) {
            return Ok((name.to_owned(), Arc::clone(model()?)));
        }
        // So may that of an adapter.
        let behind = |own: &String| asked.strip_prefix(own.as_str())?.strip_prefix(':');
        let mut adapters = self.offered.names.iter().filter_map(behind).peekable();
        let Some(first) = adapters.peek().copied() else { return Err(Refusal::no_model(asked, name)) };
        let model = model()?;
        let mut adapted = adapters.filter_map(|adapter| Some((adapter, model.adapted(adapter)?)));
        let (adapter, adapted) = adapted.next().ok_or_else(|| Refusal::no_adapter(first, name))?;
        Ok((format!("{name}:{adapter}"), adapted))
    }

    /// The names of all models, that of the model itself first.
    pub(crate) fn names(&self) -> Vec<String> {
        let name = self.offered.name();
        let adapters = self.offered.model.iter().flat_map(|model| model.adapters());
        [name.to_owned()].into_iter().chain(adapters.map(|adapter| format!("{name}:{adapter}"))).collect()
    }

    /// What tells how well documents answer a question.
    pub(crate) fn reranker(&self) -> Result<&Arc<dyn Reranker>, Refusal> {
        let name = self.offered.name();
        self.offered.reranker.as_ref().ok_or_else(|| Refusal::other_model(name, "rank documents"))
    }

    /// What embeds.
    pub(crate) fn embedder(&self) -> Result<&Arc<dyn Embedder>, Refusal> {
        let name = self.offered.name();
        self.offered.embedder.as_ref().ok_or_else(|| Refusal::other_model(name, "embed texts"))
    }

    /// Why there is no answer of a model that has failed; it may have died.
    pub(crate) fn failed(&self, failure: &Failure) -> Refusal {
        self.flights.doubt(failure);
        Refusal::failed(failure)
    }

    /// Waits for a place at the model.
    pub(crate) async fn place(&self) -> Result<Place, Refusal> {
        match self.gate.admit() {
            Ok(ticket) => Ok(ticket.place().await),
            Err(full) => {
                self.counts.turned_away.add(1);
                Err(Refusal::busy(full.0))
            }
        }
    }
}
