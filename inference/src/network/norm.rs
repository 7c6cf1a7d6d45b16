//! The norms of a network, and the sums that they stand in front of or behind.

use crate::error::LoadError;
use crate::kernel::{add, rms_norm};
use crate::weights::Weights;

/// Divides rows by the root of their mean square, and multiplies each column by a weight of its own.
pub(super) struct Norm {
    weight: Vec<f32>,
    epsilon: f32,
}

impl Norm {
    pub(super) fn load(
        weights: &mut Weights<'_>,
        name: &str,
        (len, epsilon): (usize, f32),
    ) -> Result<Self, LoadError> {
        Ok(Self { weight: weights.vector(name, len)?, epsilon })
    }

    /// Normalises every row into one of `columns` floats.
    pub(super) fn rows(&self, x: &[f32], columns: usize) -> Vec<f32> {
        let len = self.weight.len();
        let mut normed = vec![0.0; x.len() / len * columns];
        for (out, x) in normed.chunks_exact_mut(columns).zip(x.chunks_exact(len)) {
            rms_norm(x, &self.weight, self.epsilon, out);
        }
        normed
    }
}

/// Adds to the rows of `x`, of `hidden` floats each, what a layer gave, normalised if there is a norm behind it.
pub(super) fn accumulate(
    (x, hidden): (&mut [f32], usize),
    (given, stride): (&[f32], usize),
    behind: Option<&Norm>,
) {
    let mut normed = vec![0.0; hidden];
    for (x, given) in x.chunks_exact_mut(hidden).zip(given.chunks_exact(stride)) {
        match behind {
            None => add(x, &given[..hidden]),
            Some(norm) => {
                rms_norm(&given[..hidden], &norm.weight, norm.epsilon, &mut normed);
                add(x, &normed);
            }
        }
    }
}
