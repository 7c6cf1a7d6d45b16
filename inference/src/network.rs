//! The transformer: a batch of rows in, the logits of the wanted rows out.

mod experts;
mod feed_forward;
mod mixing;
mod norm;

use std::sync::Arc;

use candle_core::quantized::QTensor;
use candle_core::{Device, Tensor};

use self::feed_forward::FeedForward;
use self::mixing::Mixing;
use self::norm::Norm;
use crate::adapter::Adapter;
use crate::attention::Run;
use crate::error::LoadError;
use crate::gguf::Gguf;
use crate::hyperparameters::Hyperparameters;
use crate::kernel::capped;
use crate::kv::KvCache;
use crate::rope::{Rope, Turns};
use crate::weights::{Linear, Weights};

/// One token at one position of one slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) slot: usize,
    pub(crate) position: usize,
    pub(crate) token: u32,
    /// The logits after this token are wanted.
    pub(crate) wanted: bool,
    /// Which adapter of the batch it is run with.
    pub(crate) adapter: Option<usize>,
}

/// What one pass runs.
#[derive(Clone, Copy)]
pub(crate) struct Batch<'a> {
    pub(crate) rows: &'a [Row],
    /// The adapters that rows name by their places.
    pub(crate) adapters: &'a [Arc<Adapter>],
}

/// What one layer is given of a pass.
struct Pass<'a> {
    batch: Batch<'a>,
    runs: &'a [Run],
    layer: usize,
}

/// A layer of the network.
struct Layer {
    mixing: Mixing,
    feed_forward: FeedForward,
    /// Which of the ropes it has.
    rope: usize,
}

/// The weights of a model and how to run them.
pub(crate) struct Network {
    sizes: Hyperparameters,
    embedding: Arc<QTensor>,
    layers: Vec<Layer>,
    norm: Norm,
    output: Linear,
    /// That of layers without a window, and that of those with one if it is another.
    ropes: Vec<Rope>,
}

impl Network {
    /// Reads all weights; `context` is the number of positions that rows may have.
    pub(crate) fn load(
        gguf: &Gguf,
        weights: &mut Weights<'_>,
        sizes: Hyperparameters,
        context: usize,
    ) -> Result<Self, LoadError> {
        refuse_biases(gguf)?;
        let vocabulary = sizes.vocabulary;
        let (output, embedding) = if weights.has("output.weight") {
            let output = weights.linear(&[("output.weight", vocabulary)], sizes.hidden)?;
            (output, weights.table("token_embd.weight", vocabulary, sizes.hidden)?)
        } else {
            let output = weights.linear(&[("token_embd.weight", vocabulary)], sizes.hidden)?;
            let table = output.table();
            (output, table)
        };
        let ropes = ropes(weights, &sizes, context)?;
        let layer = |index: usize| -> Result<Layer, LoadError> {
            let has_other = ropes.len() > 1 && sizes.window_of(index).is_some();
            Ok(Layer {
                mixing: Mixing::load(weights, &sizes, index)?,
                feed_forward: FeedForward::load(weights, &sizes, index)?,
                rope: usize::from(has_other),
            })
        };
        let layers = (0..sizes.layers).map(layer).collect::<Result<Vec<_>, _>>()?;
        let norm = Norm::load(weights, "output_norm.weight", (sizes.hidden, sizes.epsilon))?;
        Ok(Self { sizes, embedding, layers, norm, output, ropes })
    }

    pub(crate) fn sizes(&self) -> &Hyperparameters {
        &self.sizes
    }

    /// Runs the rows of a batch and returns the logits of the wanted ones, in their order.
    ///
    /// Rows of one slot must be adjacent and ascend by one position, and all earlier positions of the slot must
    /// have been run before. A row has the same logits whatever else is in the batch, as far as the kernels of the
    /// tensor library treat rows alike.
    pub(crate) fn forward(
        &self,
        cache: &mut KvCache,
        batch: Batch<'_>,
    ) -> candle_core::Result<Vec<Vec<f32>>> {
        let runs = runs(batch.rows);
        let mut x = self.embed(batch.rows)?;
        for (index, layer) in self.layers.iter().enumerate() {
            let pass = Pass { batch, runs: &runs, layer: index };
            layer.mixing.forward(cache, (&self.sizes, &self.ropes[layer.rope]), &pass, &mut x)?;
            layer.feed_forward.forward(&self.sizes, &pass, &mut x)?;
        }
        self.logits(batch.rows, &x)
    }

