//! A log that takes its time, and what was ever durable in it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::faults::Sabotage;
use crate::scenario::RUN;
use superstep_engine::{CallOutcome, Epoch, PartitionId, Record, Token};

/// An append on its way.
#[derive(Clone, Debug)]
pub(crate) struct Append {
    pub(crate) from: Option<PartitionId>,
    pub(crate) token: Token,
    pub(crate) records: Vec<Record>,
    /// The term of who writes.
    pub(crate) epoch: Epoch,
    /// Where the first write of a term is to stand: behind all that its writer has read.
    pub(crate) behind: Option<usize>,
}

/// What has become of a write.
#[derive(Debug)]
pub(crate) enum Written {
    /// Nothing waits, or the run has ended.
    Nothing,
    /// It is durable.
    Done(Append),
    /// Another leader has written since the writer's term began, or before it could begin.
    Fenced,
}

/// The log of the run, and a witness of all that was ever durable, which no defect erases.
#[derive(Clone, Debug, Default)]
pub(crate) struct Store {
    pub(crate) log: Vec<Record>,
    /// Appends in the order in which they will be written.
    pub(crate) waiting: VecDeque<Append>,
    /// When the last of them will be written, and when the last was said to be durable.
    pub(crate) busy_until: u64,
    pub(crate) said_until: u64,
    pub(crate) writes: u64,
    /// Writes that were tried.
    pub(crate) tried: u64,
    /// How long the log was after each write.
    ends: Vec<usize>,
    /// Supersteps committed.
    pub(crate) commits: u64,
    epoch: Epoch,
    pub(crate) intents: BTreeSet<String>,
    /// The calls that have an outcome, and how long the ledger of the model server was when it became durable.
    pub(crate) outcomes: BTreeMap<String, usize>,
    /// How long that ledger is.
    pub(crate) ledger: usize,
    pub(crate) ended: bool,
    /// Whether somebody wants the run to stand still.
    pub(crate) suspended: bool,
    /// Whether a commit was written behind that: then nothing may start.
    pub(crate) held: bool,
    /// Whether a term was taken since the last crash.
    pub(crate) led: bool,
}

impl Store {
    /// Writes the oldest append that waits.
    ///
    /// # Errors
    /// It breaks a rule of the log.
    pub(crate) fn write(&mut self, sabotage: Option<Sabotage>) -> Result<Written, String> {
        let Some(append) = self.waiting.pop_front() else { return Ok(Written::Nothing) };
        self.write_this(append, sabotage)
    }

    /// As [`Self::write`], with an append that did not wait.
    ///
    /// # Errors
    /// It breaks a rule of the log.
    pub(crate) fn write_this(
        &mut self,
        append: Append,
        sabotage: Option<Sabotage>,
    ) -> Result<Written, String> {
        if self.ended && append.from.is_some() {
            // A partition that has not heard of the end yet: the log is closed.
            return Ok(Written::Nothing);
        }
        if append.epoch < self.epoch && sabotage != Some(Sabotage::NoEpochCheck) {
            return Ok(Written::Fenced);
        }
        let at = append.behind.unwrap_or(self.log.len());
        if at != self.log.len() {
            if sabotage != Some(Sabotage::PlainPut) {
                return Ok(Written::Fenced);
            }
            self.log.truncate(at);
        }
        self.writes += 1;
        self.witness_term(&append)?;
        for record in &append.records {
            self.witness(record, RUN)?;
        }
        self.log.extend(append.records.iter().cloned());
        self.ends.push(self.log.len());
        Ok(Written::Done(append))
    }

    /// The log as a process sees it that is not shown the last `lacking` writes.
    pub(crate) fn stale(&self, lacking: usize) -> usize {
        let shown = self.ends.len().saturating_sub(lacking).max(1);
        self.ends.get(shown - 1).copied().unwrap_or(self.log.len()).min(self.log.len())
    }

    /// What is written stands behind no term that is later than that of its writer.
    fn witness_term(&self, append: &Append) -> Result<(), String> {
        let (own, taken) = (append.epoch.0, self.epoch.0);
        if own < taken {
            Err(format!("a write of epoch {own} was taken after epoch {taken}"))
        } else {
            Ok(())
        }
    }

    fn witness(&mut self, record: &Record, run: &str) -> Result<(), String> {
        if self.ended {
            return Err(format!("after the end of the run {record:?} was written"));
        }
        match record {
            Record::Committed(commit) => {
                if commit.superstep != self.commits {
                    return Err(format!(
                        "superstep {} was committed after {} commits",
                        commit.superstep, self.commits
                    ));
                }
                self.commits += 1;
                self.held = self.suspended;
            }
            Record::EpochTaken { epoch, .. } => {
                if *epoch <= self.epoch {
                    return Err(format!("epoch {} was taken after epoch {}", epoch.0, self.epoch.0));
                }
                self.epoch = *epoch;
                self.led = true;
            }
            Record::CallIntent { call, .. } => {
                self.intents.insert(call.idempotency_key(run));
            }
            Record::CallEnded { call, .. } => {
                if self.outcomes.insert(call.idempotency_key(run), self.ledger).is_some() {
                    return Err(format!("the call of {} ended twice", call.activation));
                }
            }
            Record::Ended(_) => self.ended = true,
            Record::RunSuspended(suspended) => {
                self.suspended = *suspended;
                self.held &= *suspended;
            }
            Record::RunStarted(_)
            | Record::AttemptFailed { .. }
            | Record::Suspended { .. }
            | Record::Answered { .. }
            | Record::Patched(_)
            | Record::Known(_)
            | Record::Measured(_)
            | Record::Forked { .. }
            | Record::Continued(_)
            | Record::Placed(_)
            | Record::Compacted(_)
            | Record::Told(_) => {}
        }
        Ok(())
    }

    /// Whether a call of this digest has this outcome in the log.
    pub(crate) fn holds(&self, digest: [u8; 16], outcome: &CallOutcome) -> bool {
        let same = |record: &Record| matches!(record, Record::CallEnded { call, outcome: held } if call.digest == digest && held == outcome);
        self.log.iter().any(same)
    }

    /// The outcome of the last call of this digest.
    pub(crate) fn last_outcome(&self, digest: [u8; 16]) -> Option<CallOutcome> {
        self.log.iter().rev().find_map(|record| {
            let Record::CallEnded { call, outcome } = record else { return None };
            (call.digest == digest).then(|| outcome.clone())
        })
    }
}
