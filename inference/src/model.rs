//! A loaded model: its weights, its tokenizer and its chat template.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::chat;
use crate::constraint::Grammar;
use crate::converted::{Kept, Place};
use crate::error::{ChatError, GenerateError, LoadError};
use crate::gguf::{Gguf, Value};
use crate::hyperparameters::Hyperparameters;
use crate::kv::{KvCache, KvShape};
use crate::network::Network;
use crate::request::ChatMessage;
use crate::template::Template;
use crate::thought::Thought;
use crate::tokenizer::Tokenizer;
use crate::weights::{Census, Weights};

/// How a model is loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadOptions {
    /// Positions that one generation may fill, prompt included. More than the model was made for is cut to that.
    pub context_length: usize,
    /// Generations that run side by side; further ones wait. Each reserves address space for a whole context, and
    /// memory for what it has filled.
    pub max_concurrent: usize,
    /// SHA-256 of the file in hex; another file is refused.
    pub sha256: Option<String>,
    /// The most tokens that a generation without draws guesses ahead of a pass, from what stands in its context; 0
    /// for none. The output is the same, as far as that of any batch is ([`Generator`](crate::Generator)), and there are
    /// fewer passes where answers repeat what was said.
    pub guesses: usize,
    /// A folder of LoRA adapters, each in a folder as PEFT writes it, by whose name requests ask for it. Each is read
    /// when it is first asked for, and kept.
    pub adapters: Option<PathBuf>,
    /// A folder for the converted weights, which are then mapped from a file: a later load takes them from there,
    /// and blocks of which the kernels have made their tiles take no memory. It may be removed at any time while no
    /// process loads a model; a file in it that is cut while it is mapped ends the process by a signal. Blocks are taken
    /// as they stand there, and not checked by the digest of the model: whoever may write there decides what the model
    /// says. Without one the weights are converted by each load, and held.
    pub converted: Option<PathBuf>,
}

impl Default for LoadOptions {
    fn default() -> Self {
        let (sha256, adapters, converted) = (None, None, None);
        Self { context_length: 4096, max_concurrent: 8, sha256, guesses: 7, adapters, converted }
    }
}

impl LoadOptions {
    pub(crate) fn check(&self) -> Result<(), LoadError> {
        let sizes = [("context_length", self.context_length), ("max_concurrent", self.max_concurrent)];
        match sizes.into_iter().find(|(_, size)| *size == 0) {
            Some((option, _)) => Err(LoadError::Option { option }),
            None => Ok(()),
        }
    }
}

/// Tensors of one format.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Format {
    /// The name of the format, such as `Q8_0`.
    pub name: String,
    /// How many tensors have it.
    pub tensors: usize,
    /// The bytes that they take.
    pub bytes: u64,
}

/// What a loaded model is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Description {
    /// The name that the file gives itself, if any.
    pub name: Option<String>,
    /// The architecture.
    pub architecture: String,
    /// The number of weights in the file.
    pub parameters: u64,
    /// Positions that one generation may fill.
    pub context_length: usize,
    /// Positions that the model was made for.
    pub trained_context_length: usize,
    /// Tokens of the vocabulary.
    pub vocabulary: usize,
    /// Formats in the file.
    pub stored: Vec<Format>,
    /// Formats in memory, after the conversion to those that have fast kernels.
    pub held: Vec<Format>,
    /// Bytes of the file.
    pub file_bytes: u64,
    /// Where the converted weights are.
    pub kept: Kept,
}

/// A loaded model.
pub struct Model {
    pub(crate) network: Network,
    pub(crate) tokenizer: Tokenizer,
    pub(crate) grammar: Grammar,
    template: Option<Template>,
    description: Description,
    pub(crate) slots: usize,
    pub(crate) guesses: usize,
    /// Whether it was trained to think aloud.
    thinks: bool,
    /// The folder of adapters.
    pub(crate) adapters: Option<PathBuf>,
}

