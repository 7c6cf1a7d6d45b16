//! The encoder of BERT: rows of tokens in, a vector for each row out.
//!
//! Devlin et al., arXiv:1810.04805, with the layer norm behind each sum. RoBERTa (Liu et al., arXiv:1907.11692) is the
//! same network whose positions begin behind that of the padding.

use candle_core::{Device, Tensor};

use super::config::Config;
use super::marker::Marked;
use crate::attention::{Run, Scoring, Sight, attend};
use crate::error::LoadError;
use crate::kernel::{LANES, add, gelu, layer_norm};
use crate::kv::{KvCache, KvShape};
use crate::parallel::for_each;
use crate::safetensors::Tensors;

/// Rows that one piece of row-wise work covers.
const ROWS: usize = 16;

/// A matrix and a bias.
pub(super) struct Dense {
    /// Columns of the input first.
    weight: Tensor,
    bias: Vec<f32>,
}

struct Norm {
    weight: Vec<f32>,
    bias: Vec<f32>,
}

struct Layer {
    query_key_value: Dense,
    attention_output: Dense,
    attention_norm: Norm,
    up: Dense,
    down: Dense,
    output_norm: Norm,
}

/// The weights of an encoder and how to run them.
pub(super) struct Bert {
    config: Config,
    words: Vec<f32>,
    /// Positions for each kind of token, with what marks the kind added: there are tokens of the first of two texts,
    /// and where the network tells them apart those of the second.
    positions: Vec<Vec<f32>>,
    norm: Norm,
    layers: Vec<Layer>,
}

impl Bert {
    pub(super) fn load(tensors: &Tensors<'_>, config: Config) -> Result<Self, LoadError> {
        let hidden = config.hidden;
        let words = tensors.floats("embeddings.word_embeddings.weight", &[config.vocabulary, hidden])?;
        let positions =
            tensors.floats("embeddings.position_embeddings.weight", &[config.positions, hidden])?;
        let kinds = tensors.floats("embeddings.token_type_embeddings.weight", &[config.kinds, hidden])?;
        let of_kind = |kind: &[f32]| {
            let mut positions = positions[config.first_position * hidden..].to_vec();
            positions.chunks_exact_mut(hidden).for_each(|position| add(position, kind));
            positions
        };
        let positions = kinds.chunks_exact(hidden).take(config.used_kinds()).map(of_kind).collect();
        let norm = load_norm(tensors, "embeddings.LayerNorm", hidden)?;
        let layers = (0..config.layers).map(|index| load_layer(tensors, &config, index));
        let layers = layers.collect::<Result<Vec<_>, _>>()?;
        Ok(Self { config, words, positions, norm, layers })
    }

    pub(super) fn config(&self) -> &Config {
        &self.config
    }

    /// The vectors of all tokens of all texts, one text behind the other.
    ///
    /// The ids are below the size of the vocabulary, the kinds below [`Config::used_kinds`], and no text has more
    /// tokens than are read. The vectors of a text are the same whatever else is in the batch, as far as the kernels
    /// of the tensor library treat rows alike.
    pub(super) fn forward(&self, texts: &[Marked]) -> candle_core::Result<Vec<f32>> {
        let mut x = self.embed(texts);
        let mut first = 0;
        let runs: Vec<Run> = (0..)
            .zip(texts)
            .map(|(slot, text)| {
                let run = Run { slot, first, position: 0, len: text.ids.len() };
                first += text.ids.len();
                run
            })
            .collect();
        let heads = self.config.heads;
        let longest = texts.iter().map(|text| text.ids.len()).max().unwrap_or(0);
        let mut cache = KvCache::new(KvShape {
            slots: texts.len(),
            layers: 1,
            heads: heads.key_value,
            head_dim: heads.dim,
            positions: longest.next_multiple_of(LANES),
        });
        for layer in &self.layers {
            self.attention(layer, &mut cache, &runs, &mut x)?;
            let mut inner = layer.up.forward(x.clone())?;
            for_each(inner.chunks_mut(ROWS * self.config.feed_forward).collect(), gelu);
            self.join(&mut x, &layer.down.forward(inner)?, &layer.output_norm);
        }
        Ok(x)
    }

    fn embed(&self, texts: &[Marked]) -> Vec<f32> {
        let hidden = self.config.hidden;
        let mut x = Vec::with_capacity(texts.iter().map(|text| text.ids.len()).sum::<usize>() * hidden);
        for text in texts {
            for (at, (id, kind)) in text.ids.iter().zip(&text.kinds).enumerate() {
                let word = &self.words[*id as usize * hidden..][..hidden];
                let position = &self.positions[*kind][at * hidden..][..hidden];
                x.extend(word.iter().zip(position).map(|(word, position)| word + position));
            }
        }
        self.join(&mut x, &[], &self.norm);
        x
    }

