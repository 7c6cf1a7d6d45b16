//! What a run came to, as its log tells.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;
use superstep_engine::{ActivationId, FrameId, MessageStatus, Notice, Record, RunStatus};
use superstep_runtime::{Programs, open_questions, tell};
use superstep_store::RunName;

use super::case::{Ending, Incomplete};
use crate::exit::CommandError;
use crate::history::words;
use crate::progress::{change, status_text};

/// What a run came to.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Story {
    /// How it ended.
    pub(super) status: Ending,
    /// Why, in words.
    pub(super) because: String,
    /// Its outputs.
    pub(super) outputs: Value,
    /// The vertices that started in each superstep.
    pub(super) started: Vec<Vec<String>>,
    /// The vertices whose results are in the commit of each superstep.
    pub(super) committed: Vec<Vec<String>>,
    /// How many messages have which status.
    pub(super) messages: BTreeMap<MessageStatus, u64>,
    /// The joins that nothing could complete any more.
    pub(super) incomplete: Vec<Incomplete>,
    /// What was asked to be changed, and what became of it.
    pub(super) changes: Vec<String>,
    /// How many calls were made.
    pub(super) calls: u64,
}

impl Story {
    /// What the records of a run tell.
    ///
    /// # Errors
    /// They do not follow from each other.
    pub(super) fn of(
        name: &RunName,
        records: &[Record],
        programs: &Arc<Programs>,
    ) -> Result<Self, CommandError> {
        let mut story = Self {
            status: Ending::Stuck,
            because: "it moved no more".to_owned(),
            outputs: Value::Null,
            started: Vec::new(),
            committed: Vec::new(),
            messages: BTreeMap::new(),
            incomplete: Vec::new(),
            changes: Vec::new(),
            calls: intents(records),
        };
        let mut completed = Vec::new();
        let (outputs, _) = tell(name, records, programs, |notice| story.take_in(notice, &mut completed))?;
        story.outputs = outputs.value().clone();
        let mut ended = None;
        for record in records {
            if let Record::Ended(status) = record {
                ended = Some(status);
            }
        }
        if let Some(status) = ended {
            story.status = ending(status);
            story.because = status_text(status);
        } else if !open_questions(name, records, programs)?.is_empty() {
            story.status = Ending::Waiting;
            story.because = "a question is open".to_owned();
        }
        Ok(story)
    }

    fn take_in(&mut self, notice: Notice, completed: &mut Vec<String>) {
        match notice {
            Notice::Started { activation, .. } => {
                let superstep = usize::try_from(activation.superstep).unwrap_or(usize::MAX);
                self.started.resize(self.started.len().max(superstep + 1), Vec::new());
                insert(&mut self.started[superstep], label(&activation));
            }
            Notice::Completed { activation, .. } => insert(completed, label(&activation)),
            Notice::Committed { .. } => self.committed.push(std::mem::take(completed)),
            Notice::Settled { status, .. } => *self.messages.entry(status).or_default() += 1,
            Notice::JoinIncomplete { vertex, action, missing, .. } => {
                self.incomplete.push(Incomplete { vertex, action, missing });
            }
            Notice::Mutated { requester, mutation, verdict, .. } => {
                self.changes.push(format!("{requester} {}: {}", change(&mutation), words(&verdict)));
            }
            Notice::SuperstepStarted { .. }
            | Notice::Opened { .. }
            | Notice::Called(_)
            | Notice::Retrying { .. }
            | Notice::Asked { .. }
            | Notice::Cancelled { .. }
            | Notice::Paused
            | Notice::Suspended
            | Notice::Resumed { .. }
            | Notice::Ended { .. } => {}
        }
    }
}

/// How many calls the log says were about to be made.
pub(super) fn intents(records: &[Record]) -> u64 {
    records.iter().filter(|record| matches!(record, Record::CallIntent { .. })).count() as u64
}

fn insert(names: &mut Vec<String>, name: String) {
    if let Err(place) = names.binary_search(&name) {
        names.insert(place, name);
    }
}

fn label(activation: &ActivationId) -> String {
    let vertex = &activation.vertex;
    let FrameId(frame) = activation.frame;
    if activation.frame == FrameId::ROOT { vertex.to_string() } else { format!("{frame}/{vertex}") }
}

fn ending(status: &RunStatus) -> Ending {
    match status {
        RunStatus::Succeeded => Ending::Succeeded,
        RunStatus::Failed { .. } => Ending::Failed,
        RunStatus::LimitReached(_) => Ending::LimitReached,
        RunStatus::Cancelled => Ending::Cancelled,
    }
}
