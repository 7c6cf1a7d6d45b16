//! What became true in a run, apart from the order of what happened at once.

use std::collections::BTreeMap;

use serde_json::Value;
use superstep_engine::{Notice, RunStatus};

/// What became true in a run.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct History {
    status: Option<RunStatus>,
    outputs: Value,
    /// Each fact, and how often it was told.
    facts: BTreeMap<String, u64>,
}

impl History {
    pub(crate) fn of<'a>(
        notices: impl IntoIterator<Item = &'a Notice>,
        status: Option<RunStatus>,
        outputs: Value,
    ) -> Self {
        let mut facts = BTreeMap::new();
        for fact in notices.into_iter().filter_map(fact) {
            *facts.entry(fact).or_default() += 1;
        }
        Self { status, outputs, facts }
    }

    /// What of this another run does not have, or has more of.
    pub(crate) fn difference(&self, other: &Self) -> Option<String> {
        if self == other {
            return None;
        }
        let mut found = Vec::new();
        if self.status != other.status {
            found.push(format!("status {:?} and {:?}", self.status, other.status));
        }
        if self.outputs != other.outputs {
            found.push(format!("outputs {} and {}", self.outputs, other.outputs));
        }
        let all: std::collections::BTreeSet<&String> = self.facts.keys().chain(other.facts.keys()).collect();
        for fact in all {
            let count = |history: &Self| history.facts.get(fact).copied().unwrap_or(0);
            if count(self) != count(other) {
                found.push(format!("{} and {} times {fact}", count(self), count(other)));
            }
        }
        found.truncate(12);
        Some(found.join("\n    "))
    }
}

/// What a notice says that does not depend on when it was said. What only a process that lives knows
/// is no part of a history.
fn fact(notice: &Notice) -> Option<String> {
    match notice {
        Notice::SuperstepStarted { .. }
        | Notice::Opened { .. }
        | Notice::Called(_)
        | Notice::Retrying { .. }
        | Notice::Asked { .. }
        | Notice::Paused
        | Notice::Suspended
        | Notice::Resumed { .. } => None,
        Notice::Completed { activation, output, failure, .. } => {
            let output = output.as_ref().map(|output| output.value().to_string());
            Some(format!("completed {activation} {output:?} {failure:?}"))
        }
        Notice::Ended { status, totals } => Some(format!(
            "ended {status:?} {} {} {}",
            totals.supersteps, totals.activations, totals.mutations
        )),
        Notice::Started { .. }
        | Notice::Cancelled { .. }
        | Notice::JoinIncomplete { .. }
        | Notice::Settled { .. }
        | Notice::Mutated { .. }
        | Notice::Committed { .. } => Some(format!("{notice:?}")),
    }
}
