//! The half of a layer in which tokens see each other.

use super::norm::{Norm, accumulate};
use super::{Batch, Pass};
use crate::adapter::{Shifts, Site};
use crate::attention::{Sight, attend};
use crate::error::LoadError;
use crate::hyperparameters::Hyperparameters;
use crate::kernel::{add, norm_heads};
use crate::kv::KvCache;
use crate::rope::Rope;
use crate::weights::{Linear, Weights};

/// Attention with what is around it.
pub(super) struct Mixing {
    norm: Norm,
    query_key_value: Linear,
    /// One float per output of `query_key_value`, empty if there is none.
    bias: Vec<f32>,
    /// By which the heads of query and key are normalised, if they are.
    head_norms: Option<[Vec<f32>; 2]>,
    output: Linear,
    behind: Option<Norm>,
    sight: Sight,
}

impl Mixing {
    pub(super) fn load(
        weights: &mut Weights<'_>,
        sizes: &Hyperparameters,
        index: usize,
    ) -> Result<Self, LoadError> {
        let name = |suffix: &str| format!("blk.{index}.{suffix}");
        let (hidden, dim) = (sizes.hidden, sizes.heads.dim);
        let (query, key) = (sizes.heads.query * dim, sizes.heads.key_value * dim);
        let joined = name("attn_qkv.weight");
        let query_key_value = if weights.has(&joined) {
            weights.joined(&joined, &[query, key, key], hidden)?
        } else {
            let names = [name("attn_q.weight"), name("attn_k.weight"), name("attn_v.weight")];
            weights.linear(&[(&names[0], query), (&names[1], key), (&names[2], key)], hidden)?
        };
        let mut bias = Vec::new();
        let parts = [("attn_q.bias", query), ("attn_k.bias", key), ("attn_v.bias", key)];
        if sizes.architecture.biased || parts.iter().any(|(suffix, _)| weights.has(&name(suffix))) {
            bias = vec![0.0; query_key_value.stride()];
            for ((suffix, len), at) in parts.into_iter().zip(query_key_value.offsets()) {
                bias[*at..at + len].copy_from_slice(&weights.vector(&name(suffix), len)?);
            }
        }
        let mut head_norm = |suffix: &str| weights.vector(&name(suffix), dim);
        let head_norms = if sizes.architecture.normed {
            Some([head_norm("attn_q_norm.weight")?, head_norm("attn_k_norm.weight")?])
        } else {
            None
        };
        let mut norm = |suffix: &str| Norm::load(weights, &name(suffix), (hidden, sizes.epsilon));
        let behind = sizes.architecture.normed_behind.then(|| norm("post_attention_norm.weight"));
        Ok(Self {
            behind: behind.transpose()?,
            norm: norm("attn_norm.weight")?,
            query_key_value,
            bias,
            head_norms,
            output: weights.linear(&[(&name("attn_output.weight"), hidden)], query)?,
            sight: sizes.window_of(index).map_or(Sight::Past, Sight::Window),
        })
    }

    /// Adds to the rows of `x` what they see.
    pub(super) fn forward(
        &self,
        cache: &mut KvCache,
        (sizes, rope): (&Hyperparameters, &Rope),
        pass: &Pass<'_>,
        x: &mut [f32],
    ) -> candle_core::Result<()> {
        let (rows, heads) = (pass.batch.rows.len(), sizes.heads);
        let (projected, stride) = self.project((sizes, rope), pass, x)?;
        let [_, key_at, value_at] = self.offsets()?;
        let key_len = heads.key_value * heads.dim;
        for (row, projected) in pass.batch.rows.iter().zip(projected.chunks_exact(stride)) {
            let key = &projected[key_at..key_at + key_len];
            let value = &projected[value_at..value_at + key_len];
            cache.write((row.slot, pass.layer), row.position, key, value);
        }
        let scored = (heads, sizes.scoring);
        let attended = attend(cache, pass.layer, scored, (pass.runs, self.sight), (&projected, stride));
        let width = heads.group() * heads.dim;
        let columns = self.output.columns();
        let mut gathered = vec![0.0; rows * columns];
        for (head, attended) in attended.chunks_exact(rows * width).enumerate() {
            for (row, attended) in gathered.chunks_exact_mut(columns).zip(attended.chunks_exact(width)) {
                row[head * width..(head + 1) * width].copy_from_slice(attended);
            }
        }
        let shifts = Shifts::of(pass.batch, pass.layer, &[(Site::AttentionOutput, 0)], (&gathered, columns));
        let mut output = self.output.forward(gathered, rows)?;
        shifts.add(&mut output, self.output.stride());
        accumulate((x, sizes.hidden), (&output, self.output.stride()), self.behind.as_ref());
        Ok(())
    }

    /// Queries, keys and values of all rows, rotated, and the floats that each row has.
    fn project(
        &self,
        (sizes, rope): (&Hyperparameters, &Rope),
        pass: &Pass<'_>,
        x: &[f32],
    ) -> candle_core::Result<(Vec<f32>, usize)> {
        let Batch { rows, .. } = pass.batch;
        let (heads, epsilon) = (sizes.heads, sizes.epsilon);
        let columns = self.query_key_value.columns();
        let normed = self.norm.rows(x, columns);
        let [query_at, key_at, value_at] = self.offsets()?;
        let sites = [(Site::Query, query_at), (Site::Key, key_at), (Site::Value, value_at)];
        let shifts = Shifts::of(pass.batch, pass.layer, &sites, (&normed, columns));
        let mut projected = self.query_key_value.forward(normed, rows.len())?;
        let stride = self.query_key_value.stride();
        shifts.add(&mut projected, stride);
        let (query_len, key_len) = (heads.query * heads.dim, heads.key_value * heads.dim);
        for (row, projected) in rows.iter().zip(projected.chunks_exact_mut(stride)) {
            if !self.bias.is_empty() {
                add(projected, &self.bias);
            }
            if let Some([query_norm, key_norm]) = &self.head_norms {
                norm_heads(&mut projected[..query_len], query_norm, epsilon);
                norm_heads(&mut projected[key_at..key_at + key_len], key_norm, epsilon);
            }
            rope.rotate(row.position, heads.dim, &mut projected[..query_len]);
            rope.rotate(row.position, heads.dim, &mut projected[key_at..key_at + key_len]);
        }
        Ok((projected, stride))
    }

    /// Where queries, keys and values begin in a row.
    fn offsets(&self) -> candle_core::Result<[usize; 3]> {
        match self.query_key_value.offsets() {
            [query, key, value] => Ok([*query, *key, *value]),
            _ => candle_core::bail!("query, key and value are three matrices"),
        }
    }
}
