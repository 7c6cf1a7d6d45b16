//! The questions of a run: who may answer, and what happens when nobody does.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use superstep_engine::{Coordinator, Payload, Question, QuestionId, Timestamp};

use crate::question::{HumanQuestion, answer_at_deadline, check_answer};

/// Why an answer is not taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "camelCase")]
pub enum AnswerError {
    /// Nothing asks that, or it was answered.
    #[error("{question} asks nothing")]
    NotAsked {
        /// What should have been asked.
        question: QuestionId,
    },
    /// No question was named, and nothing asks.
    #[error("nothing is asked")]
    Nothing,
    /// No question was named, and several are open.
    #[error("several questions are open, and the answer must name one: {}", names(.asking))]
    Several {
        /// Those that are.
        asking: Vec<QuestionId>,
    },
    /// It is not what was asked for.
    #[error("the answer to {question} does not fit: {why}")]
    Unfit {
        /// What was asked.
        question: QuestionId,
        /// Why not.
        why: String,
    },
    /// The time to answer is over.
    #[error("the time to answer {question} is over")]
    Late {
        /// What was asked.
        question: QuestionId,
    },
    /// Nobody drives the run any more; whether the answer is in the log, the log tells.
    #[error("the run is not driven any more")]
    Gone,
}

fn names(questions: &[QuestionId]) -> String {
    questions.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// Whether an answer can be taken.
///
/// # Errors
/// Nothing asks, or the answer does not fit.
pub(super) fn judge(
    coordinator: &Coordinator,
    question: &QuestionId,
    answer: &Payload,
) -> Result<(), AnswerError> {
    let asked = coordinator.question(question);
    let asked = asked.ok_or_else(|| AnswerError::NotAsked { question: question.clone() })?;
    check_answer(asked, answer).map_err(|why| AnswerError::Unfit { question: question.clone(), why })
}

/// When the time to answer is over, and what is answered then.
#[derive(Debug, Default)]
pub(super) struct Deadlines(BTreeMap<QuestionId, (Timestamp, Payload)>);

impl Deadlines {
    /// Keeps the deadline of a question, if it has one; `now` is the clock of the run.
    pub(super) fn asked(&mut self, id: &QuestionId, question: &Question, now: Timestamp) {
        let Some(human) = HumanQuestion::of(question) else { return };
        if let Some(deadline) = human.deadline {
            let due = now.after_millis(deadline.saturating_sub(wall_clock()));
            self.0.insert(id.clone(), (due, answer_at_deadline(&human)));
        }
    }

    /// When the next one is.
    pub(super) fn next(&self) -> Option<Timestamp> {
        self.0.values().map(|(due, _)| *due).min()
    }

    /// The answers of those that are over. Nothing may wait for them any more.
    pub(super) fn take_due(&mut self, now: Timestamp) -> Vec<(QuestionId, Payload)> {
        let over: Vec<QuestionId> =
            self.0.iter().filter(|(_, (due, _))| *due <= now).map(|(id, _)| id.clone()).collect();
        over.into_iter().filter_map(|id| self.0.remove(&id).map(|(_, answer)| (id, answer))).collect()
    }
}

/// Milliseconds since 1970. A deadline is a time of day, so that it holds while nobody drives the run.
pub(crate) fn wall_clock() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
