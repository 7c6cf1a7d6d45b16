//! One request while it runs.

use std::sync::Arc;

use futures::channel::mpsc::UnboundedSender;

use crate::adapter::{Adapter, AdapterId};
use crate::constraint::{Allowed, Constraint};
use crate::error::GenerateError;
use crate::guess::Guesser;
use crate::request::{Completion, Event, Finish, Sampling, TokenLogprob, Usage};
use crate::sampling::{Sampler, log_probabilities};
use crate::text::Text;
use crate::thought::Thought;
use crate::tokenizer::Tokenizer;

/// A request that has been checked.
pub(crate) struct Job {
    pub(crate) prompt: Vec<u32>,
    pub(crate) sampling: Sampling,
    pub(crate) constraint: Option<Constraint>,
    pub(crate) adapter: Option<Arc<Adapter>>,
    pub(crate) thought: Thought,
    /// Tokens that fit behind the prompt and under the request's own limit.
    pub(crate) limit: usize,
    pub(crate) events: UnboundedSender<Event>,
}

impl Job {
    pub(crate) fn adapter_id(&self) -> Option<AdapterId> {
        self.adapter.as_ref().map(|adapter| adapter.id())
    }
}

/// Whether a sequence has more to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    Goes,
    Ended,
}

/// A job that holds a slot.
pub(crate) struct Sequence {
    slot: usize,
    /// The prompt and the output.
    tokens: Vec<u32>,
    /// How many of them are in the cache.
    cached: usize,
    prompt_len: usize,
    generated: usize,
    limit: usize,
    logprobs: Option<u8>,
    reported: Vec<TokenLogprob>,
    sampler: Sampler,
    constraint: Option<Constraint>,
    adapter: Option<Arc<Adapter>>,
    guesser: Guesser,
    text: Text,
    thought: Thought,
    /// The text that was told.
    answer: String,
    /// Whether the last token was one of thoughts.
    thinks: bool,
    /// Tokens that belong to thoughts.
    thought_tokens: usize,
    events: UnboundedSender<Event>,
}

impl Sequence {
    /// Starts in a slot whose cache holds the first `cached` tokens of the prompt. It guesses at most `guesses` tokens
    /// at a time, and none if its tokens are drawn: what is likely is not what is drawn.
    pub(crate) fn new(job: Job, (slot, cached): (usize, usize), guesses: usize) -> Self {
        let is_drawn = job.sampling.temperature != 0.0;
        Self {
            guesser: Guesser::new(if is_drawn { 0 } else { guesses }),
            adapter: job.adapter,
            answer: String::new(),
            thinks: job.thought.goes_on(),
            thought: job.thought,
            thought_tokens: 0,
            slot,
            cached,
            prompt_len: job.prompt.len(),
            generated: 0,
            limit: job.limit,
            logprobs: job.sampling.logprobs,
            reported: Vec::new(),
            text: Text::new(&job.sampling.stop),
            sampler: Sampler::new(job.sampling, &job.prompt),
            tokens: job.prompt,
            constraint: job.constraint,
            events: job.events,
        }
    }

    pub(crate) fn slot(&self) -> usize {
        self.slot
    }

    pub(crate) fn adapter(&self) -> Option<&Arc<Adapter>> {
        self.adapter.as_ref()
    }

    /// The prompt and the output so far.
    pub(crate) fn tokens(&self) -> &[u32] {
        &self.tokens
    }

    /// The last token.
    pub(crate) fn last(&self) -> Option<&u32> {
        self.tokens.last()
    }

    /// The tokens that have not been run.
    pub(crate) fn pending(&self) -> &[u32] {
        &self.tokens[self.cached..]
    }

    /// The position of the first of them.
    pub(crate) fn position(&self) -> usize {
        self.cached
    }

    /// Notes that so many more tokens are in the cache.
    pub(crate) fn ran(&mut self, tokens: usize) {
        self.cached += tokens;
    }

    /// Tokens that may follow the last one, at most `room`: as many as could be part of the output.
    pub(crate) fn guess(&mut self, room: usize) -> Vec<u32> {
        let room = room.min(self.limit - self.generated - 1);
        let guess = self.guesser.guess(&self.tokens, room);
        let fitting = self.constraint.as_mut().map_or(guess.len(), |constraint| constraint.fitting(guess));
        guess[..fitting].to_vec()
    }

    /// Notes that of a guess of `guessed` tokens the first `right` were right.
    pub(crate) fn learn(&mut self, guessed: usize, right: usize) {
        self.guesser.learn(guessed, right);
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.events.is_closed()
    }

    /// The slot and the tokens that its cache holds.
    pub(crate) fn into_cached(mut self) -> (usize, Vec<u32>) {
        self.tokens.truncate(self.cached);
        (self.slot, self.tokens)
    }

    pub(crate) fn fail_backend(&self, error: &candle_core::Error) {
        self.send(Event::Failed(GenerateError::Backend { reason: error.to_string() }));
    }

