//! The files beside the weights that say what a sentence model is.

use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::attention::Heads;
use crate::error::LoadError;
use crate::kernel::{LANES, narrow};
use crate::safetensors::read;

/// The sizes and constants of a BERT network, checked against each other.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Config {
    pub(super) hidden: usize,
    pub(super) feed_forward: usize,
    pub(super) layers: usize,
    pub(super) heads: Heads,
    pub(super) vocabulary: usize,
    pub(super) positions: usize,
    pub(super) kinds: usize,
    pub(super) epsilon: f32,
    /// The most tokens of a text, the marks around it included.
    pub(super) max_tokens: usize,
    pub(super) pooling: Pooling,
}

/// How the vectors of tokens become the one of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pooling {
    /// Their mean.
    Mean,
    /// The first of them.
    First,
}

/// `config.json`.
#[derive(Deserialize)]
struct Network {
    model_type: String,
    hidden_size: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    vocab_size: usize,
    max_position_embeddings: usize,
    type_vocab_size: usize,
    layer_norm_eps: f64,
    hidden_act: String,
    #[serde(default = "absolute")]
    position_embedding_type: String,
}

fn absolute() -> String {
    "absolute".to_owned()
}

/// `sentence_bert_config.json`.
#[derive(Default, Deserialize)]
struct Sentence {
    max_seq_length: Option<usize>,
}

/// `1_Pooling/config.json`.
#[derive(Deserialize)]
struct PoolingModes {
    #[serde(default)]
    pooling_mode_mean_tokens: bool,
    #[serde(default)]
    pooling_mode_cls_token: bool,
    #[serde(default)]
    pooling_mode_max_tokens: bool,
    #[serde(default)]
    pooling_mode_mean_sqrt_len_tokens: bool,
}

impl Config {
    /// Reads the files of the folder of a model.
    pub(super) fn read(folder: &Path) -> Result<Self, LoadError> {
        let path = folder.join("config.json");
        let network: Network = json(&path)?;
        let sentence: Sentence = optional(&folder.join("sentence_bert_config.json"))?.unwrap_or_default();
        let config = Self {
            hidden: network.hidden_size,
            feed_forward: network.intermediate_size,
            layers: network.num_hidden_layers,
            heads: Heads {
                query: network.num_attention_heads,
                key_value: network.num_attention_heads,
                dim: network.hidden_size.checked_div(network.num_attention_heads).unwrap_or(0),
            },
            vocabulary: network.vocab_size,
            positions: network.max_position_embeddings,
            kinds: network.type_vocab_size,
            epsilon: narrow(network.layer_norm_eps),
            max_tokens: sentence
                .max_seq_length
                .unwrap_or(network.max_position_embeddings)
                .min(network.max_position_embeddings),
            pooling: pooling(&folder.join("1_Pooling/config.json"))?,
        };
        if network.model_type != "bert" {
            let (found, supported) = (network.model_type, &["bert"]);
            return Err(LoadError::Architecture { path, found, supported });
        }
        let unsupported = |feature: String| LoadError::Unsupported { path: path.clone(), feature };
        if network.hidden_act != "gelu" {
            return Err(unsupported(format!("the activation {:?} (gelu is supported)", network.hidden_act)));
        }
        if network.position_embedding_type != "absolute" {
            let kind = network.position_embedding_type;
            return Err(unsupported(format!("positions of the kind {kind:?} (absolute is supported)")));
        }
        config.check(&path)?;
        Ok(config)
    }

    fn check(&self, path: &Path) -> Result<(), LoadError> {
        let Heads { query, dim, .. } = self.heads;
        let sizes =
            [self.hidden, self.feed_forward, self.layers, query, self.vocabulary, self.positions, self.kinds];
        if sizes.iter().any(|size| *size == 0 || *size > 1 << 24) || query * dim != self.hidden {
            let reason = format!("its sizes are {sizes:?}");
            return Err(LoadError::Malformed { path: path.to_owned(), reason });
        }
        if !dim.is_multiple_of(LANES) {
            let feature = format!("heads of {dim} floats (multiples of {LANES} are)");
            return Err(LoadError::Unsupported { path: path.to_owned(), feature });
        }
        // A text has a mark at either end.
        if self.max_tokens < 2 {
            let reason = format!("a text has at most {} tokens", self.max_tokens);
            return Err(LoadError::Malformed { path: path.to_owned(), reason });
        }
        Ok(())
    }
}

fn pooling(path: &Path) -> Result<Pooling, LoadError> {
    let Some(modes) = optional::<PoolingModes>(path)? else { return Ok(Pooling::Mean) };
    let others = modes.pooling_mode_max_tokens || modes.pooling_mode_mean_sqrt_len_tokens;
    match (modes.pooling_mode_mean_tokens, modes.pooling_mode_cls_token, others) {
        (true, false, false) => Ok(Pooling::Mean),
        (false, true, false) => Ok(Pooling::First),
        _ => Err(LoadError::Unsupported {
            path: path.to_owned(),
            feature: "another pooling than the mean or the first token".to_owned(),
        }),
    }
}

fn json<T: DeserializeOwned>(path: &Path) -> Result<T, LoadError> {
    serde_json::from_slice(&read(path)?)
        .map_err(|error| LoadError::Malformed { path: path.to_owned(), reason: error.to_string() })
}

fn optional<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, LoadError> {
    match json(path) {
        Ok(value) => Ok(Some(value)),
        Err(LoadError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}
