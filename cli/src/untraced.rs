//! In place of traces, in a build that sends none.

use std::sync::Arc;

use superstep_engine::RunStarted;
use superstep_runtime::{NewRun, Observer};

use crate::args::runs::TraceArgs;
use crate::exit::CommandError;

/// No traces.
pub(crate) struct Tracing;

#[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "as with the feature")]
impl Tracing {
    /// Begins nothing.
    ///
    /// # Errors
    /// Never.
    pub(crate) fn begin(_args: &TraceArgs) -> Result<Self, CommandError> {
        Ok(Self)
    }

    /// Nobody.
    pub(crate) fn of_new(&self, _new: &NewRun) -> Option<Arc<dyn Observer>> {
        None
    }

    /// Nobody.
    pub(crate) fn of_resumed(&self, _started: &RunStarted) -> Option<Arc<dyn Observer>> {
        None
    }

    /// Nothing waits.
    pub(crate) fn finish(&self) {}
}