    /// Chooses the next token from the logits behind the last one.
    pub(crate) fn advance(&mut self, tokenizer: &Tokenizer, logits: Vec<f32>) -> Progress {
        match self.try_advance(tokenizer, logits) {
            Ok(progress) => progress,
            Err(GenerateError::SchemaUnfinished { .. }) => {
                self.send(Event::Failed(GenerateError::SchemaUnfinished { tokens: self.generated }));
                Progress::Ended
            }
            Err(error) => {
                self.send(Event::Failed(error));
                Progress::Ended
            }
        }
    }

    fn try_advance(&mut self, tokenizer: &Tokenizer, logits: Vec<f32>) -> Result<Progress, GenerateError> {
        let Some(token) = self.choose(tokenizer, &logits)? else {
            return self.finish(Finish::Stop);
        };
        self.generated += 1;
        if tokenizer.is_end(token) {
            return self.finish(Finish::Stop);
        }
        self.tokens.push(token);
        self.sampler.record(token);
        let is_first = self.generated == 1;
        let bytes = if is_first { tokenizer.first_bytes(token) } else { tokenizer.bytes(token) };
        let released = self.text.push(bytes);
        let text = self.thought.push(&released.text);
        // The mark that ends the thoughts is the last of them.
        let thinks = std::mem::replace(&mut self.thinks, self.thought.goes_on()) || self.thought.goes_on();
        self.thought_tokens += usize::from(thinks);
        let told = self.logprobs.filter(|_| !thinks);
        let logprob = told.map(|count| logprob(tokenizer, &logits, token, count));
        self.reported.extend(logprob.clone());
        self.answer.push_str(&text);
        self.send(Event::Token { text, logprob });
        if released.stopped || self.constraint.as_ref().is_some_and(Constraint::is_done) {
            return self.finish(Finish::Stop);
        }
        if self.generated == self.limit {
            return self.finish(Finish::Length);
        }
        Ok(Progress::Goes)
    }

    /// The next token, or nothing if the schema is fulfilled.
    fn choose(&mut self, tokenizer: &Tokenizer, logits: &[f32]) -> Result<Option<u32>, GenerateError> {
        let mut logits = logits.to_vec();
        let Some(constraint) = &mut self.constraint else {
            return Ok(Some(self.sampler.choose(&mut logits)));
        };
        match constraint.allowed()? {
            Allowed::Nothing => return Ok(None),
            Allowed::Mask(mask) => apply(&mask, &mut logits),
        }
        let token = self.sampler.choose(&mut logits);
        if tokenizer.is_end(token) {
            return Ok(Some(token));
        }
        constraint.take(token, self.limit - self.generated - 1)
    }

    fn finish(&mut self, finish: Finish) -> Result<Progress, GenerateError> {
        let text_rest = self.text.finish();
        let mut rest = self.thought.push(&text_rest);
        let (answer_rest, reasoning) = self.thought.finish();
        rest.push_str(&answer_rest);
        self.answer.push_str(&rest);
        if !rest.is_empty() {
            self.send(Event::Token { text: rest, logprob: None });
        }
        let text = std::mem::take(&mut self.answer);
        let mut finish = finish;
        if let Some(constraint) = &mut self.constraint {
            if !constraint.is_complete() || serde_json::from_str::<serde_json::Value>(&text).is_err() {
                return Err(GenerateError::SchemaUnfinished { tokens: self.generated });
            }
            if constraint.was_forced() {
                finish = Finish::Length;
            }
        }
        let logprobs = std::mem::take(&mut self.reported);
        self.send(Event::Done(Completion {
            text,
            finish,
            reasoning,
            usage: Usage {
                prompt_tokens: self.prompt_len,
                completion_tokens: self.generated,
                reasoning_tokens: self.thought_tokens,
            },
            logprobs,
        }));
        Ok(Progress::Ended)
    }

    /// A receiver that is gone has cancelled the request, which the scheduler sees before its next step.
    fn send(&self, event: Event) {
        drop(self.events.unbounded_send(event));
    }
}

/// Forbids the tokens whose bit is not set.
fn apply(mask: &[u32], logits: &mut [f32]) {
    for (word, logits) in logits.chunks_mut(32).enumerate() {
        let bits = mask.get(word).copied().unwrap_or(0);
        for (bit, logit) in logits.iter_mut().enumerate() {
            if bits & (1 << bit) == 0 {
                *logit = f32::NEG_INFINITY;
            }
        }
    }
}

fn logprob(tokenizer: &Tokenizer, logits: &[f32], token: u32, count: u8) -> TokenLogprob {
    let (logprob, top) = log_probabilities(logits, token, count.into());
    let name = |id: u32| match tokenizer.control_name(id) {
        Some(name) => String::from_utf8_lossy(name).into_owned(),
        None => String::from_utf8_lossy(tokenizer.bytes(id)).into_owned(),
    };
    TokenLogprob {
        token: name(token),
        logprob,
        top: top.into_iter().map(|(id, logprob)| (name(id), logprob)).collect(),
    }
}
