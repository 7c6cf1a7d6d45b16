//! Text to tokens and back, built from the tables inside the model file.

mod byte_pairs;
mod bytes;
mod control;
mod pipeline;
mod sentencepiece;

use tokenizers::Tokenizer as Encoder;

#[cfg(any(test, feature = "testing"))]
pub(crate) use self::bytes::character_of;
use self::bytes::{Alphabet, named_byte, token_bytes};
use self::control::{ControlNames, Piece};
use self::pipeline::Pipeline;
use self::sentencepiece::SentencePiece;
use crate::error::{GenerateError, LoadError};
use crate::gguf::{Gguf, Value};
use crate::shadow::Shadow;

/// Names that mark the end of a turn whichever id the metadata gives as the end of the sequence.
const END_NAMES: [&str; 7] = [
    "<|im_end|>",
    "<|eot_id|>",
    "<|eom_id|>",
    "<|end|>",
    "<end_of_turn>",
    "<|endoftext|>",
    "<|end_of_text|>",
];
/// The kinds of vocabularies that can be read, as the files name them.
const MODELS: [&str; 2] = ["gpt2", "llama"];
/// What files with pieces say of their pipeline, where they say anything: there is one only.
const PRE_OF_PIECES: [&str; 2] = ["default", "llama-spm"];
/// Control tokens of Phi-3 behind which white space stays.
const PHI3_KEEPS_SPACE: [&str; 3] = ["<unk>", "<s>", "<|endoftext|>"];
/// More than by what a text shrinks whose characters are composed before it is split: three to one, as in Hangul.
const SHRINKS: usize = 4;

/// What a token is, as the file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    /// Steers the model and is never part of the text.
    Control,
    /// Text that is matched whole before anything else.
    UserDefined,
    /// One byte, for text that has no token of its own.
    Byte(u8),
}

/// What splits text between control tokens. It knows no control token, so that no text gives one.
enum Splitter {
    /// By byte pairs.
    Bytes(Box<Encoder>),
    /// By pieces with scores.
    Pieces(SentencePiece),
}

/// A tokenizer: byte-level BPE, or that of SentencePiece.
pub(crate) struct Tokenizer {
    splitter: Splitter,
    control: ControlNames,
    /// Whether white space behind a control token is left out, by its id.
    strips: Vec<bool>,
    bytes: Vec<Vec<u8>>,
    kinds: Vec<Kind>,
    bos: Option<u32>,
    eos: u32,
    ends: Vec<u32>,
    add_bos: bool,
    /// The most bytes that a prompt may have.
    most: usize,
}

impl Tokenizer {
    /// Builds the tokenizer of a file.
    ///
    /// # Errors
    /// A model that is not known, or a `pre` name for which no pipeline is known, is refused by name: a wrong
    /// pipeline gives plausible but wrong tokens.
    pub(crate) fn from_gguf(gguf: &Gguf) -> Result<Self, LoadError> {
        let tokens = gguf.strings("tokenizer.ggml.tokens")?;
        let kinds = read_kinds(gguf, &tokens)?;
        let id = |key: &str| read_id(gguf, key, tokens.len());
        let (splitter, alphabet, adds_bos) = match gguf.string("tokenizer.ggml.model")? {
            "gpt2" => {
                let pipeline = read_pipeline(gguf)?;
                let encoder = byte_pairs::build(gguf, &pipeline, &tokens, &kinds)?;
                (Splitter::Bytes(Box::new(encoder)), Alphabet::Bytes, pipeline.adds_bos)
            }
            "llama" => (Splitter::Pieces(read_pieces(gguf, &tokens, &kinds)?), Alphabet::Pieces, true),
            other => return Err(unknown(gguf, ("model", other), MODELS.to_vec())),
        };
        let control = (0_u32..)
            .zip(&tokens)
            .filter(|(id, _)| kinds[*id as usize] == Kind::Control)
            .map(|(id, name)| (*name, id));
        let control = ControlNames::new(control).map_err(|reason| malformed(gguf, reason))?;
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
        let bytes = tokens.iter().zip(&kinds).map(|(token, kind)| token_bytes(token, *kind, alphabet));
        let add_bos = gguf.flag("tokenizer.ggml.add_bos_token").unwrap_or(adds_bos);
        // Phi-3 was trained so, and its files do not say it.
        let is_phi3 = alphabet == Alphabet::Pieces && gguf.string("general.architecture")? == "phi3";
        let strips = tokens.iter().map(|name| is_phi3 && !PHI3_KEEPS_SPACE.contains(name)).collect();
        let (bytes, most) = (bytes.collect(), usize::MAX);
        Ok(Self { splitter, control, strips, bytes, kinds, bos, eos, ends, add_bos, most })
    }

    /// Has prompts refused that are longer than `context` tokens can be. To split one takes many times its size, and who
    /// sends a long one is not to have all of the memory for being told so.
    pub(crate) fn hold_to(&mut self, context: usize) {
        let longest = self.bytes.iter().map(Vec::len).max().unwrap_or(0);
        self.most = longest.saturating_mul(context).saturating_mul(SHRINKS);
    }

    /// The number of tokens that the file names.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Encodes text; the names of control tokens in it become those tokens, and nothing is put around it.
    pub(crate) fn encode(&self, text: &str) -> Result<Vec<u32>, GenerateError> {
        self.encode_pieces(text, &Shadow::default(), usize::MAX)
    }

    /// Encodes a rendered chat in which characters of the messages stand in shadow: only names of control tokens
    /// that are not in shadow become those tokens. Puts the beginning-of-sequence token in front where the model
    /// wants one and the template has not written it.
    pub(crate) fn encode_prompt(&self, text: &str, shadow: &Shadow) -> Result<Vec<u32>, GenerateError> {
        let mut ids = self.encode_pieces(text, shadow, self.most)?;
        if let Some(bos) = self.bos.filter(|bos| self.add_bos && ids.first() != Some(bos)) {
            ids.insert(0, bos);
        }
        Ok(ids)
    }

