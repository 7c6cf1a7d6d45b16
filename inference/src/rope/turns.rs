//! How fast the pairs of a head turn; more slowly, where a model was made to read further than it was trained.

/// What a file says of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Turns {
    pub(crate) base: f64,
    /// What angles are divided by; with YaRN, those of slow pairs.
    pub(crate) factor: f64,
    /// What rotated vectors are multiplied by.
    pub(crate) magnitude: f64,
    /// Positions that the model was trained with at first.
    pub(crate) original: usize,
    /// Pairs that make more turns than the first in the original context keep their angles, and those that make
    /// fewer than the second have them divided, as YaRN has it.
    pub(crate) yarn: Option<[f64; 2]>,
}

impl Turns {
    /// The angle per position of each pair of the `dim` floats that are rotated: `base^(-2 pair / dim)`, divided by the
    /// factor of the pair, where there are such, and scaled.
    ///
    /// YaRN goes from one way to the other on a line over the pairs in between (Peng et al., arXiv:2309.00071).
    pub(crate) fn frequencies(&self, dim: usize, factors: &[f32]) -> Vec<f64> {
        let kept = self.yarn.map(|turns| kept(turns, dim, self.base, self.original));
        let frequency = |pair: usize| {
            let factor = factors.get(pair).copied().map_or(1.0, f64::from);
            let plain = self.base.powf(-2.0 * pair as f64 / dim as f64) / factor;
            let kept = kept.map_or(0.0, |[first, last]| {
                1.0 - ((pair as f64 - first) / (last - first).max(0.001)).clamp(0.0, 1.0)
            });
            plain * kept + plain / self.factor * (1.0 - kept)
        };
        (0..dim / 2).map(frequency).collect()
    }
}

/// Up to which pair all is kept, and from which on nothing is.
fn kept(turns: [f64; 2], dim: usize, base: f64, original: usize) -> [f64; 2] {
    let dim = dim as f64;
    let pair =
        |turns: f64| dim * (original as f64 / (turns * std::f64::consts::TAU)).ln() / (2.0 * base.ln());
    [pair(turns[0]).floor().max(0.0), pair(turns[1]).ceil().min(dim - 1.0)]
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Turns = Turns { base: 10_000.0, factor: 1.0, magnitude: 1.0, original: 4096, yarn: None };

    fn check(turns: Turns, factors: &[f32], expected: [f64; 4]) {
        let found = turns.frequencies(8, factors);
        for (found, expected) in found.iter().zip(expected) {
            assert!((found / expected - 1.0).abs() < 1e-9, "{found} {expected}");
        }
        assert_eq!(found.len(), 4);
    }

    #[test]
    fn angles_are_divided_all_alike_or_each_by_its_own() {
        check(PLAIN, &[], [1.0, 0.1, 0.01, 0.001]);
        check(Turns { factor: 4.0, ..PLAIN }, &[], [0.25, 0.025, 0.0025, 0.000_25]);
        check(PLAIN, &[1.0, 2.0, 4.0, 8.0], [1.0, 0.05, 0.0025, 0.000_125]);
    }

    #[test]
    fn yarn_keeps_fast_pairs_and_divides_slow_ones() {
        // 32 turns are made by pair 1.31 and one by pair 2.81, so that it goes from 1 to 3.
        let yarn = Turns { factor: 4.0, yarn: Some([32.0, 1.0]), ..PLAIN };
        check(yarn, &[], [1.0, 0.1, 0.01 * 0.5 + 0.0025 * 0.5, 0.000_25]);
    }
}
