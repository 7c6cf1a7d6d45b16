//! The splitting by byte pairs, built of the merges of the file.

use std::collections::HashSet;

use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::{AddedToken, Tokenizer as Encoder};

use super::pipeline::Pipeline;
use super::{Kind, malformed};
use crate::error::LoadError;
use crate::gguf::Gguf;

/// What splits text by the pipeline, and never into a control token.
pub(super) fn build(
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