impl Model {
    /// Loads a GGUF file.
    ///
    /// Takes about a second per 100 million weights that have to be converted and lie in no file yet.
    ///
    /// # Errors
    /// [`LoadError`] says what is wrong with the file and what is supported.
    pub fn load(path: &Path, options: &LoadOptions) -> Result<Self, LoadError> {
        options.check()?;
        let gguf = Gguf::open(path)?;
        let place = Place::of(&gguf, options.converted.as_deref(), options.sha256.as_deref())?;
        let sizes = Hyperparameters::from_gguf(&gguf)?;
        let mut tokenizer = Tokenizer::from_gguf(&gguf)?;
        if tokenizer.len() > sizes.vocabulary {
            return Err(LoadError::Tokenizer {
                path: path.to_owned(),
                reason: format!("{} tokens have {} embeddings", tokenizer.len(), sizes.vocabulary),
            });
        }
        let template = load_template(&gguf, &tokenizer)?;
        let thinks = matches!(gguf.metadata("tokenizer.chat_template"), Some(Value::String(template)) if
            Thought::is_known_to(template));
        let grammar = Grammar::new(&tokenizer)
            .map_err(|reason| LoadError::Tokenizer { path: path.to_owned(), reason })?;
        let context = options.context_length.min(sizes.context);
        tokenizer.hold_to(context);
        let mut weights = Weights::new(&gguf, place);
        let network = Network::load(&gguf, &mut weights, sizes, context)?;
        let description = describe(&gguf, weights, network.sizes(), context);
        Ok(Self {
            network,
            tokenizer,
            grammar,
            template,
            description,
            slots: options.max_concurrent,
            guesses: options.guesses,
            thinks,
            adapters: options.adapters.clone(),
        })
    }

    /// What the model is.
    #[must_use]
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// Splits text into tokens; the names of control tokens in it become those tokens.
    ///
    /// # Errors
    /// [`GenerateError::Tokenize`] if the tokenizer gives up on the text.
    pub fn tokenize(&self, text: &str) -> Result<Vec<u32>, GenerateError> {
        self.tokenizer.encode(text)
    }

    /// Renders messages as the model was trained to read them, up to the opening of its own turn.
    ///
    /// # Errors
    /// [`ChatError`] if there is no template or it refuses the messages.
    pub fn render_chat(&self, messages: &[ChatMessage]) -> Result<String, ChatError> {
        self.template.as_ref().ok_or(ChatError::NoTemplate)?.render(messages)
    }

    /// The tokens of a chat, at least one; what its messages say never becomes a control token.
    pub(crate) fn prompt(&self, messages: &[ChatMessage]) -> Result<Vec<u32>, GenerateError> {
        let template = self.template.as_ref().ok_or(ChatError::NoTemplate)?;
        let prompt = chat::prompt(template, &self.tokenizer, messages)?;
        if prompt.is_empty() { Err(ChatError::EmptyPrompt.into()) } else { Ok(prompt) }
    }

    /// How an answer to a prompt without a schema begins.
    pub(crate) fn thought(&self, prompt: &[u32]) -> Thought {
        if !self.thinks {
            return Thought::none();
        }
        // What a message ends with is in front of a control token, and no end of the prompt.
        let own = prompt.iter().rposition(|token| self.tokenizer.control_name(*token).is_some());
        let end = &prompt[own.map_or(0, |place| place + 1)..];
        let end: Vec<u8> = end.iter().flat_map(|token| self.tokenizer.bytes(*token)).copied().collect();
        Thought::after(&String::from_utf8_lossy(&end))
    }

    pub(crate) fn context(&self) -> usize {
        self.description.context_length
    }

    /// An empty cache for all slots.
    pub(crate) fn cache(&self) -> KvCache {
        KvCache::new(KvShape::of(self.network.sizes(), self.slots, self.context()))
    }
}

pub(crate) fn load_template(gguf: &Gguf, tokenizer: &Tokenizer) -> Result<Option<Template>, LoadError> {
    let Some(Value::String(source)) = gguf.metadata("tokenizer.chat_template") else {
        return Ok(None);
    };
    Template::parse(source, tokenizer.bos_name(), tokenizer.name(tokenizer.eos()))
        .map(Some)
        .map_err(|reason| LoadError::Template { path: gguf.path().to_owned(), reason })
}

fn describe(gguf: &Gguf, weights: Weights<'_>, sizes: &Hyperparameters, context: usize) -> Description {
    Description {
        name: gguf.string("general.name").ok().map(str::to_owned),
        architecture: sizes.architecture.name.to_owned(),
        parameters: parameters(gguf),
        context_length: context,
        trained_context_length: sizes.context,
        vocabulary: sizes.vocabulary,
        stored: formats(&weights.stored),
        held: formats(&weights.held),
        file_bytes: gguf.size(),
        kept: weights.finish(),
    }
}

/// The tensors of a census by format.
pub(crate) fn formats(census: &Census) -> Vec<Format> {
    let format = |(name, (tensors, bytes)): (&String, &(usize, u64))| Format {
        name: name.clone(),
        tensors: *tensors,
        bytes: *bytes,
    };
    census.iter().map(format).collect()
}

/// The number of weights in a file.
pub(crate) fn parameters(gguf: &Gguf) -> u64 {
    let size =
        |shape: &[usize]| shape.iter().fold(1_u64, |product, side| product.saturating_mul(*side as u64));
    gguf.entries().map(|(_, entry)| size(&entry.shape)).fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests;
