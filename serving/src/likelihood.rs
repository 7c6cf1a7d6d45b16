//! How likely the tokens of an answer were.

use serde_json::{Value, json};
use superstep_runtime::{LikelyToken, ModelAnswer, TokenLogprob};

/// How likely the tokens were, where the model told.
pub(crate) fn likelihoods(answer: &ModelAnswer) -> Option<Vec<Value>> {
    let likely = |LikelyToken { token, logprob }: &LikelyToken| json!({"token": token, "logprob": logprob, "bytes": token.as_bytes()});
    let told = |TokenLogprob { token, logprob, top }: &TokenLogprob| {
        let top: Vec<Value> = top.iter().map(likely).collect();
        json!({"token": token, "logprob": logprob, "bytes": token.as_bytes(), "top_logprobs": top})
    };
    answer.logprobs.as_ref().map(|tokens| tokens.iter().map(told).collect())
}
