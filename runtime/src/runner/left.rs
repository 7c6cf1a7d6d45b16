//! Answers, patches and ends of runs that nobody drives: put into the log, under its lock.

use std::sync::Arc;

use superstep_engine::{
    Action, Epoch, Patch, PatchStanding, Payload, Question, QuestionId, Record, RunStatus, Solo,
};
use superstep_store::{RunName, Store};

use super::questions::{judge, wall_clock};
use super::{AnswerError, PatchError, RunError, RunLog, replayed};
use crate::programs::Programs;
use crate::question::HumanQuestion;

/// The questions that the log of a run leaves open, in the order of their names.
///
/// # Errors
/// The records do not follow from each other, or a graph is not valid to this version.
pub fn open_questions(
    name: &RunName,
    records: &[Record],
    programs: &Arc<Programs>,
) -> Result<Vec<(QuestionId, Question)>, RunError> {
    let solo = replayed(name, records, programs)?;
    Ok(solo.coordinator().questions().map(|(id, question)| (id.clone(), question.clone())).collect())
}

/// Answers a question of a run that nobody drives: the answer is put into its log, and the run goes on from
/// it when it is resumed.
///
/// # Errors
/// Another process drives the run, the log is corrupt, or the answer is not taken; then the log is as it was.
pub async fn answer_left(
    store: &Store<Record>,
    name: &RunName,
    programs: &Arc<Programs>,
    owner: &str,
    (question, answer): (QuestionId, Payload),
) -> Result<(), RunError> {
    let mut left = Left::open(store, name, programs, owner)?;
    let coordinator = left.solo.coordinator();
    let refused = |source| RunError::Answer { run: name.clone(), source };
    let deadline =
        coordinator.question(&question).and_then(HumanQuestion::of).and_then(|human| human.deadline);
    if deadline.is_some_and(|deadline| deadline <= wall_clock()) {
        return Err(refused(AnswerError::Late { question }));
    }
    judge(coordinator, &question, &answer).map_err(refused)?;
    left.append(owner, Record::Answered { question, answer }).await
}

/// Asks for changes to a run that nobody drives: the patch is put into its log, and the first barrier judges it
/// when the run is resumed.
///
/// # Errors
/// As [`answer_left`], and the run has ended.
pub(crate) async fn patch_left(
    store: &Store<Record>,
    name: &RunName,
    programs: &Arc<Programs>,
    owner: &str,
    patch: Patch,
) -> Result<(), RunError> {
    let mut left = Left::open(store, name, programs, owner)?;
    let refused = |source| Err(RunError::Patch { run: name.clone(), source });
    match left.solo.coordinator().standing_of(&patch) {
        PatchStanding::Known => Ok(()),
        PatchStanding::NameTaken => refused(PatchError::NameTaken { name: patch.requester }),
        PatchStanding::New if left.solo.has_ended() => refused(PatchError::Ended),
        PatchStanding::New => left.append(owner, Record::Patched(patch)).await,
    }
}

/// Lets a run that nobody drives stand still at its next barrier, or go on, once it is resumed.
///
/// # Errors
/// As [`answer_left`].
pub(crate) async fn suspend_left(
    store: &Store<Record>,
    name: &RunName,
    programs: &Arc<Programs>,
    owner: &str,
    suspended: bool,
) -> Result<(), RunError> {
    let mut left = Left::open(store, name, programs, owner)?;
    let coordinator = left.solo.coordinator();
    if coordinator.has_ended() || coordinator.is_suspended() == suspended {
        return Ok(());
    }
    left.append(owner, Record::RunSuspended(suspended)).await
}

/// Ends a run that nobody drives with what it has; one that has ended stays as it is. Tells how it ended.
///
/// # Errors
/// As [`answer_left`].
pub(crate) async fn cancel_left(
    store: &Store<Record>,
    name: &RunName,
    programs: &Arc<Programs>,
    owner: &str,
) -> Result<RunStatus, RunError> {
    let mut left = Left::open(store, name, programs, owner)?;
    if let Some(status) = left.ended() {
        return Ok(status);
    }
    left.append(owner, Record::Ended(RunStatus::Cancelled)).await?;
    Ok(RunStatus::Cancelled)
}

/// A run that nobody drives, with its log, so that nobody drives it meanwhile either.
struct Left {
    name: RunName,
    log: RunLog,
    solo: Solo,
}

impl Left {
    fn open(
        store: &Store<Record>,
        name: &RunName,
        programs: &Arc<Programs>,
        owner: &str,
    ) -> Result<Self, RunError> {
        let (log, contents) = store.open(name, owner)?;
        Ok(Self { name: name.clone(), log, solo: replayed(name, &contents.records, programs)? })
    }

    fn ended(&mut self) -> Option<RunStatus> {
        std::iter::from_fn(|| self.solo.poll_action()).find_map(|action| match action {
            Action::Ended(status) => Some(status),
            Action::Append(..)
            | Action::Run(_)
            | Action::Abort(_)
            | Action::Decide { .. }
            | Action::Notify(_) => None,
        })
    }

    /// Takes the next epoch, and appends a record in it.
    async fn append(&mut self, owner: &str, record: Record) -> Result<(), RunError> {
        let epoch = Epoch(self.solo.coordinator().epoch().0 + 1);
        let taken = Record::EpochTaken { epoch, owner: owner.to_owned() };
        let append = self.log.append(vec![taken, record]);
        append.await.map(drop).map_err(|source| RunError::Append { run: self.name.clone(), source })
    }
}
