//! The transformer: a batch of rows in, the logits of the wanted rows out.

use std::sync::Arc;

use candle_core::quantized::QTensor;
use candle_core::{Device, Tensor};

use crate::adapter::{Adapter, Shifts, Site};
use crate::attention::{Run, Sight, attend};
use crate::error::LoadError;
use crate::gguf::Gguf;
use crate::hyperparameters::Hyperparameters;
use crate::kernel::{add, norm_heads, rms_norm, swiglu};
use crate::kv::KvCache;
use crate::parallel::for_each;
use crate::rope::Rope;
use crate::weights::{Linear, Weights};

/// Rows that one piece of row-wise work covers.
const ROWS: usize = 16;

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

struct Layer {
    attention_norm: Vec<f32>,
    query_key_value: Linear,
    /// One float per output of `query_key_value`, empty if there is none.
    bias: Vec<f32>,
    /// By which the heads of query and key are normalised, if they are.
    head_norms: Option<[Vec<f32>; 2]>,
    attention_output: Linear,
    feed_forward_norm: Vec<f32>,
    gate_up: Linear,
    down: Linear,
}

/// The weights of a model and how to run them.
pub(crate) struct Network {
    sizes: Hyperparameters,
    embedding: Arc<QTensor>,
    layers: Vec<Layer>,
    norm: Vec<f32>,
    output: Linear,
    rope: Rope,
}

impl Network {
    /// Reads all weights; `context` is the number of positions that rows may have.
    pub(crate) fn load(
        gguf: &Gguf,
        weights: &mut Weights<'_>,
        sizes: Hyperparameters,
        context: usize,
    ) -> Result<Self, LoadError> {
        let vocabulary = sizes.vocabulary;
        let (output, embedding) = if gguf.entry("output.weight").is_some() {
            let output = weights.linear(&[("output.weight", vocabulary)], sizes.hidden)?;
            (output, weights.table("token_embd.weight", vocabulary, sizes.hidden)?)
        } else {
            let output = weights.linear(&[("token_embd.weight", vocabulary)], sizes.hidden)?;
            let table = output.table();
            (output, table)
        };
        let layers = (0..sizes.layers)
            .map(|index| load_layer(weights, &sizes, index))
            .collect::<Result<Vec<_>, _>>()?;
        let norm = weights.vector("output_norm.weight", sizes.hidden)?;
        let mut factors = match gguf.entry("rope_freqs.weight") {
            Some(_) => weights.vector("rope_freqs.weight", sizes.rotated / 2)?,
            None => vec![1.0; sizes.rotated / 2],
        };
        factors.iter_mut().for_each(|factor| *factor *= sizes.rope_divisor);
        let rope = Rope::new(sizes.architecture.pairing, sizes.rotated, sizes.rope_base, &factors, context);
        Ok(Self { sizes, embedding, layers, norm, output, rope })
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
            self.attention(cache, (index, layer), (batch, &runs), &mut x)?;
            self.feed_forward((index, layer), batch, &mut x)?;
        }
        self.logits(batch.rows, &x)
    }

    fn embed(&self, rows: &[Row]) -> candle_core::Result<Vec<f32>> {
        let ids: Vec<u32> = rows.iter().map(|row| row.token).collect();
        let ids = Tensor::from_vec(ids, rows.len(), &Device::Cpu)?;
        let wide = self.embedding.embedding(&ids)?;
        let width = wide.dim(1)?;
        let wide: Vec<f32> = wide.flatten_all()?.to_vec1()?;
        Ok(wide.chunks_exact(width).flat_map(|row| &row[..self.sizes.hidden]).copied().collect())
    }

    fn attention(
        &self,
        cache: &mut KvCache,
        (index, layer): (usize, &Layer),
        (batch, runs): (Batch<'_>, &[Run]),
        x: &mut [f32],
    ) -> candle_core::Result<()> {
        let rows = batch.rows;
        let heads = self.sizes.heads;
        let columns = layer.query_key_value.columns();
        let normed = self.normed(x, &layer.attention_norm, columns);
        let [query_at, key_at, value_at] = layer.query_key_value.offsets() else {
            candle_core::bail!("query, key and value are three tensors")
        };
        let sites = [(Site::Query, *query_at), (Site::Key, *key_at), (Site::Value, *value_at)];
        let shifts = Shifts::of(batch, index, &sites, (&normed, columns));
        let mut projected = layer.query_key_value.forward(normed, rows.len())?;
        let stride = layer.query_key_value.stride();
        shifts.add(&mut projected, stride);
        let (query_len, key_len) = (heads.query * heads.dim, heads.key_value * heads.dim);
        for (row, projected) in rows.iter().zip(projected.chunks_exact_mut(stride)) {
            if !layer.bias.is_empty() {
                add(projected, &layer.bias);
            }
            if let Some([query_norm, key_norm]) = &layer.head_norms {
                norm_heads(&mut projected[..query_len], query_norm, self.sizes.epsilon);
                norm_heads(&mut projected[*key_at..key_at + key_len], key_norm, self.sizes.epsilon);
            }
            self.rope.rotate(row.position, heads.dim, &mut projected[..query_len]);
            self.rope.rotate(row.position, heads.dim, &mut projected[*key_at..key_at + key_len]);
            let key = &projected[*key_at..key_at + key_len];
            let value = &projected[*value_at..value_at + key_len];
            cache.write((row.slot, index), row.position, key, value);
        }
        let attended = attend(cache, index, heads, (runs, Sight::Past), (&projected, stride));
        let width = heads.group() * heads.dim;
        let columns = layer.attention_output.columns();
        let mut gathered = vec![0.0; rows.len() * columns];
        for (head, attended) in attended.chunks_exact(rows.len() * width).enumerate() {
            for (row, attended) in gathered.chunks_exact_mut(columns).zip(attended.chunks_exact(width)) {
                row[head * width..(head + 1) * width].copy_from_slice(attended);
            }
        }
        let shifts = Shifts::of(batch, index, &[(Site::AttentionOutput, 0)], (&gathered, columns));
        let mut output = layer.attention_output.forward(gathered, rows.len())?;
        shifts.add(&mut output, layer.attention_output.stride());
        self.accumulate(x, &output, layer.attention_output.stride());
        Ok(())
    }

    fn feed_forward(
        &self,
        (index, layer): (usize, &Layer),
        batch: Batch<'_>,
        x: &mut [f32],
    ) -> candle_core::Result<()> {
        let rows = batch.rows.len();
        let columns = layer.gate_up.columns();
        let normed = self.normed(x, &layer.feed_forward_norm, columns);
        let [gate_at, up_at] = layer.gate_up.offsets() else {
            candle_core::bail!("gate and up are two tensors")
        };
        let sites = [(Site::Gate, *gate_at), (Site::Up, *up_at)];
        let shifts = Shifts::of(batch, index, &sites, (&normed, columns));
        let mut gate_up = layer.gate_up.forward(normed, rows)?;
        let stride = layer.gate_up.stride();
        shifts.add(&mut gate_up, stride);
        let columns = layer.down.columns();
        let mut activated = vec![0.0; rows * columns];
        let pieces = activated.chunks_mut(ROWS * columns).zip(gate_up.chunks(ROWS * stride)).collect();
        let len = self.sizes.feed_forward;
        for_each(pieces, |(out, gate_up): (&mut [f32], &[f32])| {
            for (out, gate_up) in out.chunks_exact_mut(columns).zip(gate_up.chunks_exact(stride)) {
                swiglu(&gate_up[..len], &gate_up[*up_at..up_at + len], out);
            }
        });
        let shifts = Shifts::of(batch, index, &[(Site::Down, 0)], (&activated, columns));
        let mut output = layer.down.forward(activated, rows)?;
        shifts.add(&mut output, layer.down.stride());
        self.accumulate(x, &output, layer.down.stride());
        Ok(())
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
        let normed = self.normed(&wanted, &self.norm, self.output.columns());
        let logits = self.output.forward(normed, wanted.len() / self.sizes.hidden)?;
        let rows = logits.chunks_exact(self.output.stride());
        Ok(rows.map(|row| row[..self.sizes.vocabulary].to_vec()).collect())
    }

    /// Normalises every row into one of `columns` floats.
    fn normed(&self, x: &[f32], weight: &[f32], columns: usize) -> Vec<f32> {
        let hidden = self.sizes.hidden;
        let mut normed = vec![0.0; x.len() / hidden * columns];
        for (out, x) in normed.chunks_exact_mut(columns).zip(x.chunks_exact(hidden)) {
            rms_norm(x, weight, self.sizes.epsilon, out);
        }
        normed
    }

    fn accumulate(&self, x: &mut [f32], output: &[f32], stride: usize) {
        let hidden = self.sizes.hidden;
        for (x, output) in x.chunks_exact_mut(hidden).zip(output.chunks_exact(stride)) {
            add(x, &output[..hidden]);
        }
    }
}

