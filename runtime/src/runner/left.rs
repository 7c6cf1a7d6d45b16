//! Answers to runs that nobody drives.

use std::sync::Arc;

use superstep_engine::{Epoch, Payload, Question, QuestionId, Record, Solo};
use superstep_store::{RunName, Store};

use super::questions::{judge, wall_clock};
use super::{AnswerError, RunError, config_of};
use crate::expressions::EdgeExpressions;
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
    let (mut log, contents) = store.open(name, owner)?;
    let solo = replayed(name, &contents.records, programs)?;
    let coordinator = solo.coordinator();
    let refused = |source| RunError::Answer { run: name.clone(), source };
    let deadline =
        coordinator.question(&question).and_then(HumanQuestion::of).and_then(|human| human.deadline);
    if deadline.is_some_and(|deadline| deadline <= wall_clock()) {
        return Err(refused(AnswerError::Late { question }));
    }
    judge(coordinator, &question, &answer).map_err(refused)?;
    let taken = Record::EpochTaken { epoch: Epoch(coordinator.epoch().0 + 1), owner: owner.to_owned() };
    let append = log.append(vec![taken, Record::Answered { question, answer }]);
    append.await.map(drop).map_err(|source| RunError::Append { run: name.clone(), source })
}

fn replayed(name: &RunName, records: &[Record], programs: &Arc<Programs>) -> Result<Solo, RunError> {
    let config = config_of(name, records)?;
    let mut solo = Solo::new(config, Arc::new(EdgeExpressions::new(Arc::clone(programs))));
    solo.replay(records).map_err(|source| RunError::Replay { run: name.clone(), source })?;
    Ok(solo)
}
