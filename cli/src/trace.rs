//! Traces of the runs that a command drives.

use std::sync::Arc;
use std::time::Duration;

use superstep_engine::RunStarted;
use superstep_runtime::{NewRun, Observer};
use superstep_telemetry::{TraceOptions, Traces};

use crate::args::runs::TraceArgs;
use crate::exit::CommandError;

/// How long the end of a command waits for a collector.
const PATIENCE: Duration = Duration::from_secs(10);

/// The traces of a command, if they are asked for.
pub(crate) struct Tracing(Option<Traces>);

impl Tracing {
    /// Begins to send traces, if arguments or the environment ask for them.
    ///
    /// # Errors
    /// The arguments make no exporter. What the environment has wrong is only logged.
    pub(crate) fn begin(args: &TraceArgs) -> Result<Self, CommandError> {
        let options = TraceOptions { endpoint: args.otlp.clone(), content: args.trace_content };
        let Some(options) = options.with_environment(&|name| std::env::var(name).ok()) else {
            return Ok(Self(None));
        };
        match Traces::start(&options) {
            Ok(traces) => Ok(Self(Some(traces))),
            Err(error) if args.otlp.is_some() => Err(error.into()),
            Err(error) => {
                tracing::error!(%error, "the run goes on without a trace");
                Ok(Self(None))
            }
        }
    }

    /// What watches a run that begins.
    pub(crate) fn of_new(&self, new: &NewRun) -> Option<Arc<dyn Observer>> {
        self.0.as_ref().map(|traces| traces.of_new(new))
    }

    /// What watches a run that is resumed.
    pub(crate) fn of_resumed(&self, started: &RunStarted) -> Option<Arc<dyn Observer>> {
        self.0.as_ref().map(|traces| traces.of_resumed(started))
    }

    /// Sends what waits.
    pub(crate) fn finish(&self) {
        if let Some(traces) = &self.0 {
            traces.finish(PATIENCE);
        }
    }
}