    fn attention(
        &self,
        layer: &Layer,
        cache: &mut KvCache,
        runs: &[Run],
        x: &mut [f32],
    ) -> candle_core::Result<()> {
        let (hidden, heads) = (self.config.hidden, self.config.heads);
        let projected = layer.query_key_value.forward(x.to_vec())?;
        for run in runs {
            let rows = projected.chunks_exact(3 * hidden).skip(run.first).take(run.len);
            for (position, row) in rows.enumerate() {
                cache.write((run.slot, 0), position, &row[hidden..2 * hidden], &row[2 * hidden..]);
            }
        }
        let scoring = Scoring::of(heads.dim);
        let attended = attend(cache, 0, (heads, scoring), (runs, Sight::Whole), (&projected, 3 * hidden));
        let rows = x.len() / hidden;
        let mut gathered = vec![0.0; x.len()];
        for (head, attended) in attended.chunks_exact(rows * heads.dim).enumerate() {
            for (row, attended) in gathered.chunks_exact_mut(hidden).zip(attended.chunks_exact(heads.dim)) {
                row[head * heads.dim..(head + 1) * heads.dim].copy_from_slice(attended);
            }
        }
        let output = layer.attention_output.forward(gathered)?;
        self.join(x, &output, &layer.attention_norm);
        Ok(())
    }

    /// Adds `output` to `x`, if there is any, and normalises each row.
    fn join(&self, x: &mut [f32], output: &[f32], norm: &Norm) {
        let hidden = self.config.hidden;
        add(x, output);
        for_each(x.chunks_mut(ROWS * hidden).collect(), |rows: &mut [f32]| {
            for row in rows.chunks_exact_mut(hidden) {
                layer_norm(row, &norm.weight, &norm.bias, self.config.epsilon);
            }
        });
    }
}

impl Dense {
    /// The named matrices stacked, `(name, rows)` each.
    pub(super) fn load(
        tensors: &Tensors<'_>,
        parts: &[(String, usize)],
        columns: usize,
    ) -> Result<Self, LoadError> {
        let (mut weight, mut bias) = (Vec::new(), Vec::new());
        for (name, rows) in parts {
            weight.extend(tensors.floats(&format!("{name}.weight"), &[*rows, columns])?);
            bias.extend(tensors.floats(&format!("{name}.bias"), &[*rows])?);
        }
        let weight = Tensor::from_vec(weight, (bias.len(), columns), &Device::Cpu);
        let weight =
            weight.and_then(|weight| weight.t()).map_err(|error| tensors.convert(&parts[0].0, &error))?;
        Ok(Self { weight, bias })
    }

    /// The products of all rows of `x`, one behind the other.
    pub(super) fn forward(&self, x: Vec<f32>) -> candle_core::Result<Vec<f32>> {
        let columns = self.weight.dims2()?.0;
        let rows = x.len() / columns;
        let product = Tensor::from_vec(x, (rows, columns), &Device::Cpu)?.matmul(&self.weight)?;
        let mut product: Vec<f32> = product.flatten_all()?.to_vec1()?;
        product.chunks_exact_mut(self.bias.len()).for_each(|row| add(row, &self.bias));
        Ok(product)
    }
}

fn load_norm(tensors: &Tensors<'_>, name: &str, hidden: usize) -> Result<Norm, LoadError> {
    Ok(Norm {
        weight: tensors.floats(&format!("{name}.weight"), &[hidden])?,
        bias: tensors.floats(&format!("{name}.bias"), &[hidden])?,
    })
}

fn load_layer(tensors: &Tensors<'_>, config: &Config, index: usize) -> Result<Layer, LoadError> {
    let name = |suffix: &str| format!("encoder.layer.{index}.{suffix}");
    let (hidden, inner) = (config.hidden, config.feed_forward);
    let one = |suffix: &str, rows, columns| Dense::load(tensors, &[(name(suffix), rows)], columns);
    let parts = ["query", "key", "value"].map(|part| (name(&format!("attention.self.{part}")), hidden));
    Ok(Layer {
        query_key_value: Dense::load(tensors, &parts, hidden)?,
        attention_output: one("attention.output.dense", hidden, hidden)?,
        attention_norm: load_norm(tensors, &name("attention.output.LayerNorm"), hidden)?,
        up: one("intermediate.dense", inner, hidden)?,
        down: one("output.dense", hidden, inner)?,
        output_norm: load_norm(tensors, &name("output.LayerNorm"), hidden)?,
    })
}
