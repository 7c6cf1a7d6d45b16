//! What a worker is given by whoever starts it: how to make programs of documents.

mod loader;

use std::error::Error;
use std::sync::Arc;

use futures::future::BoxFuture;
use superstep_engine::RunStarted;
use superstep_proto::v1;
use superstep_runtime::{NewRun, Programs};
use superstep_store::RunName;

pub use loader::Loader;

/// Why what a run needs cannot be had; with its causes.
pub type ProvisionsError = Box<dyn Error + Send + Sync>;

/// Loads models, tools and programs.
pub trait Provisions: Send + Sync {
    /// The programs of a run, from what its log begins with. Models that run inside workers are
    /// [loaded](superstep_runtime::Models::load) where a vertex calls them.
    fn programs<'a>(
        &'a self,
        run: &'a RunName,
        started: &'a RunStarted,
    ) -> BoxFuture<'a, Result<Arc<Programs>, ProvisionsError>>;

    /// Programs that do nothing, for looking at a run.
    ///
    /// # Errors
    /// What its log begins with has a form that this version does not know.
    fn not_loaded(&self, run: &RunName, started: &RunStarted) -> Result<Arc<Programs>, ProvisionsError>;

    /// The run that a request wants, under its name.
    ///
    /// The error is for whoever asks: every mistake in what he sent.
    fn new_run(
        &self,
        name: RunName,
        request: v1::SubmitRequest,
    ) -> BoxFuture<'_, Result<NewRun, ProvisionsError>>;
}
