//! `superstep runs`: the runs of a store.

mod sweep;

use std::io;

use serde_json::{Value, json};
use superstep_engine::RunStatus;
use superstep_proto::v1;
use superstep_runtime::{RunPhase, RunSummary, list_runs};
use superstep_wire::WireError;

pub(crate) use sweep::size;

use crate::args::runs::{PhaseName, RunsArgs, RunsCommand};
use crate::exit::{CommandError, Exit};
use crate::moment::utc;
use crate::progress::status_text;
use crate::run::open_store;
use crate::{output, remote};

/// Lists the runs, the newest first, or removes some.
///
/// # Errors
/// The store cannot be read, or stdout cannot be written to.
pub(crate) fn runs(args: &RunsArgs) -> Result<Exit, CommandError> {
    if let Some(RunsCommand::Gc(args)) = &args.command {
        return sweep::sweep(args);
    }
    if let Some(url) = &args.connect.connect {
        return remote::runs(args, url);
    }
    let runs = list_runs(&open_store(&args.store)?)?;
    write(args, runs.into_iter().map(Row::of_store).collect())
}

/// A run as it is listed.
pub(crate) struct Row {
    name: String,
    graph: String,
    origin: Option<String>,
    phase: RunPhase,
    /// Whether somebody works on it.
    driven: bool,
    started_at: u64,
    supersteps: u64,
    tokens: u64,
    bytes: u64,
}

impl Row {
    fn of_store(run: RunSummary) -> Self {
        Self {
            name: run.name.to_string(),
            graph: run.graph,
            origin: run.origin.as_ref().map(ToString::to_string),
            phase: run.phase,
            driven: run.driven,
            started_at: run.started_at,
            supersteps: run.supersteps,
            tokens: run.usage.tokens(),
            bytes: run.bytes,
        }
    }

    /// The row of a run on a cluster, which works on every run that it can.
    ///
    /// # Errors
    /// It means nothing.
    pub(crate) fn of_cluster(run: v1::Run) -> Result<Self, WireError> {
        let phase = match run.phase() {
            v1::RunPhase::Ended => RunPhase::Ended(superstep_wire::status_of(run.status)?),
            v1::RunPhase::Unspecified => RunPhase::Unreadable(run.waits_for),
            v1::RunPhase::Pending
            | v1::RunPhase::Running
            | v1::RunPhase::Paused
            | v1::RunPhase::Suspended => RunPhase::Unfinished,
        };
        let totals = superstep_wire::totals_of(run.totals);
        Ok(Self {
            name: run.name,
            graph: run.graph,
            origin: Some(run.origin).filter(|origin| !origin.is_empty()),
            phase,
            driven: true,
            started_at: run.started_at,
            supersteps: totals.supersteps,
            tokens: totals.usage.tokens(),
            bytes: run.bytes,
        })
    }
}

/// Whether a run is among those that are asked for.
pub(crate) fn chosen(args: &RunsArgs, row: &Row) -> bool {
    args.status.is_empty() || phase_names(row).iter().any(|name| args.status.contains(name))
}

/// Writes those that are asked for.
///
/// # Errors
/// Stdout cannot be written to.
pub(crate) fn write(args: &RunsArgs, mut rows: Vec<Row>) -> Result<Exit, CommandError> {
    rows.retain(|row| chosen(args, row));
    let shown = rows.iter().take(args.limit.unwrap_or(usize::MAX)).map(shown).collect();
    output::write(&Value::Array(shown), args.output, &mut io::stdout().lock())?;
    Ok(Exit::Success)
}

fn shown(row: &Row) -> Value {
    json!({
        "run": row.name,
        "graph": row.graph,
        "origin": row.origin,
        "status": phase_text(&row.phase, row.driven),
        "supersteps": row.supersteps,
        "tokens": row.tokens,
        "bytes": row.bytes,
        "started": utc(row.started_at),
    })
}

/// How far a run has come, in words.
fn phase_text(phase: &RunPhase, driven: bool) -> String {
    match phase {
        RunPhase::Unfinished if driven => "running".to_owned(),
        RunPhase::Unfinished => "interrupted".to_owned(),
        RunPhase::Ended(status) => status_text(status),
        RunPhase::Unreadable(why) => why.clone(),
    }
}

/// By which names a run is chosen.
fn phase_names(run: &Row) -> &'static [PhaseName] {
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
