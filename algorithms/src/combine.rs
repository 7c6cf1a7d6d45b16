//! What can be folded in any order.

use serde::{Deserialize, Serialize};

/// A fold whose result does not depend on order or grouping.
///
/// The operation must be associative and commutative *exactly*: partial folds are made by whichever partition
/// sends, and results must not show how many there are. A sum of `f64` is not; [`Mass`] is, for fractions.
/// To send the identity is to send nothing: it wakes nobody.
pub trait Combine: Clone + PartialEq + Send + Sync {
    /// What changes nothing: `combine(IDENTITY, x)` is `x`.
    const IDENTITY: Self;

    /// The fold of two.
    fn combine(&self, other: &Self) -> Self;
}

/// Nothing to fold, for programs without an aggregator.
impl Combine for () {
    const IDENTITY: Self = ();

    fn combine(&self, _: &Self) -> Self {}
}

/// Two folds beside each other.
impl<A: Combine, B: Combine> Combine for (A, B) {
    const IDENTITY: Self = (A::IDENTITY, B::IDENTITY);

    #[inline]
    fn combine(&self, other: &Self) -> Self {
        (self.0.combine(&other.0), self.1.combine(&other.1))
    }
}

/// A count, modulo 2^64.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sum(pub u64);

impl Combine for Sum {
    const IDENTITY: Self = Self(0);

    #[inline]
    fn combine(&self, other: &Self) -> Self {
        Self(self.0.wrapping_add(other.0))
    }
}

/// The smallest.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Smallest<T>(pub T);

impl Combine for Smallest<u32> {
    const IDENTITY: Self = Self(u32::MAX);

    #[inline]
    fn combine(&self, other: &Self) -> Self {
        Self(self.0.min(other.0))
    }
}

impl Combine for Smallest<f64> {
    const IDENTITY: Self = Self(f64::INFINITY);

    #[inline]
    fn combine(&self, other: &Self) -> Self {
        Self(self.0.min(other.0))
    }
}

/// A part of a whole, in units of 2^-62, so that sums are of integers, and exact: the same in any order.
///
/// It is made with an error of at most one unit (2.2e-19). A sum may reach 4, what is beyond wraps round.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mass(u64);

impl Mass {
    const ONE: f64 = (1_u64 << 62) as f64;

    /// The mass of a part of at least 0 and below 4.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "the unit is what it is rounded to")]
    pub fn new(part: f64) -> Self {
        Self((part * Self::ONE) as u64)
    }

    /// So many units.
    pub(crate) const fn from_units(units: u64) -> Self {
        Self(units)
    }

    pub(crate) const fn units(self) -> u64 {
        self.0
    }

    /// The part.
    #[inline]
    pub fn part(self) -> f64 {
        self.0 as f64 / Self::ONE
    }
}

impl Combine for Mass {
    const IDENTITY: Self = Self(0);

    #[inline]
    fn combine(&self, other: &Self) -> Self {
        Self(self.0.wrapping_add(other.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn masses_add_up_the_same_in_any_order(parts in proptest::collection::vec(0.0_f64..1e-2, 1..100)) {
            let fold = |masses: &mut dyn Iterator<Item = &f64>| {
                masses.fold(Mass::IDENTITY, |sum, part| sum.combine(&Mass::new(*part)))
            };
            let sum = fold(&mut parts.iter());
            prop_assert_eq!(sum, fold(&mut parts.iter().rev()));
            let (left, right) = parts.split_at(parts.len() / 2);
            prop_assert_eq!(sum, fold(&mut right.iter()).combine(&fold(&mut left.iter())));
            prop_assert!((sum.part() - parts.iter().sum::<f64>()).abs() < 1e-14);
        }
    }

    #[test]
    fn the_identity_changes_nothing() {
        assert_eq!(Mass::new(0.25).combine(&Mass::IDENTITY).part(), 0.25);
        assert_eq!(Smallest(3_u32).combine(&Smallest::IDENTITY), Smallest(3));
        assert_eq!(Smallest(0.5).combine(&Smallest::IDENTITY), Smallest(0.5));
        assert_eq!((Sum(7), Smallest(1_u32)).combine(&Combine::IDENTITY), (Sum(7), Smallest(1)));
    }
}
