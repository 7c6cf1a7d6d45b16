//! Names of random runs.

use std::fmt;
use std::str::FromStr;

use crate::faults::Faults;
use crate::generate::{self, strange};
use crate::random::Random;
use crate::scenario::Scenario;

/// What sort of graphs a seed makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    /// Graphs that a user could have written, with all that a run can meet.
    Usual,
    /// Graphs that nobody would write, of which the model of the rules knows all.
    Strange,
}

/// The name of a random run: `17` of the usual family, `s17` of the strange one.
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

    /// A seed of the strange family.
    pub fn strange(number: u64) -> Self {
        Self { family: Family::Strange, number }
    }

    /// What is run, and what goes wrong.
    pub fn unfold(self) -> (Scenario, Faults) {
        let mut random = Random::new(self.number);
        let mut own = random.fork();
        let scenario = match self.family {
            Family::Usual => generate::scenario(&mut own),
            Family::Strange => strange::scenario(&mut own),
        };
        (scenario, Faults::random(&mut random))
    }
}

impl fmt::Display for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let family = match self.family {
            Family::Usual => "",
            Family::Strange => "s",
        };
        write!(f, "{family}{}", self.number)
    }
}

impl FromStr for Seed {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text.strip_prefix('s') {
            Some(number) => Self::strange(number.parse()?),
            None => Self::usual(text.parse()?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_read_as_it_is_written() {
        for seed in [Seed::usual(0), Seed::usual(17), Seed::strange(3)] {
            assert_eq!(seed.to_string().parse(), Ok(seed));
        }
        assert!("x3".parse::<Seed>().is_err());
    }
}
