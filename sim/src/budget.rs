//! What a run may use, and what its log says that it has.

use std::collections::BTreeMap;

use superstep_engine::{CallKey, FrameId, Notice, Record, Usage};
use superstep_graph::Limits;

use crate::scenario::Scenario;

/// The calls, tokens and money that a graph allows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Budget {
    pub(crate) calls: u64,
    pub(crate) tokens: Option<u64>,
    pub(crate) cost: Option<f64>,
}

impl From<&Limits> for Budget {
    fn from(limits: &Limits) -> Self {
        Self { calls: limits.calls, tokens: limits.tokens, cost: limits.cost }
    }
}

impl Budget {
    /// What either of two allows. One without a limit allows any number.
    #[must_use]
    pub(crate) fn or(self, other: Self) -> Self {
        Self {
            calls: self.calls.max(other.calls),
            tokens: self.tokens.zip(other.tokens).map(|(one, two)| one.max(two)),
            cost: self.cost.zip(other.cost).map(|(one, two)| one.max(two)),
        }
    }

    /// Whether it allows less than what no run uses.
    pub(crate) fn is_limited(&self) -> bool {
        self.calls < 10_000 || self.tokens.is_some() || self.cost.is_some()
    }

    /// What is more than it allows.
    pub(crate) fn passed(&self, used: &Usage) -> Option<String> {
        if used.calls > self.calls {
            return Some(format!("{} calls of {}", used.calls, self.calls));
        }
        if let Some(most) = self.tokens.filter(|most| used.tokens() > *most) {
            return Some(format!("{} tokens of {most}", used.tokens()));
        }
        let most = self.cost.filter(|most| used.cost > *most)?;
        Some(format!("a cost of {} of {most}", used.cost))
    }
}

/// What the calls of a log come to: for each intent what it reserved, and for each outcome that reservation back and
/// what was used.
#[derive(Clone, Debug, Default)]
pub(crate) struct Charges {
    reserved: BTreeMap<CallKey, Usage>,
}

impl Charges {
    /// What a record takes from the budgets around its call, and what it gives back to them.
    pub(crate) fn of(&mut self, record: &Record) -> Option<(Usage, Usage)> {
        match record {
            Record::CallIntent { call, request } => {
                self.reserved.insert(call.clone(), request.reserve);
                Some((request.reserve, Usage::default()))
            }
            Record::CallEnded { call, outcome } => {
                Some((outcome.usage, self.reserved.get(call).copied().unwrap_or_default()))
            }
            Record::RunStarted(_)
            | Record::EpochTaken { .. }
            | Record::AttemptFailed { .. }
            | Record::Suspended { .. }
            | Record::Answered { .. }
            | Record::Patched(_)
            | Record::Committed(_)
            | Record::Ended(_)
            | Record::Known(_)
            | Record::Measured(_)
            | Record::Forked { .. }
            | Record::Continued(_)
            | Record::Placed(_)
            | Record::Compacted(_)
            | Record::Told(_)
            | Record::RunSuspended(_) => None,
        }
    }

    /// What all calls of a log come to.
    pub(crate) fn all(log: &[Record]) -> Usage {
        let (mut charges, mut all) = (Self::default(), Usage::default());
        for (taken, back) in log.iter().filter_map(|record| charges.of(record)) {
            all = settled(all, taken, back);
        }
        all
    }
}

fn settled(before: Usage, taken: Usage, back: Usage) -> Usage {
    Usage {
        calls: before.calls + taken.calls - back.calls,
        prompt_tokens: before.prompt_tokens + taken.prompt_tokens - back.prompt_tokens,
        completion_tokens: before.completion_tokens + taken.completion_tokens - back.completion_tokens,
        cost: before.cost + taken.cost - back.cost,
    }
}

/// A sub-graph that was opened, and what is charged to it and to those inside it.
#[derive(Debug)]
struct Frame {
    outer: FrameId,
    budget: Budget,
    charged: Usage,
}

/// The budgets of sub-graphs, which are carved from those around them.
#[derive(Debug, Default)]
pub(crate) struct Inner {
    frames: BTreeMap<FrameId, Frame>,
    charges: Charges,
}

impl Inner {
    /// Notes a sub-graph, if the notice tells of one.
    pub(crate) fn open(&mut self, scenario: &Scenario, notice: &Notice) {
        let Notice::Opened { frame, graph, by } = notice else { return };
        let Some(spec) = scenario.library.get(graph) else { return };
        let (outer, budget) = (by.frame, Budget::from(&spec.limits));
        self.frames.insert(*frame, Frame { outer, budget, charged: Usage::default() });
    }

    /// Charges what a record says; which sub-graph has passed its budget with that, if one has.
    pub(crate) fn charge(&mut self, record: &Record) -> Option<String> {
        let (Record::CallIntent { call, .. } | Record::CallEnded { call, .. }) = record else { return None };
        let (taken, back) = self.charges.of(record)?;
        let mut at = call.activation.frame;
        while let Some(frame) = self.frames.get_mut(&at) {
            frame.charged = settled(frame.charged, taken, back);
            if let Some(passed) = frame.budget.passed(&frame.charged) {
                return Some(format!("{passed} were charged to frame {}", at.0));
            }
            at = frame.outer;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_more_than_allowed_is_named() {
        let budget = Budget { calls: 2, tokens: Some(10), cost: Some(0.5) };
        let used = |calls, prompt_tokens, cost| Usage { calls, prompt_tokens, completion_tokens: 4, cost };
        assert_eq!(budget.passed(&used(2, 6, 0.5)), None);
        assert_eq!(budget.passed(&used(3, 6, 0.5)).as_deref(), Some("3 calls of 2"));
        assert_eq!(budget.passed(&used(2, 7, 0.5)).as_deref(), Some("11 tokens of 10"));
        assert_eq!(budget.passed(&used(2, 6, 0.625)).as_deref(), Some("a cost of 0.625 of 0.5"));
        let other = Budget { calls: 1, tokens: None, cost: Some(0.625) };
        assert_eq!(budget.or(other), Budget { calls: 2, tokens: None, cost: Some(0.625) });
    }
}
