//! Runs executed again beside their logs: the programs run, and the outside does not.
//!
//! The log is the schedule. Before a record is taken in that tells how an attempt of a program ended, that
//! attempt is made again on what it saw, its calls are answered from the log, and what it comes to is compared
//! with the record byte for byte. The engine then makes each commit again from what the log has.

mod difference;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::FutureExt as _;
use superstep_engine::{
    ActivationId, Again, CallKey, Completion, End, Failure, FrameId, Job, Outcome, ProgramResult, Proposal,
    Recall, Record, ReplayError, Solo,
};
use superstep_graph::{VertexName, VertexSpec};
use superstep_store::RunName;
use tokio::sync::mpsc;

use super::{RunError, config_of, whole};
use crate::cache::CACHE_TARGET;
use crate::calls::{CallDecision, CallEvent, Caller, Calls};
use crate::expressions::EdgeExpressions;
use crate::hands::{PreparedVertices, activation, unless_it_panics};
use crate::program::{Execution, Listener};
use crate::programs::{PrepareError, Prepared, Programs};
use crate::question::stamped_as;

pub use difference::Difference;

/// What a replay has come to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Replayed {
    /// Supersteps whose programs were executed.
    pub supersteps: u64,
    /// Activations that were executed, each element counted.
    pub activations: u64,
    /// Calls that were answered from the log.
    pub calls: u64,
    /// Attempts that the clock ended, which are as the log has them.
    pub overran: u64,
    /// Results that were kept from elsewhere, which are as the log has them.
    pub kept: u64,
    /// Activations whose programs this process does not have, and what it lacks, by activation.
    pub not_executed: BTreeMap<ActivationId, String>,
    /// The first thing that did not come out as the log has it; nothing after it was looked at.
    pub difference: Option<Difference>,
}

/// Executes the programs of a run again from superstep `from` on, with what the log has in place of the
/// outside: no call is made, and nothing is written. The run need not have ended.
///
/// Programs that the embedding process registered run too. One that does not only depend on what it sees, or
/// acts by other ways than its calls, comes to something else, or acts again.
///
/// # Errors
/// The records do not follow from each other, or a graph is not valid to this version.
pub async fn replay(
    name: &RunName,
    records: &[Record],
    programs: &Arc<Programs>,
    from: u64,
) -> Result<Replayed, RunError> {
    let config = whole(name, config_of(name, records)?)?;
    let mut replay = Replay {
        solo: Solo::new(config, Arc::new(EdgeExpressions::new(Arc::clone(programs)))),
        programs: Arc::clone(programs),
        prepared: PreparedVertices::new(Arc::clone(programs)),
        targets: BTreeMap::new(),
        refused: None,
        told: Replayed::default(),
    };
    for (position, record) in records.iter().enumerate() {
        let superstep = replay.solo.coordinator().superstep();
        if superstep >= from && !replay.look_at(record).await {
            break;
        }
        replay.note(record);
        let taken = replay.solo.replay(std::slice::from_ref(record));
        while replay.solo.poll_action().is_some() {}
        match (taken, record) {
            (Ok(()), Record::Committed(_)) if superstep >= from => replay.told.supersteps += 1,
            (Ok(()), _) => {}
            (Err(found), Record::Committed(_)) => {
                replay.told.difference = Some(Difference::of_commit(superstep, found.why.to_string()));
                break;
            }
            (Err(found), _) => {
                let source = ReplayError { position, why: found.why };
                return Err(RunError::Replay { run: name.clone(), source });
            }
        }
    }
    Ok(replay.told)
}

struct Replay {
    solo: Solo,
    programs: Arc<Programs>,
    prepared: PreparedVertices,
    /// What the calls of activations that are not committed yet were made to.
    targets: BTreeMap<CallKey, String>,
    /// A call of the present attempt that the log does not have, and that a budget may have refused.
    refused: Option<String>,
    told: Replayed,
}

/// What came of making an attempt again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Attempt {
    /// What the log has.
    Same,
    /// Nothing was executed.
    AsRecorded,
    /// Something else, which is told.
    Other,
}

