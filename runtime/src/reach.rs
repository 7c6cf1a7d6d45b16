//! Changing a run whoever drives it, and if nobody does.

use std::sync::Arc;
use std::time::Duration;

use superstep_engine::{Patch, Payload, QuestionId, Record, RunStatus};
use superstep_store::{RunName, Store, StoreError};
use tokio::time::{Instant, sleep};

use crate::control::{Asked, ControlError, Refusal, Reply, Request, ask};
use crate::programs::Programs;
use crate::runner::{RunError, RunState, answer_left, cancel_left, patch_left, read_run, suspend_left};

/// One who has a log and does not listen may be about to: so long he is waited for.
const PATIENCE: Duration = Duration::from_secs(10);
const BETWEEN_TRIES: Duration = Duration::from_millis(20);

/// Reaches a run from outside: through the process that drives it, if that listens, and through the run's log,
/// if nobody drives it.
///
/// Whatever returns without an error is durable. Everything may be asked for again: where a process was killed
/// before it could reply, the log tells whether it did what it was asked.
///
/// A run in memory is reached by its [`RunHandle`](crate::RunHandle), and here only while nobody drives it.
#[derive(Clone)]
pub struct Reach {
    store: Store<Record>,
    run: RunName,
    programs: Arc<Programs>,
    owner: String,
}

/// Who has taken something in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reached {
    /// The process that drives the run, which goes on with it.
    Driver,
    /// The log: whoever resumes the run goes on with it.
    Log,
}

/// What came of a request.
enum Done {
    Recorded(Reached),
    Ended(RunStatus),
}

impl Reach {
    /// Reaches a run of `store`. `programs` are needed to read its log and may be unable to run, and `owner`
    /// is noted in the log where that is written to.
    pub fn new(
        store: &Store<Record>,
        run: &RunName,
        programs: impl Into<Arc<Programs>>,
        owner: impl Into<String>,
    ) -> Self {
        Self { store: store.clone(), run: run.clone(), programs: programs.into(), owner: owner.into() }
    }

    /// Ends the run with what it has, and tells how it ended, once that is durable: otherwise than cancelled if
    /// it had ended before.
    ///
    /// # Errors
    /// There is no such run, its log is corrupt, or a process drives it that cannot be reached.
    pub async fn cancel(&self) -> Result<RunStatus, RunError> {
        match self.request(&Request::Cancel).await? {
            Done::Ended(status) => Ok(status),
            Done::Recorded(_) => Err(self.misunderstood("a cancellation was recorded and not carried out")),
        }
    }

    /// Changes the graph at the next barrier. The patch is durable when this returns; what becomes of it,
    /// [`Watch`](crate::Watch) tells. It is known by its requester: the same again changes nothing more.
    ///
    /// # Errors
    /// As [`cancel`](Self::cancel); another patch has the name, or the run has ended.
    pub async fn patch(&self, patch: Patch) -> Result<Reached, RunError> {
        self.recorded(&Request::Patch(patch)).await
    }

    /// Lets the run stand still at its next barrier, or go on from there. That is durable when this returns; a run that
    /// nobody drives does so once it is resumed.
    ///
    /// # Errors
    /// As [`cancel`](Self::cancel); the run has ended.
    pub async fn suspend(&self, suspended: bool) -> Result<Reached, RunError> {
        self.recorded(&Request::Suspend(suspended)).await
    }

    /// Answers a question.
    ///
    /// # Errors
    /// As [`cancel`](Self::cancel); nothing asks, the answer does not fit or is late, or the run has ended.
    pub async fn answer(&self, question: QuestionId, answer: Payload) -> Result<Reached, RunError> {
        self.recorded(&Request::Answer { question, answer }).await
    }

    /// Where the run stands; none if no process that listens drives it.
    ///
    /// # Errors
    /// It was not understood.
    pub async fn state(&self) -> Result<Option<RunState>, RunError> {
        match ask(&self.store, &self.run, &Request::Get).await.map_err(|source| self.control(source))? {
            Asked::Replied(Reply::State(state)) => Ok(Some(state)),
            Asked::Replied(other) => Err(self.unexpected(&other)),
            Asked::Broken | Asked::Nobody => Ok(None),
        }
    }

    async fn recorded(&self, request: &Request) -> Result<Reached, RunError> {
        match self.request(request).await? {
            Done::Recorded(reached) => Ok(reached),
            Done::Ended(status) => Err(RunError::Over { run: self.run.clone(), status }),
        }
    }

