//! The sizes and constants of a network, read from the metadata and checked against each other.

use crate::attention::Heads;
use crate::error::LoadError;
use crate::gguf::{Gguf, Value};
use crate::kernel::{LANES, narrow};
use crate::rope::Pairing;

const SUPPORTED: [&str; 3] = ["llama", "qwen2", "qwen3"];

/// What distinguishes one supported architecture from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Architecture {
    pub(crate) name: &'static str,
    pub(crate) pairing: Pairing,
    /// Query, key and value have a bias.
    pub(crate) biased: bool,
    /// Each head of query and key is normalised before it is rotated.
    pub(crate) normed: bool,
}

impl Architecture {
    fn named(name: &str) -> Option<Self> {
        match name {
            "llama" => {
                Some(Self { name: "llama", pairing: Pairing::Interleaved, biased: false, normed: false })
            }
            "qwen2" => Some(Self { name: "qwen2", pairing: Pairing::Halves, biased: true, normed: false }),
            "qwen3" => Some(Self { name: "qwen3", pairing: Pairing::Halves, biased: false, normed: true }),
            _ => None,
        }
    }
}

/// The sizes and constants of a network.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Hyperparameters {
    pub(crate) architecture: Architecture,
    pub(crate) layers: usize,
    pub(crate) hidden: usize,
    pub(crate) feed_forward: usize,
    pub(crate) heads: Heads,
    /// Floats of a head that are rotated.
    pub(crate) rotated: usize,
    pub(crate) rope_base: f64,
    /// What all rope angles are divided by.
    pub(crate) rope_divisor: f32,
    pub(crate) epsilon: f32,
    /// Positions that the model was made for.
    pub(crate) context: usize,
    pub(crate) vocabulary: usize,
}

impl Hyperparameters {
    pub(crate) fn from_gguf(gguf: &Gguf) -> Result<Self, LoadError> {
        let name = gguf.string("general.architecture")?;
        let architecture = Architecture::named(name).ok_or_else(|| LoadError::Architecture {
            path: gguf.path().to_owned(),
            found: name.to_owned(),
            supported: &SUPPORTED,
        })?;
        let key = |suffix: &str| format!("{name}.{suffix}");
        let optional = |suffix: &str, default: usize| match gguf.metadata(&key(suffix)) {
            Some(_) => gguf.count(&key(suffix)),
            None => Ok(default),
        };
        let hidden = gguf.count(&key("embedding_length"))?;
        let query = gguf.count(&key("attention.head_count"))?;
        let key_value = optional("attention.head_count_kv", query)?;
        let dim = optional("attention.key_length", hidden.checked_div(query).unwrap_or(0))?;
        let value_dim = optional("attention.value_length", dim)?;
        let vocabulary = match gguf.entry("token_embd.weight") {
            Some(entry) => entry.shape.first().copied().unwrap_or(0),
            None => optional("vocab_size", 0)?,
        };
        let read = Self {
            architecture,
            layers: gguf.count(&key("block_count"))?,
            hidden,
            feed_forward: gguf.count(&key("feed_forward_length"))?,
            heads: Heads { query, key_value, dim },
            rotated: optional("rope.dimension_count", dim)?,
            rope_base: match gguf.metadata(&key("rope.freq_base")) {
                Some(_) => gguf.float(&key("rope.freq_base"))?,
                None => 10_000.0,
            },
            rope_divisor: rope_divisor(gguf, &key)?,
            epsilon: narrow(gguf.float(&key("attention.layer_norm_rms_epsilon"))?),
            context: gguf.count(&key("context_length"))?,
            vocabulary,
        };
        read.check(gguf, value_dim, optional("expert_count", 0)?)?;
        Ok(read)
    }

    fn check(&self, gguf: &Gguf, value_dim: usize, experts: usize) -> Result<(), LoadError> {
        let malformed = |reason: String| LoadError::Malformed { path: gguf.path().to_owned(), reason };
        let unsupported =
            |feature: String| Err(LoadError::Unsupported { path: gguf.path().to_owned(), feature });
        let Heads { query, key_value, dim } = self.heads;
        let sizes = [
            self.layers,
            self.hidden,
            self.feed_forward,
            query,
            key_value,
            dim,
            self.context,
            self.vocabulary,
        ];
        if sizes.iter().any(|size| *size == 0 || *size > 1 << 24) {
            return Err(malformed(format!("its sizes are {sizes:?}")));
        }
        if !query.is_multiple_of(key_value) {
            return Err(malformed(format!("{query} query heads cannot share {key_value} key-value heads")));
        }
        if self.rotated == 0 || self.rotated > dim || !self.rotated.is_multiple_of(2) {
            return Err(malformed(format!("{} of the {dim} floats of a head are rotated", self.rotated)));
        }
        if !(self.rope_base.is_finite() && self.rope_base > 0.0) {
            return Err(malformed(format!("the rope base is {}", self.rope_base)));
        }
        if experts > 0 {
            return unsupported(format!("a mixture of {experts} experts"));
        }
        if !dim.is_multiple_of(LANES) {
            return unsupported(format!("heads of {dim} floats (multiples of {LANES} are)"));
        }
        if value_dim != dim {
            return unsupported(format!("values of {value_dim} floats beside keys of {dim}"));
        }
        Ok(())
    }
}

fn rope_divisor(gguf: &Gguf, key: &impl Fn(&str) -> String) -> Result<f32, LoadError> {
    match gguf.metadata(&key("rope.scaling.type")) {
        None => Ok(1.0),
        Some(Value::String(kind)) if kind == "none" => Ok(1.0),
        Some(Value::String(kind)) if kind == "linear" => Ok(narrow(gguf.float(&key("rope.scaling.factor"))?)),
        Some(other) => Err(LoadError::Unsupported {
            path: gguf.path().to_owned(),
            feature: format!("rope scaling {other:?} (none and linear are supported)"),
        }),
    }
}
