//! Names of random runs.

use std::fmt;
use std::str::FromStr;

use crate::faults::{Faults, Hazards};
use crate::generate::{self, strange};
use crate::random::Random;
use crate::scenario::Scenario;

/// What sort of graphs a seed makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    /// Graphs that a user could have written, in a process that crashes.
    Usual,
    /// The same, with hazards of the network, the store and the leader besides.
    Hard,
    /// Graphs that nobody would write, with hazards; the model of the rules knows all of them.
    Strange,
}

/// The name of a random run: `17` of the usual family, `h17` of the hard and `s17` of the strange one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seed {
    /// Which sort of graph.
    pub family: Family,
    /// Which of them.
    pub number: u64,
}

impl Seed {
    /// A seed of the usual family.
    pub fn usual(number: u64) -> Self {
        Self { family: Family::Usual, number }
    }

    /// The seed that is the `index`th in turn, one of each family after the other.
    pub fn in_turn(index: u64) -> Self {
        let family = match index % 3 {
            0 => Family::Usual,
            1 => Family::Hard,
            _ => Family::Strange,
        };
        Self { family, number: index / 3 }
    }

    /// What is run, and what goes wrong.
    pub fn unfold(self) -> (Scenario, Faults) {
        let mut random = Random::new(self.number);
        let mut own = random.fork();
        let scenario = match self.family {
            Family::Usual | Family::Hard => generate::scenario(&mut own),
            Family::Strange => strange::scenario(&mut own),
        };
        let mut faults = Faults::random(&mut random);
        if self.family != Family::Usual {
            faults.hazards = Hazards::random(&mut random);
            if random.chance(40) {
                (faults.partitions, faults.latency) = (4, true);
            }
        }
        // Drawn apart, so that everything else of a seed stays as it is.
        faults.suspensions = Faults::suspensions(&mut Random::new(!self.number));
        (scenario, faults)
    }
}

impl fmt::Display for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let family = match self.family {
            Family::Usual => "",
            Family::Hard => "h",
            Family::Strange => "s",
        };
        write!(f, "{family}{}", self.number)
    }
}

impl FromStr for Seed {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (family, number) = match (text.strip_prefix('s'), text.strip_prefix('h')) {
            (Some(number), _) => (Family::Strange, number),
            (None, Some(number)) => (Family::Hard, number),
            (None, None) => (Family::Usual, text),
        };
        Ok(Self { family, number: number.parse()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_read_as_it_is_written() {
        for seed in (0..9).map(Seed::in_turn) {
            assert_eq!(seed.to_string().parse(), Ok(seed));
        }
        assert!("x3".parse::<Seed>().is_err());
    }
}
