//! Outputs under schemas without the network of a model.

use futures::channel::mpsc::unbounded;
use serde_json::Value;

use crate::error::GenerateError;
use crate::generator::Stream;
use crate::model::Model;
use crate::request::{Completion, Sampling};
use crate::sequence::{Job, Progress, Sequence};
use crate::thought::Thought;

/// A model whose weights are not asked: of all tokens that a schema allows each is as likely. What holds the output to the
/// schema is that of every request; no step waits for the network or for another thread.
pub struct Unweighted {
    model: Model,
}

impl Unweighted {
    /// Takes the vocabulary of a model.
    #[must_use]
    pub fn new(model: Model) -> Self {
        Self { model }
    }

    /// Writes under a schema, in the thread that asks.
    ///
    /// # Errors
    /// [`GenerateError`] as of a request: for a schema that cannot be held, or an output that does not come to its end.
    pub fn write(&self, schema: &Value, sampling: Sampling) -> Result<Completion, GenerateError> {
        sampling.validate()?;
        let limit = sampling.max_tokens;
        let constraint = Some(self.model.grammar.constrain(schema, limit)?);
        let (events, receiver) = unbounded();
        let job = Job {
            prompt: Vec::new(),
            sampling,
            constraint,
            adapter: None,
            thought: Thought::none(),
            limit,
            events,
        };
        let mut sequence = Sequence::new(job, (0, 0), 0);
        let tokenizer = &self.model.tokenizer;
        while sequence.advance(tokenizer, vec![0.0; tokenizer.len()]) == Progress::Goes {}
        Stream::of(receiver).completion_blocking()
    }
}