fn load_layer(weights: &mut Weights<'_>, sizes: &Hyperparameters, index: usize) -> Result<Layer, LoadError> {
    let name = |suffix: &str| format!("blk.{index}.{suffix}");
    let hidden = sizes.hidden;
    let query = sizes.heads.query * sizes.heads.dim;
    let key = sizes.heads.key_value * sizes.heads.dim;
    let query_key_value = weights.linear(
        &[(&name("attn_q.weight"), query), (&name("attn_k.weight"), key), (&name("attn_v.weight"), key)],
        hidden,
    )?;
    let mut bias = Vec::new();
    if sizes.architecture.biased {
        bias = vec![0.0; query_key_value.stride()];
        let parts = [("attn_q.bias", query), ("attn_k.bias", key), ("attn_v.bias", key)];
        for ((suffix, len), at) in parts.into_iter().zip(query_key_value.offsets()) {
            bias[*at..at + len].copy_from_slice(&weights.vector(&name(suffix), len)?);
        }
    }
    let dim = sizes.heads.dim;
    let mut head_norm = |suffix: &str| weights.vector(&name(suffix), dim);
    let head_norms = if sizes.architecture.normed {
        Some([head_norm("attn_q_norm.weight")?, head_norm("attn_k_norm.weight")?])
    } else {
        None
    };
    Ok(Layer {
        attention_norm: weights.vector(&name("attn_norm.weight"), hidden)?,
        query_key_value,
        bias,
        head_norms,
        attention_output: weights.linear(&[(&name("attn_output.weight"), hidden)], query)?,
        feed_forward_norm: weights.vector(&name("ffn_norm.weight"), hidden)?,
        gate_up: weights.linear(
            &[(&name("ffn_gate.weight"), sizes.feed_forward), (&name("ffn_up.weight"), sizes.feed_forward)],
            hidden,
        )?,
        down: weights.linear(&[(&name("ffn_down.weight"), hidden)], sizes.feed_forward)?,
    })
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
