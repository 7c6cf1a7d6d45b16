//! Output that is an instance of a JSON schema, whatever the model would like to write.
//!
//! A grammar masks the tokens that cannot continue an instance, and white space between JSON tokens is not part of
//! it. That alone lets a weak model run into its token limit inside a string. So the tokens of a short way to
//! the end of the instance are kept below the tokens that are left: while there is room to spare the model goes
//! where the mask lets it; once it gets tight, a token that would lead too far from the end is taken back and the
//! next token of the short way is put in its place.

mod closing;
mod pattern;
mod schema;

use std::sync::{Arc, LazyLock};

use llguidance::api::TopLevelGrammar;
use llguidance::toktrie::{InferenceCapabilities, TokEnv, TokRxInfo, TokTrie, TokenizerEnv};
use llguidance::{Matcher, ParserFactory};
use serde_json::Value;

use self::closing::shortest;
use self::schema::bounded;
use crate::error::GenerateError;
use crate::tokenizer::Tokenizer;

/// What a token is expected to add to the way to the end at most, beside what a whole new instance would.
const GROWTH: usize = 8;

/// The vocabulary of a model, prepared for constraints.
pub(crate) struct Grammar {
    factory: ParserFactory,
    trie: Arc<Vocabulary>,
}

struct Vocabulary {
    trie: TokTrie,
}

impl TokenizerEnv for Vocabulary {
    fn tok_trie(&self) -> &TokTrie {
        &self.trie
    }

    fn tokenize_bytes(&self, bytes: &[u8]) -> Vec<u32> {
        self.trie.greedy_tokenize(bytes)
    }

    fn tokenize_is_canonical(&self) -> bool {
        false
    }
}

impl Grammar {
    pub(crate) fn new(tokenizer: &Tokenizer) -> Result<Self, String> {
        let size = u32::try_from(tokenizer.len()).map_err(|error| error.to_string())?;
        let words: Vec<Vec<u8>> = (0..size)
            .map(|id| match tokenizer.control_name(id) {
                Some(name) => [&[TokTrie::SPECIAL_TOKEN_MARKER], name].concat(),
                None => tokenizer.bytes(id).to_vec(),
            })
            .collect();
        Self::of(size, tokenizer.eos(), &words)
    }

    /// A vocabulary of bytes, which writes whatever another one does.
    fn of_bytes() -> Result<Self, String> {
        let mut words: Vec<Vec<u8>> = (0..=u8::MAX).map(|byte| vec![byte]).collect();
        words.push([&[TokTrie::SPECIAL_TOKEN_MARKER], "end".as_bytes()].concat());
        Self::of(257, 256, &words)
    }

    fn of(size: u32, end: u32, words: &[Vec<u8>]) -> Result<Self, String> {
        let trie = TokTrie::from(&TokRxInfo::new(size, end), words);
        let trie = Arc::new(Vocabulary { trie });
        let env: TokEnv = Arc::<Vocabulary>::clone(&trie);
        let mut factory = ParserFactory::new(&env, InferenceCapabilities::default(), &[])
            .map_err(|error| error.to_string())?;
        factory.quiet();
        factory.limits_mut().verbose_errors = false;
        Ok(Self { factory, trie })
    }

    /// Compiles a schema for an output of at most `limit` tokens.
    pub(crate) fn constrain(&self, schema: &Value, limit: usize) -> Result<Constraint, GenerateError> {
        let refuse = |reason: String| GenerateError::Schema { reason };
        let parser = self.factory.create_parser(TopLevelGrammar::from_json_schema(bounded(schema)?));
        let mut matcher = Matcher::new(parser);
        if let Some(reason) = matcher.get_error() {
            return Err(refuse(reason));
        }
        if let Some(warning) = matcher.grammar_warnings().into_iter().next() {
            return Err(refuse(warning));
        }
        let way = shortest(&mut matcher, &self.trie.trie)
            .ok_or_else(|| refuse("it has no finite instance, or only very long ones".to_owned()))?;
        if way.len() > limit {
            return Err(GenerateError::SchemaTooLong { needed: way.len(), limit });
        }
        let growth = GROWTH + way.len();
        let trie = Arc::clone(&self.trie);
        Ok(Constraint { matcher, trie, way: Some(way), unchecked: 0, growth, forced: false })
    }
}

