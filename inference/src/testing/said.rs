//! What a model says of a text that it is given, position by position.

use crate::error::GenerateError;
use crate::kv::{KvCache, KvShape};
use crate::model::Model;
use crate::network::{Batch, Row};

/// Rows of a pass, of which all have logits.
const ROWS: usize = 64;

/// What a model says at one position of a text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Said {
    /// The token that is likeliest to come next.
    pub best: u32,
    /// By how much its logit is above the second one.
    pub margin: f32,
    /// The log-probability of the token that does come next; none at the end of the text.
    pub logprob: Option<f64>,
}

/// What `model` says at each position of a text, which is given as its tokens.
///
/// # Errors
/// The text is longer than the context, has a token that the model does not have, or cannot be computed.
pub fn said(model: &Model, tokens: &[u32]) -> Result<Vec<Said>, GenerateError> {
    let context = model.context();
    if tokens.len() > context {
        return Err(GenerateError::PromptTooLong { tokens: tokens.len(), context });
    }
    let mut cache = KvCache::new(KvShape::of(model.network.sizes(), 1, context));
    let mut said = Vec::new();
    for (index, few) in tokens.chunks(ROWS).enumerate() {
        let start = index * ROWS;
        let row = |(at, token): (usize, &u32)| Row {
            slot: 0,
            position: start + at,
            token: *token,
            wanted: true,
            adapter: None,
        };
        let rows: Vec<Row> = few.iter().enumerate().map(row).collect();
        let logits = model.network.forward(&mut cache, Batch { rows: &rows, adapters: &[] });
        let logits = logits.map_err(|error| GenerateError::Backend { reason: error.to_string() })?;
        for (at, logits) in logits.iter().enumerate() {
            said.push(of(logits, tokens.get(start + at + 1).copied()));
        }
    }
    Ok(said)
}

fn of(logits: &[f32], next: Option<u32>) -> Said {
    let (mut best, mut first, mut second) = (0, f32::NEG_INFINITY, f32::NEG_INFINITY);
    for (token, logit) in (0..).zip(logits) {
        if *logit > first {
            (best, second, first) = (token, first, *logit);
        } else if *logit > second {
            second = *logit;
        }
    }
    let first = f64::from(first);
    let sum: f64 = logits.iter().map(|logit| (f64::from(*logit) - first).exp()).sum();
    let logit = next.and_then(|next| logits.get(next as usize));
    let logprob = logit.map(|logit| f64::from(*logit) - first - sum.ln());
    Said { best, margin: logits.get(best as usize).map_or(0.0, |best| best - second), logprob }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generator::Generator;
    use crate::model::LoadOptions;
    use crate::request::{ChatMessage, Request, Role, Sampling};
    use crate::testing::TinyModel;

    #[test]
    fn the_best_leads_the_second_and_probabilities_add_up() {
        let logits = [1.0, 3.0, 2.5, -1.0];
        let all: Vec<Said> = (0..4).map(|next| of(&logits, Some(next))).collect();
        assert!(all.iter().all(|said| said.best == 1 && (said.margin - 0.5).abs() < 1e-6), "{all:?}");
        let sum: f64 = all.iter().filter_map(|said| said.logprob).map(f64::exp).sum();
        assert!((sum - 1.0).abs() < 1e-9, "{sum}");
        assert_eq!(of(&logits, None).logprob, None);
    }

    #[test]
    fn it_is_what_a_generation_chooses() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tiny.gguf");
        TinyModel::default().write(&path).unwrap();
        let load = || Model::load(&path, &LoadOptions::default()).unwrap();
        let model = load();
        let messages = vec![ChatMessage::new(Role::User, "the other the ".repeat(20))];
        let tokens = model.prompt(&messages).unwrap();
        assert!(tokens.len() > 2 * ROWS, "more than one pass");
        let all = said(&model, &tokens).unwrap();
        assert_eq!(all.len(), tokens.len());
        let sampling = Sampling { max_tokens: 1, logprobs: Some(2), ..Sampling::default() };
        let request = Request { messages, sampling, ..Request::default() };
        let generator = Generator::start(load()).unwrap();
        let chosen = generator.submit(request).unwrap().completion_blocking().unwrap();
        let top = &chosen.logprobs[0].top;
        let last = all[all.len() - 1];
        assert!((top[0].1 - top[1].1 - last.margin).abs() < 1e-3, "{top:?} {last:?}");
        let long = vec![1; 1000];
        assert!(matches!(said(&model, &long), Err(GenerateError::PromptTooLong { .. })));
    }
}
