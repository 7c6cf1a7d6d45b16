//! Encoders of the BERT family: from texts to vectors, and to what heads say of them.

mod bert;
mod config;
mod head;
mod marker;

use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use self::bert::Bert;
use self::config::{Config, HeadConfig, Pooling};
use self::head::Head;
use self::marker::Marker;
use crate::error::{EmbedError, LoadError};
use crate::safetensors::{TensorFile, Tensors};

pub use self::config::Reads;
pub(crate) use self::head::sigmoid;
pub use self::head::{Class, Tag};
pub(crate) use self::marker::{Marked, Unmarked};

/// Rows of tokens that are computed at once; a longer text is computed alone.
pub(crate) const ROWS: usize = 1024;

/// How a model of the BERT family is loaded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EmbedderOptions {
    /// Tokens of a text, or of a pair, that are read, the marks at its ends included; the rest is left out. Without it,
    /// or if it is more, what the model was made for.
    pub max_tokens: Option<usize>,
    /// SHA-256 of the weights in hex; other weights are refused.
    pub sha256: Option<String>,
}

/// What a loaded model of the BERT family is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EmbedderDescription {
    /// The architecture, as the model names it: `bert`, `roberta` or `xlm-roberta`.
    pub architecture: String,
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

/// A loaded encoder with its heads. It may be used from several threads at once.
pub struct Encoder {
    bert: Bert,
    marker: Marker,
    heads: Vec<Head>,
    description: EmbedderDescription,
}

/// What a head is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeadDescription<'a> {
    /// Its name.
    pub name: &'a str,
    /// What it says something of.
    pub reads: Reads,
    /// What it can say.
    pub labels: &'a [Arc<str>],
}

/// What is wanted of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Want<'a> {
    /// The vector that stands for it, of length 1.
    Vector,
    /// What the head of this name says.
    Head(&'a str),
}

/// What was found of a text.
#[derive(Debug, Clone, PartialEq)]
pub enum Finding {
    /// The vector that stands for it, of length 1.
    Vector(Vec<f32>),
    /// What it is: all labels of the head, in its order.
    Classes(Vec<Class>),
    /// What its tokens are, as far as they are read.
    Tags(Vec<Tag>),
}

/// A [`Want`], looked up.
enum Task<'a> {
    Vector,
    Head(&'a Head),
}

impl Encoder {
    /// The name of the head that a model was published with.
    pub const OWN_HEAD: &'static str = "own";

    /// Loads the model in the folder `path`, in the form of its authors: `model.safetensors`, `tokenizer.json` and
    /// `config.json`, and where they are there `sentence_bert_config.json` and `1_Pooling/config.json`. Weights are
    /// held as `f32`.
    ///
    /// A model that was published as one that classifies texts or tokens has that head, under the name
    /// [`OWN_HEAD`](Self::OWN_HEAD). `heads` are more of them, each with its name and the folder of its own
    /// `config.json` and `model.safetensors`, trained on this very encoder: where the file has an encoder as well, it
    /// must be the same to the bit.
    ///
    /// # Errors
    /// [`LoadError`] names the file and says what is wrong with it, or what is supported.
    pub fn load(path: &Path, options: &EmbedderOptions, heads: &[(&str, &Path)]) -> Result<Self, LoadError> {
        let mut config = Config::read(path)?;
        if let Some(most) = options.max_tokens {
            config.max_tokens = config.max_tokens.min(most);
        }
        if config.max_tokens < 2 {
            return Err(LoadError::Option { option: "max_tokens" });
        }
        let marker = Marker::load(&path.join("tokenizer.json"), &config)?;
        let file = TensorFile::read(&path.join("model.safetensors"), options.sha256.as_deref())?;
        let description = EmbedderDescription {
            architecture: config.architecture.clone(),
            dimension: config.hidden,
            max_tokens: config.max_tokens,
            vocabulary: config.vocabulary,
            layers: config.layers,
            bytes: file.size(),
        };
        let tensors = file.tensors(config.family.prefix())?;
        let mut loaded = Vec::new();
        if let Some(own) = config.head.clone() {
            let name = Self::OWN_HEAD.to_owned();
            loaded.push(Head::load(name, &tensors, config.family, own, config.hidden)?);
        }
        for (name, folder) in heads {
            loaded.push(load_head(name, folder, &tensors, &config)?);
        }
        let bert = Bert::load(&tensors, config)?;
        Ok(Self { bert, marker, heads: loaded, description })
    }