/// Whether the output of a local model, whichever it is, can be held to a schema, if the token limit is not what
/// hinders it.
///
/// # Errors
/// [`GenerateError::Schema`]: it cannot, and why.
pub fn check_schema(schema: &Value) -> Result<(), GenerateError> {
    static BYTES: LazyLock<Result<Grammar, String>> = LazyLock::new(Grammar::of_bytes);
    let grammar = BYTES.as_ref().map_err(|reason| GenerateError::Schema { reason: reason.clone() })?;
    grammar.constrain(schema, usize::MAX).map(|_| ())
}

/// The state of one constrained output.
pub(crate) struct Constraint {
    matcher: Matcher,
    trie: Arc<Vocabulary>,
    /// Tokens that end the instance from here and fit into the limit, if a check was made here.
    way: Option<Vec<u32>>,
    /// Tokens that may be taken before the next check.
    unchecked: usize,
    growth: usize,
    forced: bool,
}

/// The tokens that may come next.
pub(crate) enum Allowed {
    /// One bit per token.
    Mask(Vec<u32>),
    /// The instance is complete and nothing can follow.
    Nothing,
}

impl Constraint {
    /// The tokens that may come next.
    pub(crate) fn allowed(&mut self) -> Result<Allowed, GenerateError> {
        if self.matcher.is_stopped() && !self.matcher.is_error() {
            return Ok(Allowed::Nothing);
        }
        let mask = self.matcher.compute_mask().map_err(|error| internal(&error))?;
        Ok(Allowed::Mask(mask.as_slice().to_vec()))
    }

    /// Takes a token that the mask allows and returns the one that was taken: another one if the way from
    /// `token` to the end does not fit into the `left` tokens that may follow, and none if the instance is
    /// complete and must end here.
    pub(crate) fn take(&mut self, token: u32, left: usize) -> Result<Option<u32>, GenerateError> {
        self.matcher.consume_token(token).map_err(|error| internal(&error))?;
        if self.unchecked > 0 {
            self.unchecked -= 1;
            self.way = None;
            return Ok(Some(token));
        }
        if let Some(way) = self.way_to_end().filter(|way| way.len() <= left) {
            // Where the estimate of the growth is wrong, the next check finds no way and the output fails.
            self.unchecked = (left - way.len()) / (self.growth + 1);
            self.way = Some(way);
            return Ok(Some(token));
        }
        self.turn_back(left)
    }

    /// How many of `tokens` may follow here, one after another, as far as the token limit does not hinder it.
    pub(crate) fn fitting(&mut self, tokens: &[u32]) -> usize {
        if self.matcher.is_stopped() { 0 } else { self.matcher.validate_tokens(tokens).unwrap_or(0) }
    }

    /// Whether nothing can follow.
    pub(crate) fn is_done(&self) -> bool {
        self.matcher.is_stopped() && !self.matcher.is_error()
    }

    /// Whether the token limit changed the output.
    pub(crate) fn was_forced(&self) -> bool {
        self.forced
    }

    /// Whether the output so far is an instance.
    pub(crate) fn is_complete(&mut self) -> bool {
        !self.matcher.is_error() && self.matcher.is_accepting().unwrap_or(false)
    }

    fn way_to_end(&mut self) -> Option<Vec<u32>> {
        if self.matcher.is_stopped() {
            return Some(Vec::new());
        }
        shortest(&mut self.matcher, &self.trie.trie)
    }

    fn turn_back(&mut self, left: usize) -> Result<Option<u32>, GenerateError> {
        self.matcher.rollback(1).map_err(|error| internal(&error))?;
        // A new search may find a longer way than the rest of the one that is known to fit.
        let way = self.way.take().or_else(|| self.way_to_end()).filter(|way| way.len() <= left + 1);
        let Some(way) = way else { return Err(GenerateError::SchemaUnfinished { tokens: 0 }) };
        self.forced = true;
        let Some((first, rest)) = way.split_first() else { return Ok(None) };
        self.matcher.consume_token(*first).map_err(|error| internal(&error))?;
        self.way = Some(rest.to_vec());
        Ok(Some(*first))
    }
}

fn internal(error: &impl std::fmt::Display) -> GenerateError {
    GenerateError::Backend { reason: format!("the grammar failed: {error}") }
}

#[cfg(test)]
mod tests;
