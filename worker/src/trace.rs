//! Where the traces of a worker's runs go.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use superstep_telemetry::{TraceOptions, Traces, TracesError};

/// How long the end of a worker waits for a collector.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is sent, and where to.
#[derive(Args)]
pub(crate) struct TraceArgs {
    /// Send this worker's part of the traces of runs to this collector, by OTLP over HTTP; default
    /// OTEL_EXPORTER_OTLP_ENDPOINT. A run has a trace if the worker that leads sends one.
    #[arg(long, value_name = "URL")]
    otlp: Option<String>,
    /// Write prompts, answers, the arguments and results of tools, and the words of failures into the traces.
    #[arg(long)]
    trace_content: bool,
}

impl TraceArgs {
    /// Begins to send traces, if arguments or the environment ask for them.
    ///
    /// # Errors
    /// The arguments make no exporter. What the environment has wrong is only logged.
    pub(crate) fn begin(&self, worker: &str) -> Result<Option<Arc<Traces>>, TracesError> {
        let options = TraceOptions { endpoint: self.otlp.clone(), content: self.trace_content };
        let Some(options) = options.with_environment(&|name| std::env::var(name).ok()) else {
            return Ok(None);
        };
        match Traces::start_as(&options, worker) {
            Ok(traces) => Ok(Some(Arc::new(traces))),
            Err(error) if self.otlp.is_some() => Err(error),
            Err(error) => {
                tracing::error!(%error, "the worker goes on without traces");
                Ok(None)
            }
        }
    }
}

/// Sends what waits.
pub(crate) async fn finish(traces: Option<Arc<Traces>>) -> Result<()> {
    if let Some(traces) = traces {
        tokio::task::spawn_blocking(move || traces.finish(PATIENCE)).await?;
    }
    Ok(())
}
