//! What is left of a run that has ended once its older records are let go.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::coordinator::RunConfig;
use crate::expressions::Expressions;
use crate::notice::Notice;
use crate::payload::Payload;
use crate::record::{Carried, Record, Totals};
use crate::solo::{Action, ReplayError, Solo};

/// What a run has come to whose records of older supersteps are gone. With what its later supersteps told
/// ([`Record::Told`]) it stands in the place of the records from which it followed: nothing can be executed, or
/// forked, from it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Remains {
    /// The first superstep of which the log tells what happened.
    pub from: u64,
    /// What the outputs were at the end.
    pub outputs: Payload,
    /// What the run used.
    pub totals: Totals,
    /// What a run takes over that continues it.
    pub carried: Carried,
}

/// Why a run cannot be compacted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CompactError {
    /// It can still be resumed, for which it needs every record.
    #[error("it has not ended")]
    NotEnded,
    /// The records do not follow from each other.
    #[error(transparent)]
    Replay(#[from] ReplayError),
}

impl Remains {
    /// What the log has of a run in place of its older records; none if it has those.
    pub fn of(records: &[Record]) -> Option<&Arc<Self>> {
        // It is in the batch that begins the log.
        records.iter().take(5).find_map(|record| match record {
            Record::Compacted(remains) => Some(remains),
            Record::RunStarted(_)
            | Record::EpochTaken { .. }
            | Record::CallIntent { .. }
            | Record::CallEnded { .. }
            | Record::AttemptFailed { .. }
            | Record::Suspended { .. }
            | Record::Answered { .. }
            | Record::Patched(_)
            | Record::Committed(_)
            | Record::Ended(_)
            | Record::Known(_)
            | Record::Measured(_)
            | Record::Forked { .. }
            | Record::Continued(_)
            | Record::Placed(_)
            | Record::Told(_)
            | Record::RunSuspended(_) => None,
        })
    }
}

/// The records of a run that has ended, of `config`, with which its log keeps its start, its last `keep`
/// supersteps, its outputs and its end; none if it has no other supersteps. What the run tells from there on is
/// what it told before, and so are its outputs, its totals and what another run takes over from it.
///
/// # Errors
/// The run has not ended, or its records do not follow from each other.
pub fn compact(
    config: RunConfig,
    expressions: Arc<dyn Expressions + Send + Sync>,
    records: &[Record],
    keep: u64,
) -> Result<Option<Vec<Record>>, CompactError> {
    if !records.iter().any(|record| matches!(record, Record::Ended(_))) {
        return Err(CompactError::NotEnded);
    }
    let from = Record::supersteps(records).saturating_sub(keep);
    if from <= Remains::of(records).map_or(0, |remains| remains.from) {
        return Ok(None);
    }
    let mut kept: Vec<Record> = records.iter().filter(|record| is_start(record)).cloned().collect();
    let mut solo = Solo::new(config, expressions);
    let mut told = Vec::new();
    for (position, record) in records.iter().enumerate() {
        let replayed = solo.replay(std::slice::from_ref(record));
        replayed.map_err(|found| ReplayError { position, why: found.why })?;
        while let Some(action) = solo.poll_action() {
            let Action::Notify(notice) = action else { continue };
            let opens = matches!(&notice, Notice::Committed { superstep, .. } if superstep + 1 == from);
            told.push(if let Notice::Ended { status, .. } = &notice {
                Record::Ended(status.clone())
            } else {
                Record::Told(Box::new(notice))
            });
            if opens {
                told.clear();
            }
        }
    }
    let (outputs, totals) = (solo.coordinator().outputs(), solo.coordinator().totals());
    kept.push(Record::Compacted(Arc::new(Remains { from, outputs, totals, carried: solo.carried() })));
    kept.extend(told);
    Ok(Some(kept))
}

/// Whether a record belongs to what a run begins with, apart from who drove it.
fn is_start(record: &Record) -> bool {
    match record {
        Record::RunStarted(_) | Record::Known(_) | Record::Forked { .. } | Record::Continued(_) => true,
        Record::EpochTaken { .. }
        | Record::CallIntent { .. }
        | Record::CallEnded { .. }
        | Record::AttemptFailed { .. }
        | Record::Suspended { .. }
        | Record::Answered { .. }
        | Record::Patched(_)
        | Record::Committed(_)
        | Record::Ended(_)
        | Record::Measured(_)
        | Record::Placed(_)
        | Record::Compacted(_)
        | Record::Told(_)
        | Record::RunSuspended(_) => false,
    }
}