    fn embed(&self, rows: &[Row]) -> candle_core::Result<Vec<f32>> {
        let ids: Vec<u32> = rows.iter().map(|row| row.token).collect();
        let ids = Tensor::from_vec(ids, rows.len(), &Device::Cpu)?;
        let wide = self.embedding.embedding(&ids)?;
        let width = wide.dim(1)?;
        let wide: Vec<f32> = wide.flatten_all()?.to_vec1()?;
        let mut x: Vec<f32> =
            wide.chunks_exact(width).flat_map(|row| &row[..self.sizes.hidden]).copied().collect();
        if self.sizes.architecture.scaled_embedding {
            let scale = (self.sizes.hidden as f32).sqrt();
            x.iter_mut().for_each(|float| *float *= scale);
        }
        Ok(x)
    }

    fn logits(&self, rows: &[Row], x: &[f32]) -> candle_core::Result<Vec<Vec<f32>>> {
        let wanted: Vec<f32> = rows
            .iter()
            .zip(x.chunks_exact(self.sizes.hidden))
            .filter(|(row, _)| row.wanted)
            .flat_map(|(_, x)| x)
            .copied()
            .collect();
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let normed = self.norm.rows(&wanted, self.output.columns());
        let mut logits = self.output.forward(normed, wanted.len() / self.sizes.hidden)?;
        if let Some(bound) = self.sizes.logit_cap {
            logits.iter_mut().for_each(|logit| *logit = capped(*logit, bound));
        }
        let rows = logits.chunks_exact(self.output.stride());
        Ok(rows.map(|row| row[..self.sizes.vocabulary].to_vec()).collect())
    }
}

/// The angles of layers without a window, and those of layers with one if they are others.
fn ropes(weights: &mut Weights<'_>, sizes: &Hyperparameters, context: usize) -> Result<Vec<Rope>, LoadError> {
    // All that are there are read, so that what is held does not depend on the context.
    let mut read = |name: &str| {
        let there = weights.has(name);
        there.then(|| weights.vector(name, sizes.rotated / 2)).transpose()
    };
    let (always, long, short) =
        (read("rope_freqs.weight")?, read("rope_factors_long.weight")?, read("rope_factors_short.weight")?);
    let by_length = if context > sizes.turns.original { long } else { short };
    let factors = always.or(by_length).unwrap_or_default();
    let mut turns = vec![sizes.turns];
    if sizes.window.is_some() && sizes.window_turns != sizes.turns {
        turns.push(sizes.window_turns);
    }
    let rope = |turns: &Turns| {
        let frequencies = turns.frequencies(sizes.rotated, &factors);
        Rope::new(sizes.architecture.pairing, &frequencies, turns.magnitude, context)
    };
    Ok(turns.iter().map(rope).collect())
}

/// Refuses biases that would not be added.
fn refuse_biases(gguf: &Gguf) -> Result<(), LoadError> {
    let is_added =
        |name: &str| ["attn_q.bias", "attn_k.bias", "attn_v.bias"].iter().any(|own| name.ends_with(own));
    match gguf.entries().find(|(name, _)| name.ends_with(".bias") && !is_added(name)) {
        Some((name, _)) => Err(LoadError::Unsupported {
            path: gguf.path().to_owned(),
            feature: format!("the bias {name:?}"),
        }),
        None => Ok(()),
    }
}

/// Adjacent rows of one slot.
fn runs(rows: &[Row]) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for (index, row) in rows.iter().enumerate() {
        match runs.last_mut() {
            Some(run) if run.slot == row.slot && run.position + run.len == row.position => run.len += 1,
            Some(_) | None => {
                runs.push(Run { slot: row.slot, first: index, position: row.position, len: 1 });
            }
        }
    }
    runs
}

#[cfg(test)]
mod tests;
