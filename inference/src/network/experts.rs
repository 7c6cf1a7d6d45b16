//! Feed-forward layers of which each row is given a few: mixtures of experts (Shazeer et al., arXiv:1701.06538).

use super::Batch;
use super::feed_forward::Gated;
use crate::error::LoadError;
use crate::hyperparameters::{Experts as Sizes, Hyperparameters};
use crate::kernel::{add_scaled, dot, exp};
use crate::weights::Weights;

/// As small as the weights of the chosen experts together are taken to be at least.
const LEAST: f32 = 6.103_515_6e-5;

/// All experts of a layer, and what chooses them.
pub(super) struct Experts {
    sizes: Sizes,
    /// Of each expert a row of the width of the network.
    router: Vec<f32>,
    experts: Vec<Gated>,
    shared: Option<Shared>,
}

/// An expert that every row is given.
struct Shared {
    /// By which rows say how much of it they take.
    gate: Vec<f32>,
    gated: Gated,
}

impl Experts {
    pub(super) fn load(
        weights: &mut Weights<'_>,
        (network, sizes): (&Hyperparameters, &Sizes),
        index: usize,
    ) -> Result<Self, LoadError> {
        let name = |suffix: &str| format!("blk.{index}.{suffix}.weight");
        let (hidden, wide, count) = (network.hidden, sizes.feed_forward, sizes.count);
        let [gate, up, down] = ["ffn_gate_exps", "ffn_up_exps", "ffn_down_exps"].map(name);
        let gate_up = weights.of_experts(count, &[(&gate, wide), (&up, wide)], hidden)?;
        let down = weights.of_experts(count, &[(&down, hidden)], wide)?;
        let activation = network.architecture.activation;
        let gated = |(gate_up, down)| Gated { gate_up, down, wide, activation };
        let shared = match sizes.shared {
            None => None,
            Some(wide) => {
                let names = ["ffn_gate_shexp", "ffn_up_shexp", "ffn_down_shexp"].map(name);
                let names = [&names[0], &names[1], &names[2]].map(String::as_str);
                Some(Shared {
                    gate: weights.vector(&name("ffn_gate_inp_shexp"), hidden)?,
                    gated: Gated::load(weights, names, wide, network)?,
                })
            }
        };
        Ok(Self {
            router: weights.router(index, count, hidden)?,
            experts: gate_up.into_iter().zip(down).map(gated).collect(),
            sizes: sizes.clone(),
            shared,
        })
    }

    /// Floats that an input row has.
    pub(super) fn columns(&self) -> usize {
        self.experts[0].columns()
    }

    /// Works on rows whose first `hidden` floats are their own, and gives as many for each.
    ///
    /// What experts give to a row is added in the order of experts, so that a row comes to the same in any batch.
    pub(super) fn forward(&self, normed: &[f32], hidden: usize) -> candle_core::Result<Vec<f32>> {
        let columns = self.columns();
        let mut given = vec![0.0; normed.len() / columns * hidden];
        let mut shares: Vec<Vec<(usize, f32)>> = vec![Vec::new(); self.experts.len()];
        for (row, normed) in normed.chunks_exact(columns).enumerate() {
            for (expert, weight) in self.choose(&normed[..hidden]) {
                shares[expert].push((row, weight));
            }
        }
        for (expert, shares) in self.experts.iter().zip(shares) {
            add_shares(expert, &shares, (normed, columns), (&mut given, hidden))?;
        }
        if let Some(Shared { gate, gated }) = &self.shared {
            let share =
                |(row, normed): (usize, &[f32])| (row, (1.0 + exp(-dot(&normed[..hidden], gate))).recip());
            let shares: Vec<_> = normed.chunks_exact(columns).enumerate().map(share).collect();
            add_shares(gated, &shares, (normed, columns), (&mut given, hidden))?;
        }
        Ok(given)
    }

    /// The experts of a row and their weights: those that are likeliest by the softmax of its products with their rows.
    fn choose(&self, row: &[f32]) -> Vec<(usize, f32)> {
        let logits: Vec<f32> = self.router.chunks_exact(row.len()).map(|expert| dot(row, expert)).collect();
        let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let mut likely: Vec<(usize, f32)> = logits.iter().map(|logit| exp(logit - max)).enumerate().collect();
        let total: f32 = likely.iter().map(|(_, weight)| weight).sum();
        // Of equally likely ones the first; the order is kept by the sort.
        likely.sort_by(|(_, one), (_, other)| other.total_cmp(one));
        likely.truncate(self.sizes.used);
        likely.iter_mut().for_each(|(_, weight)| *weight /= total);
        let chosen: f32 = likely.iter().map(|(_, weight)| weight).sum();
        let scale = if self.sizes.normalised { chosen.max(LEAST).recip() } else { 1.0 };
        likely.iter_mut().for_each(|(_, weight)| *weight *= scale * self.sizes.scale);
        likely
    }
}

/// Adds to rows what an expert makes of them, by their weights.
fn add_shares(
    expert: &Gated,
    shares: &[(usize, f32)],
    (normed, columns): (&[f32], usize),
    (given, hidden): (&mut [f32], usize),
) -> candle_core::Result<()> {
    if shares.is_empty() {
        return Ok(());
    }
    let own = shares.iter().flat_map(|(row, _)| &normed[row * columns..(row + 1) * columns]);
    let batch = Batch { rows: &[], adapters: &[] };
    let output = expert.forward(own.copied().collect(), shares.len(), (batch, 0))?;
    for ((row, weight), output) in shares.iter().zip(output.chunks_exact(expert.stride())) {
        add_scaled(&mut given[row * hidden..(row + 1) * hidden], &output[..hidden], *weight);
    }
    Ok(())
}