    /// What the head of the model in the folder `path` reads, and how many labels it has.
    pub(crate) fn own_head(path: &Path) -> Result<Option<(Reads, usize)>, LoadError> {
        let config = Config::read(path)?;
        Ok(config.head.map(|head| (head.reads, head.labels.len())))
    }

    /// What the model is.
    #[must_use]
    pub fn description(&self) -> &EmbedderDescription {
        &self.description
    }

    /// Its heads.
    pub fn heads(&self) -> impl Iterator<Item = HeadDescription<'_>> {
        self.heads.iter().map(|head| {
            let HeadConfig { reads, labels, .. } = &head.config;
            HeadDescription { name: &head.name, reads: *reads, labels }
        })
    }

    /// What is wanted of each of the texts, in the order of `wants`. Each text goes through the network once,
    /// whatever is wanted of it.
    ///
    /// Only the first [`max_tokens`](EmbedderDescription::max_tokens) tokens of a text count. The names of special
    /// tokens in a text are text. Computes on the calling thread and the threads of the tensor library.
    ///
    /// # Errors
    /// [`EmbedError`] if there is no such head, a text cannot be split into tokens, or the computation fails.
    pub fn read(&self, texts: &[&str], wants: &[Want<'_>]) -> Result<Vec<Vec<Finding>>, EmbedError> {
        let tasks = wants.iter().map(|want| self.task(want)).collect::<Result<Vec<_>, _>>()?;
        let tags = |task: &Task<'_>| matches!(task, Task::Head(head) if head.config.reads == Reads::Tokens);
        let has_spans = tasks.iter().any(tags);
        let marked = texts.iter().map(|text| self.marker.text(text, has_spans));
        self.run(&marked.collect::<Result<Vec<_>, _>>()?, |batch, rows| {
            let mut found: Vec<Vec<Finding>> = batch.iter().map(|_| Vec::new()).collect();
            for task in &tasks {
                let findings = self.findings(task, batch, rows)?;
                found.iter_mut().zip(findings).for_each(|(found, finding)| found.push(finding));
            }
            Ok(found)
        })
    }

    /// The tokens of a text, the marks at its ends included; more than are read, if it is too long.
    ///
    /// # Errors
    /// [`EmbedError::Tokenize`] if it cannot be split.
    pub fn count_tokens(&self, text: &str) -> Result<usize, EmbedError> {
        self.marker.count(text)
    }

    /// The numbers of the labels of the head of this name, for each text or pair.
    pub(crate) fn logits(&self, head: &str, marked: &[Marked]) -> Result<Vec<Vec<f32>>, EmbedError> {
        let head = self.head(head)?;
        self.run(marked, |batch, rows| {
            let logits = head.logits(self.first_rows(batch, rows))?;
            Ok(logits.chunks_exact(head.config.labels.len()).map(<[f32]>::to_vec).collect())
        })
    }

    /// The first text of pairs.
    pub(crate) fn first(&self, text: &str) -> Result<Unmarked, EmbedError> {
        self.marker.first(text)
    }

    /// A pair, of whose second text as much is read as has room.
    pub(crate) fn pair(&self, first: &Unmarked, second: &str) -> Result<Marked, EmbedError> {
        self.marker.pair(first, second)
    }

    fn task(&self, want: &Want<'_>) -> Result<Task<'_>, EmbedError> {
        match want {
            Want::Vector => Ok(Task::Vector),
            Want::Head(name) => Ok(Task::Head(self.head(name)?)),
        }
    }

    fn head(&self, name: &str) -> Result<&Head, EmbedError> {
        let found = self.heads.iter().find(|head| head.name == name);
        found.ok_or_else(|| EmbedError::UnknownHead { head: name.to_owned() })
    }

    /// What `of` makes of the vectors of the tokens of each text, batch by batch.
    fn run<T>(
        &self,
        marked: &[Marked],
        of: impl Fn(&[Marked], &[f32]) -> candle_core::Result<Vec<T>>,
    ) -> Result<Vec<T>, EmbedError> {
        let mut made = Vec::with_capacity(marked.len());
        let mut rest = marked;
        while !rest.is_empty() {
            let (batch, others) = rest.split_at(batch_len(rest));
            let computed = self.bert.forward(batch).and_then(|rows| of(batch, &rows));
            made.extend(computed.map_err(|error| EmbedError::Backend { reason: error.to_string() })?);
            rest = others;
        }
        Ok(made)
    }

    fn findings(&self, task: &Task<'_>, batch: &[Marked], rows: &[f32]) -> candle_core::Result<Vec<Finding>> {
        let head = match task {
            Task::Vector => return Ok(self.pooled(batch, rows).into_iter().map(Finding::Vector).collect()),
            Task::Head(head) => head,
        };
        let labels = head.config.labels.len();
        Ok(match head.config.reads {
            Reads::Text => {
                let logits = head.logits(self.first_rows(batch, rows))?;
                logits.chunks_exact(labels).map(|logits| Finding::Classes(head.classes(logits))).collect()
            }
            Reads::Tokens => {
                let logits = head.logits(rows.to_vec())?;
                let mut rest = logits.as_slice();
                let mut tags = |text: &Marked| {
                    let (own, others) = rest.split_at(text.ids.len() * labels);
                    rest = others;
                    Finding::Tags(head.tags(text, own))
                };
                batch.iter().map(&mut tags).collect()
            }
        })
    }

    /// The vectors of the first tokens.
    fn first_rows(&self, batch: &[Marked], rows: &[f32]) -> Vec<f32> {
        let hidden = self.bert.config().hidden;
        self.texts(batch, rows).flat_map(|rows| &rows[..hidden]).copied().collect()
    }

    fn pooled(&self, batch: &[Marked], rows: &[f32]) -> Vec<Vec<f32>> {
        let Config { hidden, pooling, .. } = self.bert.config();
        let pooled = |rows: &[f32]| {
            let mut vector = rows[..*hidden].to_vec();
            if *pooling == Pooling::Mean {
                rows.chunks_exact(*hidden).skip(1).for_each(|row| crate::kernel::add(&mut vector, row));
            }
            // The mean and the sum have the same direction, and the length is taken away.
            let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
            if length > 0.0 {
                vector.iter_mut().for_each(|x| *x /= length);
            }
            vector
        };
        self.texts(batch, rows).map(pooled).collect()
    }

    /// The vectors of the tokens of each text.
    fn texts<'a>(&self, batch: &'a [Marked], rows: &'a [f32]) -> impl Iterator<Item = &'a [f32]> {
        let hidden = self.bert.config().hidden;
        let mut rest = rows;
        batch.iter().map(move |text| {
            let (own, others) = rest.split_at(text.ids.len() * hidden);
            rest = others;
            own
        })
    }
}

/// Loads a head that is no part of the model, whose tensors are `encoder`.
fn load_head(name: &str, folder: &Path, encoder: &Tensors<'_>, config: &Config) -> Result<Head, LoadError> {
    let head = HeadConfig::read(folder, config)?;
    let path = folder.join("model.safetensors");
    let file = TensorFile::read(&path, None)?;
    let tensors = file.tensors(config.family.prefix())?;
    let is_shared = |name: &&str| name.starts_with("embeddings.") || name.starts_with("encoder.");
    if let Some(other) = tensors.differing(encoder).find(is_shared) {
        let reason = format!("the head is for another encoder: its tensor {other:?} differs");
        return Err(LoadError::Malformed { path, reason });
    }
    Head::load(name.to_owned(), &tensors, config.family, head, config.hidden)
}

/// How many of the texts, at least one, fit into a batch.
fn batch_len(texts: &[Marked]) -> usize {
    let mut rows = 0;
    let fits = texts.iter().take_while(|text| {
        rows += text.ids.len();
        rows <= ROWS
    });
    fits.count().max(1)
}

#[cfg(test)]
mod tests;