    async fn request(&self, request: &Request) -> Result<Done, RunError> {
        if let Some(done) = self.in_log(request, false)? {
            return Ok(done);
        }
        let mut reached = Instant::now();
        loop {
            match ask(&self.store, &self.run, request).await.map_err(|source| self.control(source))? {
                Asked::Replied(reply) => return self.understand(reply),
                Asked::Broken => {
                    if let Some(done) = self.in_log(request, true)? {
                        return Ok(done);
                    }
                    reached = Instant::now();
                }
                Asked::Nobody => match self.without_driver(request).await {
                    Err(RunError::Store(StoreError::Locked { run, holder })) => {
                        if reached.elapsed() > PATIENCE {
                            return Err(RunError::Unreachable { run, holder });
                        }
                    }
                    done => return done,
                },
            }
            sleep(BETWEEN_TRIES).await;
        }
    }

    fn understand(&self, reply: Reply) -> Result<Done, RunError> {
        let run = || self.run.clone();
        match reply {
            Reply::Recorded => Ok(Done::Recorded(Reached::Driver)),
            Reply::Ended { status } => Ok(Done::Ended(status)),
            Reply::Refused(Refusal::Answer(source)) => Err(RunError::Answer { run: run(), source }),
            Reply::Refused(Refusal::Patch(source)) => Err(RunError::Patch { run: run(), source }),
            Reply::State(_)
            | Reply::Durable { .. }
            | Reply::Text { .. }
            | Reply::Missed { .. }
            | Reply::Refused(
                Refusal::Version { .. }
                | Refusal::OtherRun { .. }
                | Refusal::Malformed { .. }
                | Refusal::Busy,
            ) => Err(self.unexpected(&reply)),
        }
    }

    /// What the log says of a request already. An answer is looked for only if it was `sent` to somebody.
    fn in_log(&self, request: &Request, sent: bool) -> Result<Option<Done>, RunError> {
        let records = match read_run(&self.store, &self.run) {
            Ok((_, records)) => records,
            // Whoever drives it is about to write the first record; if nobody does, that is told then.
            Err(RunError::Empty { .. }) => Vec::new(),
            Err(error) => return Err(error),
        };
        let has = |wanted: &dyn Fn(&Record) -> bool| records.iter().any(wanted);
        let recorded = match request {
            Request::Patch(patch) => {
                has(&|record| matches!(record, Record::Patched(other) if other == patch))
            }
            Request::Answer { question, answer } => {
                let is_it = |record: &Record| matches!(record, Record::Answered { question: of, answer: given } if of == question && given == answer);
                sent && has(&is_it)
            }
            // Asked for again, it is not recorded again.
            Request::Suspend(_) | Request::Get | Request::Watch { .. } | Request::Cancel => false,
        };
        if recorded {
            return Ok(Some(Done::Recorded(Reached::Driver)));
        }
        // Calls that were given up at the end are settled behind it.
        let end = records.iter().rev().find(|record| matches!(record, Record::Ended(_)));
        let Some(Record::Ended(status)) = end else { return Ok(None) };
        Ok(Some(Done::Ended(status.clone())))
    }

    /// Does in the log what nobody else does.
    async fn without_driver(&self, request: &Request) -> Result<Done, RunError> {
        let Self { store, run, programs, owner } = self;
        let recorded = |()| Done::Recorded(Reached::Log);
        match request.clone() {
            Request::Cancel => cancel_left(store, run, programs, owner).await.map(Done::Ended),
            Request::Patch(patch) => patch_left(store, run, programs, owner, patch).await.map(recorded),
            Request::Answer { question, answer } => {
                answer_left(store, run, programs, owner, (question, answer)).await.map(recorded)
            }
            Request::Suspend(suspended) => {
                suspend_left(store, run, programs, owner, suspended).await.map(recorded)
            }
            Request::Get | Request::Watch { .. } => Err(self.misunderstood("it changes nothing")),
        }
    }

    fn unexpected(&self, reply: &Reply) -> RunError {
        if let Reply::Refused(refusal) = reply {
            return self.control(ControlError::Refused { why: refusal.to_string() });
        }
        self.misunderstood(&format!("{reply:?} is no reply to what was asked"))
    }

    fn misunderstood(&self, why: &str) -> RunError {
        self.control(ControlError::Malformed { why: why.to_owned() })
    }

    fn control(&self, source: ControlError) -> RunError {
        RunError::Control { run: self.run.clone(), source }
    }
}
