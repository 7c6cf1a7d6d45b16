//! What comes from outside while a run goes on: answers and changes.

use superstep_graph::VertexName;

use super::{Coordinator, Phase};
use crate::ids::{FrameId, QuestionId, Timestamp};
use crate::misfit::Misfit;
use crate::notice::Notice;
use crate::payload::Payload;
use crate::program::Question;
use crate::record::{Patch, Record};

/// What a run knows of a patch by its name, which is the name of whoever asks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatchStanding {
    /// Nobody of this name has asked for anything.
    New,
    /// The same was asked for, and has its place in the log.
    Known,
    /// Something else was asked for under the name.
    NameTaken,
}

/// A question that nobody has answered, or whose answer is not handed on yet.
#[derive(Clone, Debug)]
pub(super) struct OpenQuestion {
    question: Question,
    answered: bool,
}

impl Coordinator {
    /// The questions that wait for an answer, in the order of their names.
    pub fn questions(&self) -> impl Iterator<Item = (&QuestionId, &Question)> {
        self.questions.iter().filter(|(_, open)| !open.answered).map(|(id, open)| (id, &open.question))
    }

    /// The question of that name, if it waits for an answer.
    pub fn question(&self, id: &QuestionId) -> Option<&Question> {
        self.questions.get(id).filter(|open| !open.answered).map(|open| &open.question)
    }

    /// Takes an answer in, unless nothing waits for it.
    pub(super) fn take_answer(&mut self, id: QuestionId, answer: Payload) {
        // Nobody is left who could take it.
        if self.is_over() {
            return;
        }
        let Some(open) = self.questions.get_mut(&id).filter(|open| !open.answered) else { return };
        open.answered = true;
        let record = Record::Answered { question: id.clone(), answer: answer.clone() };
        let token = self.append(vec![record]);
        self.answering.insert(token, (id, answer));
    }

    /// An answer is durable.
    pub(super) fn answered(&mut self, id: QuestionId, answer: Payload, now: Timestamp) {
        self.answers.push((id, answer));
        if self.phase == Phase::Paused && !self.must_stand() {
            self.wake(now);
        }
    }

    /// Goes on after a pause with the answers that have come.
    pub(super) fn wake(&mut self, now: Timestamp) {
        self.due_answers.append(&mut self.answers);
        self.working_since = Some(now);
        self.judge(now);
    }

    /// Lets a superstep pass in which nothing starts, though everything in flight waits.
    pub(super) fn go_on(&mut self, now: Timestamp) {
        if !self.replaying {
            self.working_since = Some(now);
        }
        let carried = self.flying.len() as u64;
        self.notify(Notice::SuperstepStarted { superstep: self.superstep, started: 0, carried });
        self.phase = Phase::Running;
    }

    pub(super) fn go_on_and_commit(&mut self, now: Timestamp) {
        self.go_on(now);
        self.due_answers.append(&mut self.answers);
        self.check_barrier(now);
    }

    pub(super) fn asked(&mut self, id: QuestionId, question: Question) {
        if self.replaying {
            // The log does not say when answers were taken up; whoever asks again has taken up those before.
            self.questions.retain(|other, open| other.activation != id.activation || !open.answered);
        }
        self.questions.insert(id.clone(), OpenQuestion { question: question.clone(), answered: false });
        self.notify(Notice::Asked { id, question });
    }

    /// The answers that are to be handed on, of those to questions that are still open.
    pub(super) fn hand_on(&mut self) -> Vec<(QuestionId, Payload)> {
        let mut answers = std::mem::take(&mut self.due_answers);
        answers.retain(|(id, _)| self.questions.remove(id).is_some());
        answers
    }

    /// Whether an answer is for somebody who waits: late ones pass no superstep.
    pub(super) fn answers_matter(&self) -> bool {
        self.due_answers.iter().any(|(id, _)| self.questions.contains_key(id))
    }

    /// Forgets the questions of the vertices of a frame that are free again, or gone.
    pub(super) fn close_questions(&mut self, frame: FrameId, over: impl Fn(&VertexName) -> bool) {
        self.questions.retain(|id, _| id.activation.frame != frame || !over(&id.activation.vertex));
    }

    /// Takes an answer in from the log. It is taken up when a superstep starts, and the log need not
    /// say which: it has what the answer led to.
    pub(crate) fn replay_answer(&mut self, id: &QuestionId, answer: &Payload, kept_elsewhere: bool) {
        match self.questions.get_mut(id) {
            Some(_) if kept_elsewhere => {
                self.questions.remove(id);
            }
            Some(open) => {
                open.answered = true;
                self.answers.push((id.clone(), answer.clone()));
            }
            None => {}
        }
    }

    /// Whether the run is over, or just being ended: nothing from outside is taken in any more.
    pub fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Ending(_) | Phase::Ended) || self.standstill.is_ending()
    }

    /// What the run knows of a patch.
    pub fn standing_of(&self, patch: &Patch) -> PatchStanding {
        match self.asked_for.get(&patch.requester) {
            None => PatchStanding::New,
            Some(known) if known == patch => PatchStanding::Known,
            Some(_) => PatchStanding::NameTaken,
        }
    }

    /// Takes a change in, once it is durable, unless one of its name was taken in before.
    pub(super) fn take_patch(&mut self, patch: Patch) {
        if !self.is_over() && self.standing_of(&patch) == PatchStanding::New {
            self.asked_for.insert(patch.requester.clone(), patch.clone());
            let token = self.append(vec![Record::Patched(patch.clone())]);
            self.patching.insert(token, patch);
        }
    }

    /// A change is durable.
    pub(super) fn patched(&mut self, patch: Patch, now: Timestamp) {
        self.patches.push(patch);
        match self.phase {
            Phase::Paused => self.leave_pause(now),
            Phase::Ending(_) | Phase::Ended => self.refuse_patches(),
            Phase::New
            | Phase::Recording(_)
            | Phase::Delivering(_)
            | Phase::Starting(_)
            | Phase::Running
            | Phase::Committing(_)
            | Phase::Still => {}
        }
    }

    /// Takes a change in from the log.
    pub(crate) fn replay_patch(&mut self, patch: &Patch) {
        self.asked_for.insert(patch.requester.clone(), patch.clone());
        self.patches.push(patch.clone());
    }

    /// The changes that a commit judged, by the names of those who asked.
    pub(super) fn take_patches(&mut self, requesters: &[String]) -> Result<Vec<Patch>, Misfit> {
        let mut taken = Vec::with_capacity(requesters.len());
        for requester in requesters {
            let position = self.patches.iter().position(|patch| patch.requester == *requester);
            let position = position.ok_or_else(|| Misfit::NotAsked(requester.clone()))?;
            taken.push(self.patches.remove(position));
        }
        Ok(taken)
    }
}