/// What becomes of a program that is executed again.
enum Executed {
    Ended(Outcome),
    /// This process does not have it.
    Absent(String),
    /// It makes a call that the log does not have.
    Calls(String),
}

impl Replay {
    /// Takes down what is called, for as long as its activation is not committed.
    fn note(&mut self, record: &Record) {
        if let Record::CallIntent { call, request } = record {
            self.targets.insert(call.clone(), request.target.clone());
        }
        if let Record::Committed(commit) = record {
            let ended: BTreeSet<(FrameId, &VertexName)> =
                commit.completed.iter().map(|completion| (completion.frame, &completion.vertex)).collect();
            self.targets.retain(|call, _| !ended.contains(&(call.activation.frame, &call.activation.vertex)));
        }
    }

    /// Executes the programs again whose ends `record` tells; whether all came to the same.
    async fn look_at(&mut self, record: &Record) -> bool {
        match record {
            Record::AttemptFailed { activation, failure, .. } => {
                self.attempt(activation, &Outcome::Failed(failure.clone())).await != Attempt::Other
            }
            Record::Suspended { id, question, doubt: None } => {
                let recorded = Outcome::Suspended(question.clone());
                self.attempt(&id.activation, &recorded).await != Attempt::Other
            }
            Record::Committed(commit) => {
                for completion in &commit.completed {
                    if !self.completion(completion).await {
                        return false;
                    }
                }
                true
            }
            Record::CallIntent { .. }
            | Record::RunStarted(_)
            | Record::EpochTaken { .. }
            | Record::CallEnded { .. }
            | Record::Suspended { doubt: Some(_), .. }
            | Record::Answered { .. }
            | Record::Patched(_)
            | Record::Ended(_)
            | Record::Known(_)
            | Record::Measured(_)
            | Record::Forked { .. }
            | Record::Continued(_)
            | Record::Placed(_)
            | Record::Compacted(_)
            | Record::Told(_)
            | Record::RunSuspended(_) => true,
        }
    }

    async fn completion(&mut self, completion: &Completion) -> bool {
        // What is not in flight is refused with the commit.
        let Some(activation) = self.solo.in_flight(completion) else { return true };
        match &completion.end {
            End::Derived => true,
            End::Single(end) => self.end(&activation, end).await,
            End::Each(ends) => {
                for (element, end) in (0u32..).zip(ends) {
                    let element = ActivationId { element: Some(element), ..activation.clone() };
                    if !self.end(&element, end).await {
                        return false;
                    }
                }
                true
            }
        }
    }

    async fn end(&mut self, activation: &ActivationId, end: &Result<Arc<ProgramResult>, Failure>) -> bool {
        let recorded = match end {
            Ok(result) => Outcome::Done(ProgramResult::clone(result)),
            Err(failure) => Outcome::Failed(failure.clone()),
        };
        let attempt = self.attempt(activation, &recorded).await;
        self.told.activations += u64::from(attempt == Attempt::Same);
        attempt != Attempt::Other
    }

    /// Makes the present attempt of an activation again, which ended as `recorded`.
    async fn attempt(&mut self, activation: &ActivationId, recorded: &Outcome) -> Attempt {
        if matches!(recorded, Outcome::Failed(failure) if failure.is_overrun()) {
            self.told.overran += 1;
            return Attempt::AsRecorded;
        }
        if self.took_kept(activation) {
            self.told.kept += 1;
            return Attempt::AsRecorded;
        }
        self.refused = None;
        let executed = match self.solo.again(activation) {
            // What is not in flight was cancelled while its end was on its way to the log.
            None => return Attempt::AsRecorded,
            Some(Again::Answer(result)) => Executed::Ended(Outcome::Done(result)),
            Some(Again::Program(job)) => self.execute(job, recorded).await,
        };
        let superstep = self.solo.coordinator().superstep();
        let difference = match executed {
            Executed::Absent(what) => {
                self.told.not_executed.insert(activation.clone(), what);
                return Attempt::AsRecorded;
            }
            Executed::Calls(target) => Some(Difference::of_call(superstep, activation, None, Some(target))),
            Executed::Ended(outcome) => {
                let outcome = Proposal::as_recorded(stamped_as(outcome.bounded(), recorded), recorded);
                let found = || Difference::between(superstep, activation, recorded, &outcome);
                self.unmade(superstep, activation).or_else(found).map(|found| match self.refused.take() {
                    None => found,
                    Some(target) => Difference::of_call(superstep, activation, None, Some(target)),
                })
            }
        };
        self.told.difference = difference;
        if self.told.difference.is_none() { Attempt::Same } else { Attempt::Other }
    }

