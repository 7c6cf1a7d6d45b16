//! Answers to runs that nobody drives.

use std::sync::Arc;

use superstep_engine::{ActivationId, Epoch, Payload, Question, Record, Solo};
use superstep_store::{RunName, Store};

use super::questions::{OpenQuestions, wall_clock};
use super::{AnswerError, RunError, config_of};
use crate::expressions::EdgeExpressions;
use crate::programs::Programs;
use crate::question::HumanQuestion;

/// The questions that the log of a run leaves open, in the order of those who ask.
///
/// # Errors
/// The records do not follow from each other, or a graph is not valid to this version.
pub fn open_questions(
    name: &RunName,
    records: &[Record],
    programs: &Arc<Programs>,
) -> Result<Vec<(ActivationId, Question)>, RunError> {
    let (open, _) = replayed(name, records, programs)?;
    Ok(open.into_open().collect())
}

/// Answers a question of a run that nobody drives: the answer is put into its log, and the run goes on from
/// it when it is resumed. What became of a call can only be answered to a process that drives the run.
///
/// # Errors
/// Another process drives the run, the log is corrupt, or the answer is not taken; then the log is as it was.
pub async fn answer_left(
    store: &Store<Record>,
    name: &RunName,
    programs: &Arc<Programs>,
    owner: &str,
    (activation, answer): (ActivationId, Payload),
) -> Result<(), RunError> {
    let (mut log, contents) = store.open(name, owner)?;
    let (mut open, epoch) = replayed(name, &contents.records, programs)?;
    let refused = |source| RunError::Answer { run: name.clone(), source };
    let question = open.question(&activation);
    let deadline = question.and_then(HumanQuestion::of).and_then(|human| human.deadline);
    if deadline.is_some_and(|deadline| deadline <= wall_clock()) {
        return Err(refused(AnswerError::Late { activation }));
    }
    open.take(&activation, &answer).map_err(refused)?;
    let taken = Record::EpochTaken { epoch: Epoch(epoch.0 + 1), owner: owner.to_owned() };
    let append = log.append(vec![taken, Record::Answered { activation, answer }]);
    append.await.map(drop).map_err(|source| RunError::Append { run: name.clone(), source })
}

fn replayed(
    name: &RunName,
    records: &[Record],
    programs: &Arc<Programs>,
) -> Result<(OpenQuestions, Epoch), RunError> {
    let config = config_of(name, records)?;
    let mut solo = Solo::new(config, Arc::new(EdgeExpressions::new(Arc::clone(programs))));
    solo.replay(records).map_err(|source| RunError::Replay { run: name.clone(), source })?;
    let mut open = OpenQuestions::before(records);
    while let Some(action) = solo.poll_action() {
        if let superstep_engine::Action::Notify(notice) = action {
            open.follow(&notice, superstep_engine::Timestamp::default());
        }
    }
    Ok((open, solo.coordinator().epoch()))
}
