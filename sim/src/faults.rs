//! What goes wrong in a simulated run.

use crate::random::Random;

/// On which side of a durable write a crash lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The write never happens.
    Before,
    /// The write is durable, and nobody hears of it.
    After,
}

/// What goes wrong, how often.
#[derive(Clone, Debug)]
pub struct Faults {
    /// The seed of durations and of draws.
    pub seed: u64,
    /// How many partitions the run has.
    pub partitions: u32,
    /// Whether a resumed run may have another number of them.
    pub rescales: bool,
    /// Whether commands, reports and messages take time.
    pub latency: bool,
    /// In how many of a hundred cases something is said twice.
    pub duplicates: u64,
    /// In how many of a hundred cases a program that was stopped goes on for a while.
    pub late: u64,
    /// In how many of a thousand events the process dies before the event.
    pub crash: u64,
    /// In how many of a hundred writes the store fails, before or after success.
    pub store: u64,
    /// In how many of a hundred recoveries the process dies before its term is durable.
    pub recovery: u64,
    /// After so many crashes nothing goes wrong any more.
    pub most_crashes: u64,
    /// A crash at the write of this number, from 0.
    pub crash_at: Option<(u64, Side)>,
    /// A defect of the driver that a checker should find.
    pub sabotage: Option<Sabotage>,
}

impl Faults {
    /// Nothing goes wrong, and things take no time but that of programs and calls.
    pub fn none(seed: u64) -> Self {
        Self {
            seed,
            partitions: 1,
            rescales: false,
            latency: false,
            duplicates: 0,
            late: 0,
            crash: 0,
            store: 0,
            recovery: 0,
            most_crashes: 0,
            crash_at: None,
            sabotage: None,
        }
    }

    /// Much goes wrong.
    pub fn random(random: &mut Random) -> Self {
        let partitions = u32::try_from(random.between(1, 3)).unwrap_or(1);
        Self {
            seed: random.bits(),
            partitions,
            rescales: random.chance(30),
            latency: random.chance(70),
            duplicates: random.pick(&[0, 5, 20]),
            late: random.pick(&[0, 50, 100]),
            crash: random.pick(&[0, 2, 10, 30]),
            store: random.pick(&[0, 3, 10]),
            recovery: random.pick(&[0, 20, 50]),
            most_crashes: random.between(1, 12),
            crash_at: None,
            sabotage: None,
        }
    }
}

/// Defects of a driver or a store, to prove that the checkers find them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sabotage {
    /// The store says that a write is durable before it is.
    EarlyDurable,
    /// What calls gave is missing from the log that a run is resumed from.
    ForgottenOutcomes,
    /// The last record before a crash is lost though it was said to be durable.
    LostTail,
    /// A commit is written twice.
    DoubleCommit,
    /// A call that is sent again has another idempotency key.
    FreshKeys,
    /// Messages between partitions are lost.
    LostMessages,
    /// A budget is not charged: an intent in the log reserves nothing.
    FreeIntents,
    /// Answers that should depend on the request alone do not.
    ImpureAnswers,
}

impl Sabotage {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::EarlyDurable,
        Self::ForgottenOutcomes,
        Self::LostTail,
        Self::DoubleCommit,
        Self::FreshKeys,
        Self::LostMessages,
        Self::FreeIntents,
        Self::ImpureAnswers,
    ];
}
