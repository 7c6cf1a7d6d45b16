//! What log lines say of the run that they are about, and of its term.

use superstep_store::RunName;
use tracing::Span;
use tracing::field::Empty;

/// Of a run, whatever its term.
pub(crate) fn of_run(run: &RunName) -> Span {
    // It is there at every level of lines.
    tracing::error_span!(parent: None, "run", %run)
}

/// Of one term of a run, and of its trace, if it has one.
pub(crate) fn of_term(run: &RunName, epoch: u64, trace: Option<String>) -> Span {
    let span = tracing::error_span!(parent: None, "run", %run, epoch, trace_id = Empty);
    if let Some(trace) = trace {
        span.record("trace_id", trace);
    }
    span
}
