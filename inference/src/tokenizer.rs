//! Text to tokens and back, built from the tables inside the model file.

mod bytes;
mod control;
mod pipeline;

use std::collections::HashSet;

use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::{AddedToken, Tokenizer as Encoder};

#[cfg(any(test, feature = "testing"))]
pub(crate) use self::bytes::character_of;
use self::bytes::token_bytes;
use self::control::{ControlNames, Piece};
use self::pipeline::Pipeline;
use crate::error::{GenerateError, LoadError};
use crate::gguf::{Gguf, Value};
use crate::shadow::Shadow;

/// Names that mark the end of a turn whichever id the metadata gives as the end of the sequence.
const END_NAMES: [&str; 6] =
    ["<|im_end|>", "<|eot_id|>", "<|end|>", "<end_of_turn>", "<|endoftext|>", "<|end_of_text|>"];

/// What a token is, as the file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    /// Steers the model and is never part of the text.
    Control,
    /// Text that is matched whole before anything else.
    UserDefined,
}

/// A byte-level BPE tokenizer.
pub(crate) struct Tokenizer {
    /// Knows no control token, so that no text gives one.
    encoder: Encoder,
    control: ControlNames,
    bytes: Vec<Vec<u8>>,
    kinds: Vec<Kind>,
    bos: Option<u32>,
    eos: u32,
    ends: Vec<u32>,
    add_bos: bool,
}

impl Tokenizer {
    /// Builds the tokenizer; `vocabulary` is the number of rows of the embedding.
    ///
    /// # Errors
    /// A model other than `gpt2`, or a `pre` name for which no pipeline is known, is refused by name: a wrong
    /// pipeline gives plausible but wrong tokens.
    pub(crate) fn from_gguf(gguf: &Gguf) -> Result<Self, LoadError> {
        let model = gguf.string("tokenizer.ggml.model")?;
        if model != "gpt2" {
            return Err(LoadError::TokenizerKind {
                path: gguf.path().to_owned(),
                field: "model",
                found: model.to_owned(),
                supported: vec!["gpt2"],
            });
        }
        let pre = gguf.string("tokenizer.ggml.pre")?;
        let pipeline = Pipeline::named(pre).ok_or_else(|| LoadError::TokenizerKind {
            path: gguf.path().to_owned(),
            field: "pre",
            found: pre.to_owned(),
            supported: Pipeline::names(),
        })?;
        let tokens = gguf.strings("tokenizer.ggml.tokens")?;
        let kinds = read_kinds(gguf, tokens.len())?;
        let encoder = build_encoder(gguf, &pipeline, &tokens, &kinds)?;
        let control = (0_u32..)
            .zip(&tokens)
            .filter(|(id, _)| kinds[*id as usize] == Kind::Control)
            .map(|(id, name)| (*name, id));
        let control = ControlNames::new(control).map_err(|reason| malformed(gguf, reason))?;
        let id = |key: &str| -> Result<Option<u32>, LoadError> {
            if gguf.metadata(key).is_none() {
                return Ok(None);
            }
            let id = gguf.count(key)?;
            let inside = u32::try_from(id).ok().filter(|_| id < tokens.len());
            inside.map(Some).ok_or_else(|| malformed(gguf, format!("{key} is {id}, beyond the vocabulary")))
        };
        let eos = id("tokenizer.ggml.eos_token_id")?
            .ok_or_else(|| malformed(gguf, "there is no tokenizer.ggml.eos_token_id".to_owned()))?;
        let bos = id("tokenizer.ggml.bos_token_id")?;
        let mut ends = vec![eos];
        ends.extend(id("tokenizer.ggml.eot_token_id")?);
        ends.extend(
            (0_u32..)
                .zip(&tokens)
                .filter(|(id, name)| kinds[*id as usize] == Kind::Control && END_NAMES.contains(name))
                .map(|(id, _)| id),
        );
        ends.sort_unstable();
        ends.dedup();
        let bytes = tokens.iter().zip(&kinds).map(|(token, kind)| token_bytes(token, *kind)).collect();
        let add_bos = gguf.flag("tokenizer.ggml.add_bos_token").unwrap_or(pipeline.adds_bos);
        Ok(Self { encoder, control, bytes, kinds, bos, eos, ends, add_bos })
    }

    /// The number of tokens that the file names.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Encodes text; the names of control tokens in it become those tokens, and nothing is put around it.
    pub(crate) fn encode(&self, text: &str) -> Result<Vec<u32>, GenerateError> {
        self.encode_pieces(text, &Shadow::default())
    }

    /// Encodes a rendered chat in which characters of the messages stand in shadow: only names of control tokens
    /// that are not in shadow become those tokens. Puts the beginning-of-sequence token in front where the model
    /// wants one and the template has not written it.
    pub(crate) fn encode_prompt(&self, text: &str, shadow: &Shadow) -> Result<Vec<u32>, GenerateError> {
        let mut ids = self.encode_pieces(text, shadow)?;
        if let Some(bos) = self.bos.filter(|bos| self.add_bos && ids.first() != Some(bos)) {
            ids.insert(0, bos);
        }
        Ok(ids)
    }

