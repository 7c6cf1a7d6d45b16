//! The run as the span at the root of its trace.

use std::time::{Duration, SystemTime};

use opentelemetry::trace::SpanId;
use superstep_engine::{RunStarted, RunStatus, Totals};

use crate::draft::Draft;
use crate::ids::TraceIds;
use crate::words;

/// A run, as its log begins.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    pub(crate) run: String,
    pub(crate) graph: String,
    pub(crate) started_at: u64,
}

impl Origin {
    pub(crate) fn of(started: &RunStarted) -> Self {
        let (run, graph) = (started.run.clone(), started.root.clone());
        Self { run, graph, started_at: started.started_at }
    }

    pub(crate) fn ids(&self) -> TraceIds {
        TraceIds::of(&self.run, self.started_at)
    }
}

/// The span of a run. It starts when the log says that the run did, to the second.
pub(crate) fn begin(id: SpanId, origin: &Origin) -> Draft {
    let start = SystemTime::UNIX_EPOCH + Duration::from_secs(origin.started_at);
    let mut root = Draft::new(id, SpanId::INVALID, format!("invoke_workflow {}", origin.graph), start);
    root.set("gen_ai.operation.name", "invoke_workflow");
    root.set("gen_ai.workflow.name", origin.graph.clone());
    root.set("superstep.run", origin.run.clone());
    root
}

/// Says how the run has ended, and what it used.
pub(crate) fn end(root: &mut Draft, status: &RunStatus, totals: &Totals, content: bool) {
    let (word, error) = words::status(status);
    root.set("superstep.run.status", word);
    root.set_if("superstep.run.limit", words::limit(status));
    if let Some(error) = error {
        root.fail(error, words::message(status).filter(|_| content));
    }
    root.count("superstep.supersteps", totals.supersteps);
    root.count("superstep.activations", totals.activations);
    root.count("superstep.mutations", totals.mutations);
    root.count("superstep.usage.calls", totals.usage.calls);
    root.count("superstep.usage.input_tokens", totals.usage.prompt_tokens);
    root.count("superstep.usage.output_tokens", totals.usage.completion_tokens);
    root.set("superstep.cost", totals.usage.cost);
}
