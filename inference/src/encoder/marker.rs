//! Texts, and pairs of them, as tokens with the marks that a network was trained with.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::{Path, PathBuf};

use tokenizers::tokenizer::Result as Split;
use tokenizers::{Encoding, Tokenizer, TruncationDirection};

use super::config::Config;
use crate::error::{EmbedError, LoadError};
use crate::safetensors::read;

/// Splits texts into tokens and puts marks around them.
pub(super) struct Marker {
    tokenizer: Tokenizer,
    /// Tokens that are read, the marks included.
    max_tokens: usize,
    /// Kinds of tokens that the network tells apart.
    kinds: usize,
    /// The marks around two texts.
    pair_marks: usize,
    /// All that can be a mark.
    marks: BTreeSet<u32>,
    /// What stands for what is none of the vocabulary.
    unknown: u32,
}

/// The names of the token for what is none of the vocabulary.
const UNKNOWN: [&str; 2] = ["[UNK]", "<unk>"];

/// A text, or a pair of them, as the network reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Marked {
    pub(crate) ids: Vec<u32>,
    /// Of each token whether it belongs to the first text or to the second, as 0 or 1.
    pub(crate) kinds: Vec<usize>,
    /// Of each token its bytes in the text; none of a mark. Empty unless it was asked for.
    pub(crate) spans: Vec<Option<Range<usize>>>,
}

/// The first text of pairs, without marks.
pub(crate) struct Unmarked(Encoding);

impl Marker {
    pub(super) fn load(path: &Path, config: &Config) -> Result<Self, LoadError> {
        let malformed = |reason: String| LoadError::Tokenizer { path: PathBuf::from(path), reason };
        let mut tokenizer =
            Tokenizer::from_bytes(read(path)?).map_err(|error| malformed(error.to_string()))?;
        // Such files carry the padding and truncation with which a model was trained.
        tokenizer.with_padding(None);
        tokenizer.with_truncation(None).map_err(|error| malformed(error.to_string()))?;
        tokenizer.set_encode_special_tokens(true);
        let entries = tokenizer.get_vocab(true);
        if let Some(beyond) = entries.values().find(|id| **id as usize >= config.vocabulary) {
            return Err(malformed(format!(
                "token {beyond} has none of the {} embeddings",
                config.vocabulary
            )));
        }
        let Some(unknown) = UNKNOWN.iter().find_map(|name| tokenizer.token_to_id(name)) else {
            return Err(malformed(format!("it has no token {}", UNKNOWN.join(" or "))));
        };
        let added = tokenizer.get_added_tokens_decoder().into_iter();
        let added = added.filter(|(id, token)| token.special && *id != unknown).map(|(id, _)| id).collect();
        let marks = |pair: Option<Encoding>| {
            let marked = tokenizer.post_process(Encoding::default(), pair, true);
            marked.map(|marked| marked.len()).map_err(|error| malformed(error.to_string()))
        };
        if marks(None)? != 2 {
            return Err(malformed("it does not put a mark at either end of a text".to_owned()));
        }
        let pair_marks = marks(Some(Encoding::default()))?;
        let (max_tokens, kinds) = (config.max_tokens, config.used_kinds());
        Ok(Self { tokenizer, max_tokens, kinds, pair_marks, marks: added, unknown })
    }

    /// The tokens of a text, the marks included; more than are read, if it is too long.
    pub(super) fn count(&self, text: &str) -> Result<usize, EmbedError> {
        split(self.tokenizer.encode_fast(text, true)).map(|encoding| encoding.len())
    }

    /// The tokens of a text that are read: from the begin, and the mark at the end.
    pub(super) fn text(&self, text: &str, has_spans: bool) -> Result<Marked, EmbedError> {
        let encoding = if has_spans {
            self.tokenizer.encode(text, true)
        } else {
            self.tokenizer.encode_fast(text, true)
        };
        let mut marked = self.marked(&split(encoding)?, has_spans);
        if let (Some(end), true) = (marked.ids.last().copied(), marked.ids.len() > self.max_tokens) {
            marked.ids.truncate(self.max_tokens - 1);
            marked.ids.push(end);
            marked.kinds.truncate(self.max_tokens);
            if has_spans {
                marked.spans.truncate(self.max_tokens - 1);
                marked.spans.push(None);
            }
        }
        Ok(marked)
    }

    /// The first text of pairs, which has to leave room for a token of the second.
    pub(super) fn first(&self, text: &str) -> Result<Unmarked, EmbedError> {
        let encoding = split(self.tokenizer.encode_fast(text, false))?;
        let (tokens, others) = (encoding.len(), self.pair_marks + 1);
        if tokens + others > self.max_tokens {
            let most = self.max_tokens.saturating_sub(others);
            return Err(EmbedError::QueryTooLong { tokens, most });
        }
        Ok(Unmarked(encoding))
    }

    /// A pair, of whose second text as much is read as has room behind the first.
    pub(super) fn pair(&self, first: &Unmarked, second: &str) -> Result<Marked, EmbedError> {
        let mut encoding = split(self.tokenizer.encode_fast(second, false))?;
        encoding.truncate(self.max_tokens - self.pair_marks - first.0.len(), 0, TruncationDirection::Right);
        // What was cut off would be marked, too.
        drop(encoding.take_overflowing());
        // Some put their marks around what others have said of the kinds.
        encoding.set_type_ids(vec![1; encoding.len()]);
        let marked = split(self.tokenizer.post_process(first.0.clone(), Some(encoding), true))?;
        Ok(self.marked(&marked, false))
    }

    fn marked(&self, encoding: &Encoding, has_spans: bool) -> Marked {
        // Where the network knows one kind alone, the marks of a tokenizer that knows two say nothing to it.
        let kinds = encoding.get_type_ids().iter().map(|kind| (*kind as usize).min(self.kinds - 1)).collect();
        // Some have the names of their marks in the vocabulary for texts as well.
        let id = |(id, mark): (&u32, &u32)| {
            if *mark == 0 && self.marks.contains(id) { self.unknown } else { *id }
        };
        let ids = encoding.get_ids().iter().zip(encoding.get_special_tokens_mask()).map(id).collect();
        let spans = encoding.get_offsets().iter().zip(encoding.get_special_tokens_mask());
        let spans = spans.map(|((start, end), mark)| (*mark == 0).then_some(*start..*end));
        let spans = if has_spans { spans.collect() } else { Vec::new() };
        Marked { ids, kinds, spans }
    }
}

fn split(encoding: Split<Encoding>) -> Result<Encoding, EmbedError> {
    encoding.map_err(|error| EmbedError::Tokenize { reason: error.to_string() })
}
