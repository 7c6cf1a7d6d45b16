//! Runs that stay, without their older supersteps.

use superstep_engine::{Record, Remains};
use superstep_runtime::{Compaction, RunError, RunPhase, RunSummary, read_run};
use superstep_store::{Store, StoreError};

use super::Outcome;
use crate::exit::CommandError;
use crate::retention::compacted;

/// What becomes of a run of which only the last `keep` supersteps are wanted; none if it has no others, or has not
/// ended.
pub(super) fn older_supersteps(
    store: &Store<Record>,
    run: &RunSummary,
    keep: u64,
    dry_run: bool,
) -> Option<Outcome> {
    match run.phase {
        RunPhase::Ended(_) if run.supersteps > keep => {}
        RunPhase::Ended(_) | RunPhase::Unfinished | RunPhase::Unreadable(_) => return None,
    }
    let shortened = if dry_run { gone_if_shortened(store, run, keep) } else { shorten(store, run, keep) };
    shortened.unwrap_or_else(|error| {
        if let CommandError::Run(RunError::Store(
            held @ (StoreError::Locked { .. } | StoreError::NotFound { .. }),
        )) = error
        {
            Some(Outcome::Left(held))
        } else {
            Some(Outcome::NotShortened(error))
        }
    })
}

fn shorten(store: &Store<Record>, run: &RunSummary, keep: u64) -> Result<Option<Outcome>, CommandError> {
    Ok(match compacted(store, &run.name, keep)? {
        Compaction::Whole => None,
        Compaction::Compacted { before, after } => Some(Outcome::Shortened { before, after }),
    })
}

fn gone_if_shortened(
    store: &Store<Record>,
    run: &RunSummary,
    keep: u64,
) -> Result<Option<Outcome>, CommandError> {
    let (_, records) = read_run(store, &run.name)?;
    let supersteps = run.supersteps.saturating_sub(keep);
    let gone_already = Remains::of(&records).is_some_and(|remains| remains.from >= supersteps);
    Ok((!gone_already).then_some(Outcome::WouldShorten { supersteps }))
}
