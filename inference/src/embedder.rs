//! Texts as vectors: sentence models of the BERT family.

mod bert;
mod config;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tokenizers::Tokenizer;

use self::bert::Bert;
use self::config::{Config, Pooling};
use crate::error::{EmbedError, LoadError};
use crate::safetensors::{TensorFile, read};

/// Rows of tokens that are computed at once; a longer text is computed alone.
const ROWS: usize = 1024;

/// How a sentence model is loaded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EmbedderOptions {
    /// Tokens of a text that are read, the marks at its ends included; the rest is left out. Without it, or if it is
    /// more, what the model was made for.
    pub max_tokens: Option<usize>,
    /// SHA-256 of the weights in hex; other weights are refused.
    pub sha256: Option<String>,
}

/// What a loaded sentence model is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EmbedderDescription {
    /// Floats of a vector.
    pub dimension: usize,
    /// Tokens of a text that are read.
    pub max_tokens: usize,
    /// Tokens of the vocabulary.
    pub vocabulary: usize,
    /// Layers of the network.
    pub layers: usize,
    /// Bytes of the weights in memory.
    pub bytes: u64,
}

/// A loaded sentence model. It may be used from several threads at once.
pub struct Embedder {
    bert: Bert,
    tokenizer: Tokenizer,
    description: EmbedderDescription,
}

impl Embedder {
    /// Loads the model in the folder `path`, in the form of its authors: `model.safetensors`, `tokenizer.json` and
    /// `config.json`, and where they are there `sentence_bert_config.json` and `1_Pooling/config.json`.
    ///
    /// Without the last, the vector of a text is the mean of those of its tokens. Weights are held as `f32`.
    ///
    /// # Errors
    /// [`LoadError`] names the file and says what is wrong with it, or what is supported.
    pub fn load(path: &Path, options: &EmbedderOptions) -> Result<Self, LoadError> {
        let mut config = Config::read(path)?;
        if let Some(most) = options.max_tokens {
            config.max_tokens = config.max_tokens.min(most);
        }
        if config.max_tokens < 2 {
            return Err(LoadError::Option { option: "max_tokens" });
        }
        let tokenizer = load_tokenizer(&path.join("tokenizer.json"), &config)?;
        let file = TensorFile::read(&path.join("model.safetensors"), options.sha256.as_deref())?;
        let description = EmbedderDescription {
            dimension: config.hidden,
            max_tokens: config.max_tokens,
            vocabulary: config.vocabulary,
            layers: config.layers,
            bytes: file.size(),
        };
        let bert = Bert::load(&file.tensors(&["bert."])?, config)?;
        Ok(Self { bert, tokenizer, description })
    }

    /// What the model is.
    #[must_use]
    pub fn description(&self) -> &EmbedderDescription {
        &self.description
    }

    /// The vectors of texts, in their order: [`dimension`](EmbedderDescription::dimension) floats each, of length 1,
    /// so that the product of two is their cosine.
    ///
    /// Only the first [`max_tokens`](EmbedderDescription::max_tokens) tokens of a text count. The names of special
    /// tokens in a text are text. Computes on the calling thread and the threads of the tensor library.
    ///
    /// # Errors
    /// [`EmbedError`] if a text cannot be split into tokens, or the computation fails.
    pub fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, EmbedError> {
        let ids = texts.iter().map(|text| self.tokenize(text)).collect::<Result<Vec<_>, _>>()?;
        let mut vectors = Vec::with_capacity(ids.len());
        let mut rest = ids.as_slice();
        while !rest.is_empty() {
            let (batch, others) = rest.split_at(batch_len(rest));
            let batch: Vec<&[u32]> = batch.iter().map(Vec::as_slice).collect();
            let rows = self.bert.forward(&batch);
            let rows = rows.map_err(|error| EmbedError::Backend { reason: error.to_string() })?;
            vectors.extend(self.pooled(&batch, &rows));
            rest = others;
        }
        Ok(vectors)
    }

    /// The tokens of a text, the marks at its ends included; more than are read, if it is too long.
    ///
    /// # Errors
    /// [`EmbedError::Tokenize`] if it cannot be split.
    pub fn count_tokens(&self, text: &str) -> Result<usize, EmbedError> {
        Ok(self.encode(text)?.len())
    }

    /// The tokens of a text that are read: from the begin, and the mark at the end.
    fn tokenize(&self, text: &str) -> Result<Vec<u32>, EmbedError> {
        let mut ids = self.encode(text)?;
        if let (Some(end), true) = (ids.last().copied(), ids.len() > self.description.max_tokens) {
            ids.truncate(self.description.max_tokens - 1);
            ids.push(end);
        }
        Ok(ids)
    }

    fn encode(&self, text: &str) -> Result<Vec<u32>, EmbedError> {
        let encoding = self.tokenizer.encode_fast(text, true);
        let encoding = encoding.map_err(|error| EmbedError::Tokenize { reason: error.to_string() })?;
        Ok(encoding.get_ids().to_vec())
    }

    fn pooled(&self, batch: &[&[u32]], rows: &[f32]) -> Vec<Vec<f32>> {
        let hidden = self.bert.config().hidden;
        let mut rest = rows;
        let mut vectors = Vec::with_capacity(batch.len());
        for text in batch {
            let (rows, others) = rest.split_at(text.len() * hidden);
            let mut vector = rows[..hidden].to_vec();
            if self.bert.config().pooling == Pooling::Mean {
                rows.chunks_exact(hidden).skip(1).for_each(|row| crate::kernel::add(&mut vector, row));
            }
            // The mean and the sum have the same direction, and the length is taken away.
            let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
            if length > 0.0 {
                vector.iter_mut().for_each(|x| *x /= length);
            }
            vectors.push(vector);
            rest = others;
        }
        vectors
    }
}

/// How many of the texts, at least one, fit into a batch.
fn batch_len(texts: &[Vec<u32>]) -> usize {
    let mut rows = 0;
    let fits = texts.iter().take_while(|text| {
        rows += text.len();
        rows <= ROWS
    });
    fits.count().max(1)
}

fn load_tokenizer(path: &Path, config: &Config) -> Result<Tokenizer, LoadError> {
    let malformed = |reason: String| LoadError::Tokenizer { path: PathBuf::from(path), reason };
    let mut tokenizer = Tokenizer::from_bytes(read(path)?).map_err(|error| malformed(error.to_string()))?;
    // Such files carry the padding and truncation with which a model was trained.
    tokenizer.with_padding(None);
    tokenizer.with_truncation(None).map_err(|error| malformed(error.to_string()))?;
    tokenizer.set_encode_special_tokens(true);
    let entries = tokenizer.get_vocab(true);
    if let Some(beyond) = entries.values().find(|id| **id as usize >= config.vocabulary) {
        return Err(malformed(format!("token {beyond} has none of the {} embeddings", config.vocabulary)));
    }
    let empty = tokenizer.encode("", true).map_err(|error| malformed(error.to_string()))?;
    if empty.get_ids().len() != 2 {
        return Err(malformed("it does not put a mark at either end of a text".to_owned()));
    }
    Ok(tokenizer)
}

#[cfg(test)]
mod tests;
