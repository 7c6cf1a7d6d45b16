//! `superstep runs`: the runs of a store.

mod sweep;

use std::io;

use serde_json::{Value, json};
use superstep_engine::RunStatus;
use superstep_runtime::{RunPhase, RunSummary, list_runs};

pub(crate) use sweep::size;

use crate::args::runs::{PhaseName, RunsArgs, RunsCommand};
use crate::exit::{CommandError, Exit};
use crate::moment::utc;
use crate::output;
use crate::progress::status_text;
use crate::run::open_store;

/// Lists the runs, the newest first, or removes some.
///
/// # Errors
/// The store cannot be read, or stdout cannot be written to.
pub(crate) fn runs(args: &RunsArgs) -> Result<Exit, CommandError> {
    if let Some(RunsCommand::Gc(args)) = &args.command {
        return sweep::sweep(args);
    }
    let store = open_store(&args.store)?;
    let runs = list_runs(&store)?;
    let is_chosen = |run: &&RunSummary| phase_names(run).iter().any(|name| args.status.contains(name));
    let chosen = runs.iter().filter(|run| args.status.is_empty() || is_chosen(run));
    let rows = chosen.take(args.limit.unwrap_or(usize::MAX)).map(row).collect();
    output::write(&Value::Array(rows), args.output, &mut io::stdout().lock())?;
    Ok(Exit::Success)
}

fn row(run: &RunSummary) -> Value {
    json!({
        "run": run.name.as_str(),
        "graph": run.graph,
        "origin": run.origin.as_ref().map(ToString::to_string),
        "status": phase_text(run),
        "supersteps": run.supersteps,
        "tokens": run.usage.tokens(),
        "bytes": run.bytes,
        "started": utc(run.started_at),
    })
}

/// How far a run has come, in words.
fn phase_text(run: &RunSummary) -> String {
    match &run.phase {
        RunPhase::Unfinished if run.driven => "running".to_owned(),
        RunPhase::Unfinished => "interrupted".to_owned(),
        RunPhase::Ended(status) => status_text(status),
        RunPhase::Unreadable(why) => why.clone(),
    }
}

/// By which names a run is chosen.
fn phase_names(run: &RunSummary) -> &'static [PhaseName] {
    match &run.phase {
        RunPhase::Unfinished if run.driven => &[PhaseName::Unfinished, PhaseName::Running],
        RunPhase::Unfinished => &[PhaseName::Unfinished, PhaseName::Interrupted],
        RunPhase::Ended(RunStatus::Succeeded) => &[PhaseName::Succeeded],
        RunPhase::Ended(RunStatus::Failed { .. }) => &[PhaseName::Failed],
        RunPhase::Ended(RunStatus::LimitReached(_)) => &[PhaseName::LimitReached],
        RunPhase::Ended(RunStatus::Cancelled) => &[PhaseName::Cancelled],
        RunPhase::Unreadable(_) => &[PhaseName::Unreadable],
    }
}
