//! The half of a layer in which each token is worked on alone.

use super::experts::Experts;
use super::norm::{Norm, accumulate};
use super::{Batch, Pass};
use crate::adapter::{Shifts, Site};
use crate::architecture::Activation;
use crate::error::LoadError;
use crate::hyperparameters::Hyperparameters;
use crate::kernel::{geglu, swiglu};
use crate::parallel::for_each;
use crate::weights::{Linear, Weights};

/// Rows that one piece of row-wise work covers.
const ROWS: usize = 16;

/// Two matrices whose products are multiplied with each other, and one behind them.
pub(super) struct Gated {
    pub(super) gate_up: Linear,
    pub(super) down: Linear,
    /// Floats in the middle.
    pub(super) wide: usize,
    pub(super) activation: Activation,
}

impl Gated {
    /// Reads it from tensors with these names, for rows of the width of the network.
    pub(super) fn load(
        weights: &mut Weights<'_>,
        [gate, up, down]: [&str; 3],
        wide: usize,
        sizes: &Hyperparameters,
    ) -> Result<Self, LoadError> {
        let gate_up = if sizes.architecture.joined_gate {
            weights.joined(up, &[wide, wide], sizes.hidden)?
        } else {
            weights.linear(&[(gate, wide), (up, wide)], sizes.hidden)?
        };
        let down = weights.linear(&[(down, sizes.hidden)], wide)?;
        Ok(Self { gate_up, down, wide, activation: sizes.architecture.activation })
    }

    /// Floats that an input row has.
    pub(super) fn columns(&self) -> usize {
        self.gate_up.columns()
    }

    /// Floats that an output row has.
    pub(super) fn stride(&self) -> usize {
        self.down.stride()
    }

    /// Works on `rows` rows, which have the adapters of the batch, if they are those of it.
    pub(super) fn forward(
        &self,
        normed: Vec<f32>,
        rows: usize,
        (batch, layer): (Batch<'_>, usize),
    ) -> candle_core::Result<Vec<f32>> {
        let [gate_at, up_at] = self.gate_up.offsets() else {
            candle_core::bail!("gate and up are two matrices")
        };
        let sites = [(Site::Gate, *gate_at), (Site::Up, *up_at)];
        let shifts = Shifts::of(batch, layer, &sites, (&normed, self.gate_up.columns()));
        let mut gate_up = self.gate_up.forward(normed, rows)?;
        let stride = self.gate_up.stride();
        shifts.add(&mut gate_up, stride);
        let columns = self.down.columns();
        let mut activated = vec![0.0; rows * columns];
        let pieces = activated.chunks_mut(ROWS * columns).zip(gate_up.chunks(ROWS * stride)).collect();
        let activate = match self.activation {
            Activation::Silu => swiglu,
            Activation::GeluTanh => geglu,
        };
        for_each(pieces, |(out, gate_up): (&mut [f32], &[f32])| {
            for (out, gate_up) in out.chunks_exact_mut(columns).zip(gate_up.chunks_exact(stride)) {
                activate(&gate_up[..self.wide], &gate_up[*up_at..up_at + self.wide], out);
            }
        });
        let shifts = Shifts::of(batch, layer, &[(Site::Down, 0)], (&activated, columns));
        let mut output = self.down.forward(activated, rows)?;
        shifts.add(&mut output, self.down.stride());
        Ok(output)
    }
}

/// What works on the rows.
enum Worker {
    One(Gated),
    /// A few of many, for each row its own.
    Some(Experts),
}

/// A feed-forward layer with what is around it.
pub(super) struct FeedForward {
    norm: Norm,
    worker: Worker,
    behind: Option<Norm>,
}

impl FeedForward {
    pub(super) fn load(
        weights: &mut Weights<'_>,
        sizes: &Hyperparameters,
        index: usize,
    ) -> Result<Self, LoadError> {
        let name = |suffix: &str| format!("blk.{index}.{suffix}.weight");
        let worker = match &sizes.experts {
            Some(experts) => Worker::Some(Experts::load(weights, (sizes, experts), index)?),
            None => {
                let names = [name("ffn_gate"), name("ffn_up"), name("ffn_down")];
                let names = [&names[0], &names[1], &names[2]].map(String::as_str);
                Worker::One(Gated::load(weights, names, sizes.feed_forward, sizes)?)
            }
        };
        let mut norm = |suffix: &str| Norm::load(weights, &name(suffix), (sizes.hidden, sizes.epsilon));
        let behind = sizes.architecture.normed_behind.then(|| norm("post_ffw_norm"));
        Ok(Self { behind: behind.transpose()?, norm: norm("ffn_norm")?, worker })
    }

    /// Adds to the rows of `x` what becomes of them.
    pub(super) fn forward(
        &self,
        sizes: &Hyperparameters,
        pass: &Pass<'_>,
        x: &mut [f32],
    ) -> candle_core::Result<()> {
        let rows = pass.batch.rows.len();
        let (given, stride) = match &self.worker {
            Worker::One(gated) => {
                let normed = self.norm.rows(x, gated.columns());
                (gated.forward(normed, rows, (pass.batch, pass.layer))?, gated.stride())
            }
            Worker::Some(experts) => {
                let normed = self.norm.rows(x, experts.columns());
                (experts.forward(&normed, sizes.hidden)?, sizes.hidden)
            }
        };
        accumulate((x, sizes.hidden), (&given, stride), self.behind.as_ref());
        Ok(())
    }
}
