//! A tiny vocabulary of pieces, as SentencePiece makes them.

use super::writer::Writer;
use super::{CONTROL, NORMAL};

const UNKNOWN: i32 = 2;
const USER_DEFINED: i32 = 4;
const BYTE: i32 = 6;
const CONTROLS: [&str; 8] = [
    "<s>",
    "</s>",
    "<start_of_turn>",
    "<end_of_turn>",
    "<|user|>",
    "<|assistant|>",
    "<|end|>",
    "<|endoftext|>",
];
/// The likelier ones behind.
const PIECES: [&str; 14] = ["▁", "t", "h", "e", "a", "n", "d", "th", "an", "▁a", "▁t", "▁th", "▁the", "▁and"];
/// Matched whole before anything else.
const WHOLE: [&str; 2] = ["\n\n", "  "];

/// Writes it, and says how many tokens it has.
pub(super) fn put(writer: &mut Writer, pre: &str, prefixes_space: bool) -> usize {
    let mut tokens = vec![("<unk>".to_owned(), UNKNOWN, 0.0)];
    tokens.extend(CONTROLS.map(|name| (name.to_owned(), CONTROL, 0.0)));
    tokens.extend((0..=u8::MAX).map(|byte| (format!("<0x{byte:02X}>"), BYTE, 0.0)));
    tokens.extend(WHOLE.map(|name| (name.to_owned(), USER_DEFINED, 0.0)));
    let scored = (0_u8..).zip(PIECES);
    tokens.extend(scored.map(|(score, name)| (name.to_owned(), NORMAL, f32::from(score) - 20.0)));
    while !tokens.len().is_multiple_of(32) {
        tokens.push((format!("<unused{}>", tokens.len()), CONTROL, 0.0));
    }
    writer.string("tokenizer.ggml.model", "llama");
    writer.string("tokenizer.ggml.pre", pre);
    writer
        .strings("tokenizer.ggml.tokens", &tokens.iter().map(|(name, ..)| name.clone()).collect::<Vec<_>>());
    writer
        .integers("tokenizer.ggml.token_type", &tokens.iter().map(|(_, kind, _)| *kind).collect::<Vec<_>>());
    writer.floats("tokenizer.ggml.scores", &tokens.iter().map(|(.., score)| *score).collect::<Vec<_>>());
    writer.flag("tokenizer.ggml.add_space_prefix", prefixes_space);
    writer.integer("tokenizer.ggml.unknown_token_id", 0);
    writer.integer("tokenizer.ggml.bos_token_id", 1);
    writer.integer("tokenizer.ggml.eos_token_id", 2);
    tokens.len()
}
