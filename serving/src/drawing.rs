//! How tokens are drawn.

use std::hash::{BuildHasher as _, RandomState};

use serde::Deserialize;
use superstep_graph::Sampling;

use crate::fields::Fields;
use crate::refusal::Refusal;

/// The most likeliest tokens at a place.
const MOST_LIKELY: u8 = 20;

/// Takes how tokens are drawn. What is left out is as the model has it: the likeliest token is taken.
pub(crate) fn draws(fields: &mut Fields) -> Result<Sampling, Refusal> {
    Ok(Sampling {
        temperature: fields.take("temperature")?,
        top_p: fields.take("top_p")?,
        top_k: fields.take("top_k")?,
        min_p: fields.take("min_p")?,
        presence_penalty: fields.take("presence_penalty")?,
        frequency_penalty: fields.take("frequency_penalty")?,
        repetition_penalty: fields.take("repetition_penalty")?,
        ..Sampling::default()
    })
}

/// Takes `top_logprobs`: the alternatives that are told where log-probabilities are, which `asked` says in its words.
pub(crate) fn logprobs(fields: &mut Fields, is_told: bool, asked: &str) -> Result<Option<u8>, Refusal> {
    match fields.take::<u8>("top_logprobs")? {
        Some(top) if top > MOST_LIKELY => {
            Err(Refusal::of_field("top_logprobs", format!("top_logprobs is 0 to {MOST_LIKELY}")))
        }
        Some(_) if !is_told => Err(Refusal::of_field("top_logprobs", format!("top_logprobs needs {asked}"))),
        top => Ok(is_told.then_some(top.unwrap_or(0))),
    }
}

/// Takes the seed of the draws: any number of 64 bits. Without one it is made of the key, so that a request that comes
/// again is the same, or made up.
pub(crate) fn seed(fields: &mut Fields, key: Option<&[u8]>) -> Result<u64, Refusal> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Seed {
        Natural(u64),
        Negative(i64),
    }
    Ok(match (fields.take("seed")?, key) {
        (Some(Seed::Natural(seed)), _) => seed,
        (Some(Seed::Negative(seed)), _) => seed.cast_unsigned(),
        (None, Some(key)) => {
            let mut short = [0; 8];
            short.copy_from_slice(&blake3::hash(key).as_bytes()[..8]);
            u64::from_le_bytes(short)
        }
        (None, None) => RandomState::new().hash_one(std::process::id()),
    })
}
