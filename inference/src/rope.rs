//! Rotary position embedding (Su et al., arXiv:2104.09864).

mod turns;

use crate::kernel::narrow;

pub(crate) use self::turns::Turns;

/// Which floats of a head form a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pairing {
    /// Neighbours, as GGUF files of the llama architecture are written.
    Interleaved,
    /// The two halves, as GPT-NeoX.
    Halves,
}

/// The angles for every position of the context.
pub(crate) struct Rope {
    pairing: Pairing,
    /// Floats of a head that are rotated; the rest stays.
    dim: usize,
    /// `[position][pair]` of cosine and sine, both multiplied by the magnitude.
    angles: Vec<(f32, f32)>,
}

impl Rope {
    /// Pair `i` of a head turns by `position * frequencies[i]`, and grows by `magnitude`.
    pub(crate) fn new(pairing: Pairing, frequencies: &[f64], magnitude: f64, positions: usize) -> Self {
        let angles = (0..positions)
            .flat_map(|position| {
                frequencies.iter().map(move |frequency| {
                    let (sine, cosine) = (position as f64 * frequency).sin_cos();
                    (narrow(cosine * magnitude), narrow(sine * magnitude))
                })
            })
            .collect();
        Self { pairing, dim: 2 * frequencies.len(), angles }
    }

    /// Rotates every head of a row.
    pub(crate) fn rotate(&self, position: usize, head_dim: usize, row: &mut [f32]) {
        let half = self.dim / 2;
        let angles = &self.angles[position * half..(position + 1) * half];
        for head in row.chunks_exact_mut(head_dim) {
            match self.pairing {
                Pairing::Interleaved => {
                    for (pair, (cosine, sine)) in head.chunks_exact_mut(2).zip(angles) {
                        let (x, y) = (pair[0], pair[1]);
                        pair[0] = x * cosine - y * sine;
                        pair[1] = x * sine + y * cosine;
                    }
                }
                Pairing::Halves => {
                    let (front, back) = head[..self.dim].split_at_mut(half);
                    for ((x, y), (cosine, sine)) in front.iter_mut().zip(back).zip(angles) {
                        (*x, *y) = (*x * cosine - *y * sine, *x * sine + *y * cosine);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_turn_by_position_times_frequency() {
        let rope = Rope::new(Pairing::Interleaved, &[1.0, 0.05], 1.0, 8);
        let mut row = [1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 1.0];
        rope.rotate(3, 4, &mut row);
        let (slow, fast) = (3.0_f32 * 0.05, 3.0_f32);
        let expected = [fast.cos(), fast.sin(), -slow.sin(), slow.cos()];
        for (value, expected) in row.iter().zip(expected.iter().cycle()) {
            assert!((value - expected).abs() < 1e-6);
        }
    }

    #[test]
    fn halves_pair_across_the_head_and_the_tail_stays() {
        let rope = Rope::new(Pairing::Halves, &[1.0, 0.1], 2.0, 4);
        let mut row = [1.0, 0.0, 0.0, 0.0, 7.0, 7.0];
        rope.rotate(2, 6, &mut row);
        assert!((row[0] - 2.0 * 2.0_f32.cos()).abs() < 1e-6 && (row[2] - 2.0 * 2.0_f32.sin()).abs() < 1e-6);
        assert_eq!(row[4..], [7.0, 7.0]);
    }
}
