//! Mistakes that an engine could have, to prove that the simulator finds them.
//!
//! Without the feature `defects`, which nothing but the simulator's own test turns on, `is` is false
//! for all of them and nothing of them is left in the program.

/// A mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Defect {
    /// A superstep's results become true before its commit record is durable.
    ResultsBeforeCommit,
    /// The outcome of a call is used before it is durable.
    OutcomeBeforeRecord,
    /// A mutation changes the graph at once, in the middle of its superstep.
    MutationAtOnce,
    /// A budget is looked at once the call is made.
    BudgetAfterCall,
    /// What joins hold and owe is not there after a resumption.
    JoinsForgotten,
    /// Messages are drained in an order that differs from process to process.
    HashOrder,
    /// A dead letter has no status.
    DeadLetterDropped,
    /// What a cancelled loser gave is applied.
    LoserCounts,
    /// A program begins anew after it was answered.
    BegunAnew,
    /// A message that the network repeats is delivered twice.
    RepetitionsDelivered,
    /// A quorum forgets what its slots owe.
    DebtForgotten,
    /// A join that nothing can complete any more is left as it is.
    JoinsLeft,
    /// How often a vertex was tried is forgotten at a resumption.
    AttemptsForgotten,
    /// A run that is suspended goes on.
    SuspensionIgnored,
    /// A run that is suspended goes on after a crash.
    SuspensionForgotten,
}

impl Defect {
    /// All of them.
    pub const ALL: [Self; 15] = [
        Self::ResultsBeforeCommit,
        Self::OutcomeBeforeRecord,
        Self::MutationAtOnce,
        Self::BudgetAfterCall,
        Self::JoinsForgotten,
        Self::HashOrder,
        Self::DeadLetterDropped,
        Self::LoserCounts,
        Self::BegunAnew,
        Self::RepetitionsDelivered,
        Self::DebtForgotten,
        Self::JoinsLeft,
        Self::AttemptsForgotten,
        Self::SuspensionIgnored,
        Self::SuspensionForgotten,
    ];
}

#[cfg(feature = "defects")]
mod planted {
    use super::Defect;
    use std::cell::Cell;

    thread_local! {
        static PLANTED: Cell<Option<Defect>> = const { Cell::new(None) };
        static SALT: Cell<usize> = const { Cell::new(0) };
    }

    /// Lets engines on this thread have a mistake, or none.
    pub fn plant(defect: Option<Defect>) {
        PLANTED.set(defect);
        SALT.set(0);
    }

    pub(crate) fn is(defect: Defect) -> bool {
        PLANTED.get() == Some(defect)
    }

    /// A number that is another one each time, as the seeds of hash maps are.
    pub(crate) fn salt() -> usize {
        SALT.set(SALT.get().wrapping_mul(7).wrapping_add(5));
        SALT.get() / 8
    }
}

#[cfg(feature = "defects")]
pub use planted::plant;
#[cfg(feature = "defects")]
pub(crate) use planted::{is, salt};

#[cfg(not(feature = "defects"))]
pub(crate) const fn is(_: Defect) -> bool {
    false
}

#[cfg(not(feature = "defects"))]
pub(crate) const fn salt() -> usize {
    0
}
