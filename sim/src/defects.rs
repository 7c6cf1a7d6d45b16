//! Mistakes that are planted, and how many seeds it takes to find each.

use superstep_engine::defect::Defect;

use crate::faults::Sabotage;
use crate::seed::Seed;
use crate::trial::{Planted, run_seed};

/// How a mistake was found.
#[derive(Clone, Debug)]
pub struct Found {
    /// The first seed that found it.
    pub seed: Seed,
    /// Which rule it broke.
    pub violation: String,
    /// How many seeds each search took.
    pub took: Vec<u64>,
}

impl Found {
    /// The median of what the searches took.
    pub fn median(&self) -> u64 {
        let mut took = self.took.clone();
        took.sort_unstable();
        took[took.len() / 2]
    }
}

/// All mistakes that this build can plant: those of the engine are there with the feature `defects`.
pub fn all() -> Vec<Planted> {
    let engine = if cfg!(feature = "defects") { &Defect::ALL[..] } else { &[] };
    let engine = engine.iter().copied().map(Planted::Engine);
    Sabotage::ALL.into_iter().map(Planted::Driver).chain(engine).collect()
}

/// Looks for a mistake `searches` times, each time among other seeds, and at most `most` of them. None if
/// one of the searches did not find it.
pub fn search(planted: Planted, searches: u64, most: u64) -> Option<Found> {
    let mut found: Option<Found> = None;
    for search in 0..searches {
        let (tried, seed, violation) = (0..most).find_map(|index| {
            let seed = Seed::in_turn(search * most + index);
            let violation = run_seed(seed, Some(planted), false).violation?;
            Some((index + 1, seed, violation))
        })?;
        let found = found.get_or_insert_with(|| Found { seed, violation, took: Vec::new() });
        found.took.push(tried);
    }
    found
}
