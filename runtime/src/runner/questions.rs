//! The open questions of a run: who may answer, and what happens when nobody does.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use superstep_engine::{ActivationId, Notice, Payload, Question, Record, Timestamp};
use tokio::sync::oneshot;

use crate::question::{HumanQuestion, answer_at_deadline, check_answer};

/// Why an answer is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// Nothing of that name asks, or its question was answered.
    #[error("{activation} asks nothing")]
    NotAsked {
        /// Who should have asked.
        activation: ActivationId,
    },
    /// It is not what was asked for.
    #[error("the answer to {activation} does not fit: {why}")]
    Unfit {
        /// Who asks.
        activation: ActivationId,
        /// Why not.
        why: String,
    },
    /// The time to answer is over.
    #[error("the time to answer {activation} is over")]
    Late {
        /// Who asked.
        activation: ActivationId,
    },
    /// Nobody drives the run any more.
    #[error("the run is not driven any more")]
    Gone,
}

/// An answer that waits to be judged.
#[derive(Debug)]
pub(super) struct Offered {
    pub(super) activation: ActivationId,
    pub(super) answer: Payload,
    /// Told whether it was taken.
    pub(super) reply: oneshot::Sender<Result<(), AnswerError>>,
}

/// The questions that wait for an answer.
#[derive(Debug, Default)]
pub(super) struct OpenQuestions {
    open: BTreeMap<ActivationId, Open>,
    /// How many of the questions that a resumed run tells again were answered before.
    answered_before: BTreeMap<ActivationId, u32>,
    pub(super) offered: Vec<Offered>,
}

#[derive(Debug)]
struct Open {
    question: Question,
    due: Option<(Timestamp, Payload)>,
}

impl OpenQuestions {
    /// No questions yet; those that `records` hold the answers of will not be open when they are told again.
    pub(super) fn before(records: &[Record]) -> Self {
        let mut answered_before = BTreeMap::new();
        for record in records {
            if let Record::Answered { activation, .. } = record {
                *answered_before.entry(activation.clone()).or_default() += 1;
            }
        }
        Self { answered_before, ..Self::default() }
    }

    /// Follows what happens in the run; `now` is its clock.
    pub(super) fn follow(&mut self, notice: &Notice, now: Timestamp) {
        match notice {
            Notice::Asked { activation, question } => self.asked(activation, question, now),
            Notice::Completed { activation, .. } | Notice::Cancelled { activation } => {
                self.open.retain(|open, _| without_element(open) != *activation);
            }
            Notice::Ended { .. } => self.open.clear(),
            Notice::SuperstepStarted { .. }
            | Notice::Started { .. }
            | Notice::Retrying { .. }
            | Notice::JoinIncomplete { .. }
            | Notice::Settled { .. }
            | Notice::Mutated { .. }
            | Notice::Committed { .. }
            | Notice::Paused => {}
        }
    }

    fn asked(&mut self, activation: &ActivationId, question: &Question, now: Timestamp) {
        if let Some(answered) = self.answered_before.get_mut(activation).filter(|answered| **answered > 0) {
            *answered -= 1;
            return;
        }
        let human = HumanQuestion::of(question);
        let due = human.and_then(|human| {
            let left = human.deadline?.saturating_sub(wall_clock());
            Some((now.after_millis(left), answer_at_deadline(&human)))
        });
        self.open.insert(activation.clone(), Open { question: question.clone(), due });
    }

    /// Takes an answer, after which nothing asks any more.
    ///
    /// # Errors
    /// Nothing asks, or the answer does not fit.
    pub(super) fn take(&mut self, activation: &ActivationId, answer: &Payload) -> Result<(), AnswerError> {
        let Some(open) = self.open.get(activation) else {
            return Err(AnswerError::NotAsked { activation: activation.clone() });
        };
        check_answer(&open.question, answer)
            .map_err(|why| AnswerError::Unfit { activation: activation.clone(), why })?;
        self.open.remove(activation);
        Ok(())
    }

    /// Judges the answers that were offered, and hands those that are taken to `taken`.
    pub(super) fn judge(&mut self, mut taken: impl FnMut(ActivationId, Payload)) {
        for Offered { activation, answer, reply } in std::mem::take(&mut self.offered) {
            let judged = self.take(&activation, &answer);
            if judged.is_ok() {
                taken(activation, answer);
            }
            if reply.send(judged).is_err() {
                tracing::trace!("nobody waits for what becomes of an answer");
            }
        }
    }

    /// What an activation asks.
    pub(super) fn question(&self, activation: &ActivationId) -> Option<&Question> {
        self.open.get(activation).map(|open| &open.question)
    }

    /// When the next deadline is.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        self.open.values().filter_map(|open| open.due.as_ref()).map(|(due, _)| *due).min()
    }

    /// The answers of those whose time is over.
    pub(super) fn take_due(&mut self, now: Timestamp) -> Vec<(ActivationId, Payload)> {
        let is_due = |open: &Open| open.due.as_ref().is_some_and(|(due, _)| *due <= now);
        let over: Vec<ActivationId> =
            self.open.iter().filter(|(_, open)| is_due(open)).map(|(id, _)| id.clone()).collect();
        let answer = |id: ActivationId| self.open.remove(&id)?.due.map(|(_, answer)| (id, answer));
        over.into_iter().filter_map(answer).collect()
    }

    /// Whether nothing is to be done about them now.
    pub(super) fn is_quiet(&self, now: Timestamp) -> bool {
        self.offered.is_empty() && self.next_due().is_none_or(|due| due > now)
    }

    /// The questions, with those who ask.
    pub(super) fn into_open(self) -> impl Iterator<Item = (ActivationId, Question)> {
        self.open.into_iter().map(|(activation, open)| (activation, open.question))
    }
}

fn without_element(activation: &ActivationId) -> ActivationId {
    ActivationId { element: None, ..activation.clone() }
}

/// Milliseconds since 1970. A deadline is a time of day, so that it holds while nobody drives the run.
pub(super) fn wall_clock() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
