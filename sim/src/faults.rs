//! What goes wrong in a simulated run.

use serde::{Deserialize, Serialize};

use crate::random::Random;

/// On which side of a durable write a crash lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Side {
    /// The write never happens.
    Before,
    /// A part of it is there, which whoever reads the log next cuts off.
    Torn,
    /// The write is durable, and nobody hears of it.
    After,
}

/// What goes wrong, how often.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
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
    /// Crashes at these writes, numbered from 0 over all lives of the process.
    pub crash_at: Vec<(u64, Side)>,
    /// A crash before the event of this number, from 0.
    pub crash_before: Option<u64>,
    /// When somebody suspends the run, and how long he waits until he wants it to go on.
    pub suspensions: Vec<(u64, u64)>,
    /// What else goes wrong.
    pub hazards: Hazards,
    /// A defect of the driver that a checker should find.
    #[serde(skip)]
    pub sabotage: Option<Sabotage>,
}

/// What goes wrong with the network, the store, and who leads, in how many of a hundred cases.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Hazards {
    /// A message, a command or a report is lost and sent again later.
    pub lost: u64,
    /// A write takes long.
    pub slow: u64,
    /// A store that fails leaves a part of the write.
    pub torn: u64,
    /// A process that would die sleeps instead, and wakes when another one leads.
    pub sleeps: u64,
    /// A process that resumes the run is shown a log that lacks what was written last.
    pub stale: u64,
}

impl Hazards {
    /// Much goes wrong.
    pub fn random(random: &mut Random) -> Self {
        Self {
            lost: random.pick(&[0, 5, 20]),
            slow: random.pick(&[0, 5]),
            torn: random.pick(&[0, 30]),
            sleeps: random.pick(&[0, 30, 80]),
            stale: random.pick(&[0, 20, 60]),
        }
    }
}

impl Faults {
    /// Nothing goes wrong, and things take no time but that of programs and calls.
    pub fn none(seed: u64) -> Self {
        Self { seed, partitions: 1, ..Self::default() }
    }

    /// What somebody does who suspends the run now and then.
    pub fn suspensions(random: &mut Random) -> Vec<(u64, u64)> {
        let times = if random.chance(30) { random.between(1, 4) } else { 0 };
        (0..times).map(|_| (random.between(0, 200_000), random.between(0, 100_000))).collect()
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
            ..Self::default()
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
    /// The store takes writes of a leader that another one has replaced.
    NoEpochCheck,
    /// The store overwrites what it should have found in its place.
    PlainPut,
    /// What is left of a torn write is taken for whole.
    TornTailKept,
}

impl Sabotage {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::EarlyDurable,
        Self::ForgottenOutcomes,
        Self::LostTail,
        Self::DoubleCommit,
        Self::FreshKeys,
        Self::LostMessages,
        Self::FreeIntents,
        Self::ImpureAnswers,
        Self::NoEpochCheck,
        Self::PlainPut,
        Self::TornTailKept,
    ];
}
