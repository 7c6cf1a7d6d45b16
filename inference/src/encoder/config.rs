//! The files beside the weights that say what an encoder is.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::attention::Heads;
use crate::error::LoadError;
use crate::kernel::{LANES, narrow};
use crate::safetensors::read;

/// What is read.
const SUPPORTED: [&str; 3] = ["bert", "roberta", "xlm-roberta"];

/// Networks that name their tensors alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    /// BERT itself.
    Bert,
    /// RoBERTa and what was trained as it was.
    Roberta,
}

impl Family {
    fn named(name: &str) -> Option<Self> {
        match name {
            "bert" => Some(Self::Bert),
            "roberta" | "xlm-roberta" => Some(Self::Roberta),
            _ => None,
        }
    }

    /// What the names of the tensors of the encoder begin with in a file that has a head, too.
    pub(super) fn prefix(self) -> &'static str {
        match self {
            Self::Bert => "bert.",
            Self::Roberta => "roberta.",
        }
    }
}

/// The sizes and constants of a BERT network, checked against each other.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Config {
    pub(super) family: Family,
    /// As the file names it.
    pub(super) architecture: String,
    pub(super) hidden: usize,
    pub(super) feed_forward: usize,
    pub(super) layers: usize,
    pub(super) heads: Heads,
    pub(super) vocabulary: usize,
    /// Rows of the table of positions.
    pub(super) positions: usize,
    /// The row of the first token of a text.
    pub(super) first_position: usize,
    /// Kinds of tokens in the table.
    pub(super) kinds: usize,
    pub(super) epsilon: f32,
    /// The most tokens of a text, the marks around it included.
    pub(super) max_tokens: usize,
    pub(super) pooling: Pooling,
    /// The head that the model was published with.
    pub(super) head: Option<HeadConfig>,
}

/// What a head is made for.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct HeadConfig {
    pub(super) reads: Reads,
    /// At least one.
    pub(super) labels: Vec<Arc<str>>,
    /// Whether each label is true or not, whatever the others are.
    pub(super) is_multiple: bool,
}

/// What a head says something of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reads {
    /// The text as a whole.
    Text,
    /// Each of its tokens.
    Tokens,
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
    pad_token_id: Option<usize>,
    #[serde(flatten)]
    head: Heading,
}

/// What `config.json` tells of a head.
#[derive(Deserialize)]
struct Heading {
    architectures: Option<Vec<String>>,
    id2label: Option<BTreeMap<String, String>>,
    problem_type: Option<String>,
}

/// `config.json` beside a head alone.
#[derive(Deserialize)]
struct HeadFile {
    model_type: String,
    hidden_size: usize,
    #[serde(flatten)]
    head: Heading,
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
        let Some(family) = Family::named(&network.model_type) else {
            let (found, supported) = (network.model_type, &SUPPORTED);
            return Err(LoadError::Architecture { path, found, supported });
        };
        // The padding has the row of its id, and those before it are of no use.
        let first_position = match family {
            Family::Bert => 0,
            Family::Roberta => network.pad_token_id.unwrap_or(1).saturating_add(1),
        };
        let window = network.max_position_embeddings.saturating_sub(first_position);
        let sentence: Sentence = optional(&folder.join("sentence_bert_config.json"))?.unwrap_or_default();
        let config = Self {
            family,
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
            first_position,
            kinds: network.type_vocab_size,
            epsilon: narrow(network.layer_norm_eps),
            max_tokens: sentence.max_seq_length.unwrap_or(window).min(window),
            pooling: pooling(&folder.join("1_Pooling/config.json"))?,
            head: network.head.read(&path)?,
            architecture: network.model_type,
        };
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

    /// The kinds of tokens that texts have: those of the first of two, and where the network tells them apart those of
    /// the second.
    pub(super) fn used_kinds(&self) -> usize {
        self.kinds.min(2)
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

impl HeadConfig {
    /// Reads the file of a head without an encoder, in the folder `folder`, for an encoder of `config`.
    pub(super) fn read(folder: &Path, config: &Config) -> Result<Self, LoadError> {
        let path = folder.join("config.json");
        let file: HeadFile = json(&path)?;
        let encoder = (file.model_type.as_str(), file.hidden_size);
        if encoder != (config.architecture.as_str(), config.hidden) {
            let wanted = format!("{} of width {}", config.architecture, config.hidden);
            let reason = format!("it is a head for {} of width {}, not {wanted}", encoder.0, encoder.1);
            return Err(LoadError::Malformed { path, reason });
        }
        let none = || {
            let feature = "an architecture without a head that classifies texts or tokens".to_owned();
            LoadError::Unsupported { path: path.clone(), feature }
        };
        file.head.read(&path)?.ok_or_else(none)
    }
}

impl Heading {
    /// The head; none where the architecture has none that is known.
    fn read(self, path: &Path) -> Result<Option<HeadConfig>, LoadError> {
        let names = self.architectures.unwrap_or_default();
        let is = |end: &str| names.iter().any(|name| name.ends_with(end));
        let reads = if is("ForSequenceClassification") {
            Reads::Text
        } else if is("ForTokenClassification") {
            Reads::Tokens
        } else {
            return Ok(None);
        };
        let is_multiple = self.problem_type.as_deref() == Some("multi_label_classification");
        // A file leaves out what is so by default.
        let usual =
            || [("0", "LABEL_0"), ("1", "LABEL_1")].map(|(id, name)| (id.to_owned(), name.to_owned()));
        let named = self.id2label.unwrap_or_else(|| usual().into());
        let label = |id: usize| named.get(&id.to_string()).map(|label| Arc::from(label.as_str()));
        let labels: Option<Vec<Arc<str>>> = (0..named.len()).map(label).collect();
        match labels.filter(|labels| !labels.is_empty()) {
            Some(labels) => Ok(Some(HeadConfig { reads, labels, is_multiple })),
            None => {
                let reason = "id2label does not count its labels from 0".to_owned();
                Err(LoadError::Malformed { path: path.to_owned(), reason })
            }
        }
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