    /// A call that the log has, and that the program has not made.
    fn unmade(&mut self, superstep: u64, activation: &ActivationId) -> Option<Difference> {
        let call = self.solo.unasked(activation).into_iter().next()?;
        let target = self.targets.get(&call).cloned().unwrap_or_default();
        Some(Difference::of_call(superstep, activation, Some(target), None))
    }

    /// The program of an attempt, which keeps and takes no results: that is a matter of the time and the store.
    fn program(&mut self, job: &Job) -> Result<Prepared, PrepareError> {
        let graph = self.solo.coordinator().graph(job.activation.frame);
        let prepared = self.prepared.get(job, graph.map(|graph| &**graph.topology()))?.clone();
        if job.vertex.cache.is_none() {
            return Ok(prepared);
        }
        let plain = VertexSpec { cache: None, ..VertexSpec::clone(&job.vertex) };
        Ok(Prepared { program: self.programs.for_vertex(&plain)?, ..prepared })
    }

    /// Whether the log has it that an activation took a result which was kept.
    fn took_kept(&self, activation: &ActivationId) -> bool {
        let took =
            |(call, target): (&CallKey, &String)| call.activation == *activation && target == CACHE_TARGET;
        self.targets.iter().any(took)
    }

    async fn execute(&mut self, job: Job, recorded: &Outcome) -> Executed {
        let Prepared { program, ports } = match self.program(&job) {
            Ok(prepared) => prepared,
            Err(
                error @ (PrepareError::UnknownProgram { .. }
                | PrepareError::UnknownTool { .. }
                | PrepareError::UnknownModel { .. }
                | PrepareError::WrongModel { .. }
                | PrepareError::Unread { .. }
                | PrepareError::Links { .. }),
            ) => return Executed::Absent(error.to_string()),
            Err(
                error @ (PrepareError::NoProgram { .. }
                | PrepareError::Frame { .. }
                | PrepareError::Source { .. }
                | PrepareError::Schema { .. }),
            ) => return Executed::Ended(Outcome::Failed(Failure::permanent(error.to_string()))),
        };
        let (sender, mut events) = mpsc::unbounded_channel();
        let id = job.activation.clone();
        let calls = Calls::new(Caller(0), sender);
        let running = match program.start(activation(job, ports, calls, Listener::default())) {
            Execution::Ready(outcome) => return Executed::Ended(outcome),
            Execution::Running(running) => unless_it_panics(running),
        };
        let mut running = std::pin::pin!(running.fuse());
        loop {
            tokio::select! {
                biased;
                Some(event) = events.recv() => {
                    if let Err(target) = self.answer(&id, event, recorded) {
                        return Executed::Calls(target);
                    }
                }
                outcome = &mut running => return Executed::Ended(outcome),
            }
        }
    }

    /// Answers a call from the log.
    ///
    /// # Errors
    /// The log does not have it; what would have been called.
    fn answer(&mut self, id: &ActivationId, event: CallEvent, recorded: &Outcome) -> Result<(), String> {
        let (request, reply) = match event {
            CallEvent::Asked { request, reply, .. } => (request, reply),
            // Nothing is performed here.
            CallEvent::Ended { .. } => return Ok(()),
        };
        let decision = match self.solo.recall(id, &request, recorded) {
            Recall::Ended(outcome) => {
                self.told.calls += 1;
                CallDecision::Reuse(outcome)
            }
            Recall::Refused(failure) => CallDecision::Refused(failure),
            Recall::NoRoom(failure) => {
                self.refused.get_or_insert(request.target);
                CallDecision::Refused(failure)
            }
            Recall::Unknown => return Err(request.target),
        };
        if reply.send(decision).is_err() {
            tracing::trace!("a program does not wait for its call any more");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
