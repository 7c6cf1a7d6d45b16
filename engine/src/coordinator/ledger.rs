//! Budgets: reserved before a call and settled after, in the frame that calls and in all around it.

use super::Coordinator;
use crate::defect::{self, Defect};
use crate::ids::FrameId;
use crate::notice::{LimitKind, RunStatus};
use crate::program::{Failure, FailureClass, Usage};

impl Coordinator {
    /// Reserves `usage` in `frame` and every frame around it, or in none.
    pub(super) fn reserve(&mut self, frame: FrameId, usage: Usage) -> Result<(), Failure> {
        let chain = self.chain(frame);
        let wanted = if defect::is(Defect::BudgetAfterCall) { Usage::default() } else { usage };
        for id in &chain {
            let Some((limit, room)) = self.frames.get(id).and_then(|state| exceeded(state, wanted)) else {
                continue;
            };
            if *id == FrameId::ROOT {
                self.ending.get_or_insert(RunStatus::LimitReached(limit));
            }
            let message =
                format!("limits.{} of the graph leaves no room for the call: {room}", limit.field());
            return Err(Failure::new(FailureClass::Limit, message));
        }
        self.charge(frame, usage);
        Ok(())
    }

    /// Charges a reservation without asking: the log says that it was made.
    pub(crate) fn charge(&mut self, frame: FrameId, usage: Usage) {
        for id in self.chain(frame) {
            if let Some(state) = self.frames.get_mut(&id) {
                state.reserved += usage;
            }
        }
    }

    /// Replaces a reservation by what was used.
    pub(crate) fn settle(&mut self, frame: FrameId, reserved: Usage, used: Usage) {
        for id in self.chain(frame) {
            if let Some(state) = self.frames.get_mut(&id) {
                state.reserved.calls = state.reserved.calls.saturating_sub(reserved.calls);
                state.reserved.prompt_tokens =
                    state.reserved.prompt_tokens.saturating_sub(reserved.prompt_tokens);
                state.reserved.completion_tokens =
                    state.reserved.completion_tokens.saturating_sub(reserved.completion_tokens);
                state.reserved.cost = (state.reserved.cost - reserved.cost).max(0.0);
                state.settled += used;
            }
        }
        self.totals.usage += used;
    }

    /// The frame and those around it, innermost first.
    fn chain(&self, frame: FrameId) -> Vec<FrameId> {
        // What a frame that is gone used is the run's.
        let frame = if self.frames.contains_key(&frame) { frame } else { FrameId::ROOT };
        let mut chain = vec![frame];
        let mut at = frame;
        while let Some(((parent, _), _)) = self.frames.get(&at).and_then(|state| state.parent) {
            chain.push(parent);
            at = parent;
        }
        chain
    }
}

/// The limit that `usage` would pass, and what is left of it, in words.
fn exceeded(state: &super::FrameState, usage: Usage) -> Option<(LimitKind, String)> {
    let limits = &state.graph.spec().limits;
    let mut taken = state.reserved;
    taken += state.settled;
    if taken.calls + usage.calls > limits.calls {
        let room = format!("{} of {} are made", taken.calls, limits.calls);
        return Some((LimitKind::Calls, room));
    }
    if let Some(most) = limits.tokens.filter(|most| taken.tokens() + usage.tokens() > *most) {
        let (taken, wanted) = (taken.tokens(), usage.tokens());
        let room = format!("it may take {wanted}, and {taken} of {most} are used or reserved");
        return Some((LimitKind::Tokens, room));
    }
    let most = limits.cost.filter(|most| taken.cost + usage.cost > *most)?;
    let room = format!("it may cost {}, and {} of {most} are spent or reserved", usage.cost, taken.cost);
    Some((LimitKind::Cost, room))
}
