//! A crash at every point of a run, one after the other.

use crate::faults::{Faults, Side};
use crate::scenario::Scenario;
use crate::trial::run_with;

/// Which crashes a scenario is to survive.
#[derive(Clone, Debug, Default)]
pub struct Crashes {
    /// One run for each.
    pub runs: Vec<Faults>,
    /// How many points there are at which a run could crash: both sides of each write and a torn one, the
    /// same again with a second crash at the first write of the recovery, and before each event.
    pub points: u64,
}

/// The crashes of a scenario on one, two and three partitions; with `most` no more than about so many
/// events of each, evenly spread. The writes are all there.
pub fn crashes(scenario: &Scenario, most: Option<u64>) -> Crashes {
    let mut found = Crashes::default();
    for partitions in 1..=3 {
        let calm = Faults { partitions, latency: partitions > 1, ..Faults::none(u64::from(partitions)) };
        let undisturbed = run_with(scenario, &calm, None, false);
        for write in 0..undisturbed.writes {
            for side in [Side::Before, Side::Torn, Side::After] {
                found.runs.push(Faults { crash_at: vec![(write, side)], ..calm.clone() });
            }
            // The next write is the first of the recovery.
            for (first, second) in
                [(Side::Before, Side::Before), (Side::After, Side::Before), (Side::After, Side::After)]
            {
                let crash_at = vec![(write, first), (write + 1, second)];
                found.runs.push(Faults { crash_at, ..calm.clone() });
            }
        }
        let step = most.map_or(1, |most| undisturbed.events.div_ceil(most).max(1));
        let every = usize::try_from(step).unwrap_or(1);
        for event in (0..undisturbed.events).step_by(every) {
            found.runs.push(Faults { crash_before: Some(event), ..calm.clone() });
        }
        found.points += 6 * undisturbed.writes + undisturbed.events;
    }
    found
}
