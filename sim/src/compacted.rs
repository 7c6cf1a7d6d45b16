//! A log that is compacted: it tells of the supersteps that stay what it told before, and comes to the same.

use std::sync::Arc;

use superstep_engine::{
    Action, Carried, CompactError, Notice, Record, Remains, ReplayError, RunConfig, RunStatus, Solo, compact,
};

use crate::history::History;
use crate::scenario::Scenario;
use crate::words::Words;

/// Why a log and what is left of it do not agree.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Disagreement {
    #[error("the log cannot be compacted: {0}")]
    Compact(#[from] CompactError),
    #[error("the compacted log cannot be gone through: {0}")]
    Replay(#[from] ReplayError),
    #[error("the run and what is left of it differ from superstep {from} on:\n    {difference}")]
    Told { from: u64, difference: String },
    #[error("another run takes over something else from what is left")]
    Carried,
}

/// Compacts the log of a run that has ended to its last `keep` supersteps; whether there were others.
///
/// # Errors
/// What is left disagrees with the log.
pub(crate) fn compacted(scenario: &Scenario, log: &[Record], keep: u64) -> Result<bool, Disagreement> {
    let config = scenario.config(1);
    let Some(left) = compact(config.clone(), Arc::new(Words), log, keep)? else { return Ok(false) };
    let from = Record::supersteps(log) - keep;
    let (before, carried) = told(config.clone(), log, from)?;
    let (after, carried_after) =
        told(RunConfig { remains: Remains::of(&left).cloned(), ..config }, &left, 0)?;
    if let Some(difference) = before.difference(&after) {
        return Err(Disagreement::Told { from, difference });
    }
    if carried == carried_after { Ok(true) } else { Err(Disagreement::Carried) }
}

/// What a log tells once superstep `from` - 1 is committed, and what another run takes over from it.
fn told(config: RunConfig, log: &[Record], from: u64) -> Result<(History, Carried), ReplayError> {
    let mut solo = Solo::new(config, Arc::new(Words));
    solo.replay(log)?;
    let mut notices = Vec::new();
    let mut status: Option<RunStatus> = None;
    while let Some(action) = solo.poll_action() {
        match action {
            Action::Notify(notice) => {
                let opens = matches!(&notice, Notice::Committed { superstep, .. } if superstep + 1 == from);
                notices.push(notice);
                if opens {
                    notices.clear();
                }
            }
            Action::Ended(how) => status = Some(how),
            Action::Append(..) | Action::Run(_) | Action::Abort(_) | Action::Decide { .. } => {}
        }
    }
    let outputs = solo.coordinator().outputs().value().clone();
    Ok((History::of(&notices, status, outputs), solo.carried()))
}