    fn encode_pieces(&self, text: &str, shadow: &Shadow) -> Result<Vec<u32>, GenerateError> {
        let mut ids = Vec::new();
        for piece in self.control.pieces(text) {
            match piece {
                Piece::Control(id) => ids.push(id),
                Piece::Text(text) => {
                    let encoding = self.encoder.encode_fast(shadow.lifted(text), false);
                    let encoding =
                        encoding.map_err(|error| GenerateError::Tokenize { reason: error.to_string() })?;
                    ids.extend_from_slice(encoding.get_ids());
                }
            }
        }
        Ok(ids)
    }

    /// The names of the control tokens.
    pub(crate) fn control_names(&self) -> &ControlNames {
        &self.control
    }

    /// The bytes that a token stands for; control tokens stand for none.
    pub(crate) fn bytes(&self, id: u32) -> &[u8] {
        match self.kinds.get(id as usize) {
            Some(Kind::Text | Kind::UserDefined) => &self.bytes[id as usize],
            Some(Kind::Control) | None => &[],
        }
    }

    /// The name of a control token, nothing for any other.
    pub(crate) fn control_name(&self, id: u32) -> Option<&[u8]> {
        (self.kinds.get(id as usize) == Some(&Kind::Control)).then(|| self.bytes[id as usize].as_slice())
    }

    /// Whether the token ends the answer.
    pub(crate) fn is_end(&self, id: u32) -> bool {
        self.ends.binary_search(&id).is_ok()
    }

    pub(crate) fn eos(&self) -> u32 {
        self.eos
    }

    /// The text of a token as a chat template writes it.
    pub(crate) fn name(&self, id: u32) -> String {
        String::from_utf8_lossy(&self.bytes[id as usize]).into_owned()
    }

    pub(crate) fn bos_name(&self) -> String {
        self.bos.map(|id| self.name(id)).unwrap_or_default()
    }
}

fn malformed(gguf: &Gguf, reason: String) -> LoadError {
    LoadError::Tokenizer { path: gguf.path().to_owned(), reason }
}

fn read_kinds(gguf: &Gguf, tokens: usize) -> Result<Vec<Kind>, LoadError> {
    let values = gguf.array("tokenizer.ggml.token_type")?;
    if values.len() != tokens {
        return Err(malformed(gguf, format!("{tokens} tokens have {} types", values.len())));
    }
    values
        .iter()
        .map(|value| match value {
            Value::Integer(2 | 3) => Ok(Kind::Control),
            Value::Integer(4) => Ok(Kind::UserDefined),
            Value::Integer(1 | 5 | 6) => Ok(Kind::Text),
            Value::Integer(_) | Value::Float(_) | Value::Bool(_) | Value::String(_) | Value::Array(_) => {
                Err(malformed(gguf, format!("{value:?} is not a token type")))
            }
        })
        .collect()
}

fn build_encoder(
    gguf: &Gguf,
    pipeline: &Pipeline,
    tokens: &[&str],
    kinds: &[Kind],
) -> Result<Encoder, LoadError> {
    let names = |kind: Kind| tokens.iter().zip(kinds).filter(move |(_, found)| **found == kind);
    let control: HashSet<&str> = names(Kind::Control).map(|(name, _)| *name).collect();
    let mut merges = Vec::new();
    for merge in gguf.strings("tokenizer.ggml.merges")? {
        let (left, right) =
            merge.split_once(' ').ok_or_else(|| malformed(gguf, format!("merge {merge:?} has no space")))?;
        // Text is not to become a control token, by a merge either.
        if ![left, right, &format!("{left}{right}")].iter().any(|name| control.contains(name)) {
            merges.push((left.to_owned(), right.to_owned()));
        }
    }
    let vocabulary = (0_u32..)
        .zip(tokens)
        .filter(|(_, token)| !control.contains(*token))
        .map(|(id, token)| ((*token).to_owned(), id));
    let bpe = BPE::builder()
        .vocab_and_merges(vocabulary.collect::<Vocab>(), merges)
        .ignore_merges(pipeline.ignores_merges)
        .build()
        .map_err(|error| malformed(gguf, error.to_string()))?;
    let mut encoder = Encoder::new(bpe);
    pipeline.install(&mut encoder).map_err(|error| malformed(gguf, error.to_string()))?;
    let user: Vec<_> = names(Kind::UserDefined)
        .map(|(name, _)| AddedToken::from((*name).to_owned(), false).normalized(false))
        .collect();
    encoder.add_tokens(user).map_err(|error| malformed(gguf, error.to_string()))?;
    Ok(encoder)
}