    /// Encodes a text of at most so many bytes.
    fn encode_pieces(&self, text: &str, shadow: &Shadow, most: usize) -> Result<Vec<u32>, GenerateError> {
        let mut ids = Vec::new();
        let mut strips = false;
        let mut bytes = 0;
        for piece in self.control.pieces(text) {
            match piece {
                Piece::Control(id) => {
                    ids.push(id);
                    strips = self.strips[id as usize];
                }
                Piece::Text(text) => {
                    let text = if strips { text.trim_start() } else { text };
                    bytes += text.len();
                    if bytes > most {
                        return Err(GenerateError::TextTooLong { bytes, most });
                    }
                    self.split(&shadow.lifted(text), &mut ids)?;
                }
            }
        }
        Ok(ids)
    }

    /// Adds the tokens of a text in which names of control tokens are text.
    fn split(&self, text: &str, ids: &mut Vec<u32>) -> Result<(), GenerateError> {
        match &self.splitter {
            Splitter::Pieces(pieces) => pieces.encode(text, ids),
            Splitter::Bytes(encoder) => {
                let encoding = encoder.encode_fast(text, false);
                let encoding =
                    encoding.map_err(|error| GenerateError::Tokenize { reason: error.to_string() })?;
                ids.extend_from_slice(encoding.get_ids());
            }
        }
        Ok(())
    }

    /// The bytes with which an answer begins whose first token is this one: where texts are read as if there were a space
    /// in front of them, they are written with it.
    pub(crate) fn first_bytes(&self, id: u32) -> &[u8] {
        let bytes = self.bytes(id);
        match &self.splitter {
            Splitter::Pieces(pieces) if pieces.prefixes_space() => bytes.strip_prefix(b" ").unwrap_or(bytes),
            Splitter::Pieces(_) | Splitter::Bytes(_) => bytes,
        }
    }

    /// The names of the control tokens.
    pub(crate) fn control_names(&self) -> &ControlNames {
        &self.control
    }

    /// The bytes that a token stands for; control tokens stand for none.
    pub(crate) fn bytes(&self, id: u32) -> &[u8] {
        match self.kinds.get(id as usize) {
            Some(Kind::Text | Kind::UserDefined | Kind::Byte(_)) => &self.bytes[id as usize],
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

fn unknown(gguf: &Gguf, (field, found): (&'static str, &str), supported: Vec<&'static str>) -> LoadError {
    LoadError::TokenizerKind { path: gguf.path().to_owned(), field, found: found.to_owned(), supported }
}

/// The id under a key, if there is one.
fn read_id(gguf: &Gguf, key: &str, tokens: usize) -> Result<Option<u32>, LoadError> {
    if gguf.metadata(key).is_none() {
        return Ok(None);
    }
    let id = gguf.count(key)?;
    let inside = u32::try_from(id).ok().filter(|_| id < tokens);
    inside.map(Some).ok_or_else(|| malformed(gguf, format!("{key} is {id}, beyond the vocabulary")))
}

fn read_pipeline(gguf: &Gguf) -> Result<Pipeline, LoadError> {
    let pre = gguf.string("tokenizer.ggml.pre")?;
    Pipeline::named(pre).ok_or_else(|| unknown(gguf, ("pre", pre), Pipeline::names()))
}

fn read_pieces(gguf: &Gguf, tokens: &[&str], kinds: &[Kind]) -> Result<SentencePiece, LoadError> {
    // Older files do not name it.
    if gguf.metadata("tokenizer.ggml.pre").is_some() {
        let pre = gguf.string("tokenizer.ggml.pre")?;
        if !PRE_OF_PIECES.contains(&pre) {
            return Err(unknown(gguf, ("pre", pre), PRE_OF_PIECES.to_vec()));
        }
    }
    let scores = gguf.floats("tokenizer.ggml.scores")?;
    if scores.len() != tokens.len() {
        return Err(malformed(gguf, format!("{} tokens have {} scores", tokens.len(), scores.len())));
    }
    let unknown = read_id(gguf, "tokenizer.ggml.unknown_token_id", tokens.len())?;
    let prefixes_space = gguf.flag("tokenizer.ggml.add_space_prefix").unwrap_or(true);
    SentencePiece::new(tokens, kinds, &scores, (unknown, prefixes_space))
        .map_err(|reason| malformed(gguf, reason))
}

fn read_kinds(gguf: &Gguf, tokens: &[&str]) -> Result<Vec<Kind>, LoadError> {
    let values = gguf.array("tokenizer.ggml.token_type")?;
    if values.len() != tokens.len() {
        return Err(malformed(gguf, format!("{} tokens have {} types", tokens.len(), values.len())));
    }
    let kind = |(value, name): (&Value, &&str)| match value {
        Value::Integer(2 | 3) => Ok(Kind::Control),
        Value::Integer(4) => Ok(Kind::UserDefined),
        Value::Integer(1 | 5) => Ok(Kind::Text),
        Value::Integer(6) => named_byte(name)
            .map(Kind::Byte)
            .ok_or_else(|| malformed(gguf, format!("{name:?} is not the name of a byte"))),
        Value::Integer(_) | Value::Float(_) | Value::Bool(_) | Value::String(_) | Value::Array(_) => {
            Err(malformed(gguf, format!("{value:?} is not a token type")))
        }
    };
    values.iter().zip(tokens).map(kind).collect()
}

#[cfg(test)]
mod tests;
