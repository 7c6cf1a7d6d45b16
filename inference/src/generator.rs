//! The handle through which any thread asks a model for output.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::task::{Context, Poll};

use futures::StreamExt;
use futures::channel::mpsc::{UnboundedReceiver, unbounded};
use futures::executor::block_on;

use crate::error::GenerateError;
use crate::model::{Description, Model};
use crate::request::{Completion, Event, Request};
use crate::scheduler::{Job, run};

/// A running model; clones share it.
///
/// One thread owns the cache and decodes all requests in one batch per step, as many as the model has slots. It
/// ends when the last handle and the last unfinished request are gone.
///
/// The same request gives the same output whatever else is in the batch, as far as the kernels treat rows of any
/// batch alike; those of formats kept as Q4_K use other instructions for 32 rows and more where the machine has
/// AMX, which can tip near ties. To replay an output, store it.
#[derive(Clone)]
pub struct Generator {
    model: Arc<Model>,
    jobs: Sender<Job>,
}

impl Generator {
    /// Starts the thread and allocates the cache.
    ///
    /// # Errors
    /// What the operating system said if it gives no thread.
    pub fn start(model: Model) -> std::io::Result<Self> {
        let model = Arc::new(model);
        let (jobs, queue) = channel();
        let owned = Arc::clone(&model);
        std::thread::Builder::new()
            .name("superstep-generator".to_owned())
            .spawn(move || run(&owned, &queue))?;
        Ok(Self { model, jobs })
    }

    /// Queues a request. Dropping the stream cancels it and frees its slot.
    ///
    /// The prompt is rendered and the schema compiled before this returns, which takes milliseconds.
    ///
    /// # Errors
    /// [`GenerateError`] if the request cannot be run at all; what goes wrong later comes as [`Event::Failed`].
    pub fn submit(&self, request: Request) -> Result<Stream, GenerateError> {
        request.sampling.validate()?;
        let prompt = self.model.prompt(&request.messages)?;
        let context = self.model.context();
        if prompt.len() >= context {
            return Err(GenerateError::PromptTooLong { tokens: prompt.len(), context });
        }
        let limit = request.sampling.max_tokens.min(context - prompt.len());
        let constraint = match &request.schema {
            Some(_) if request.sampling.stop.iter().any(|stop| !stop.is_empty()) => {
                return Err(GenerateError::StopWithSchema);
            }
            Some(schema) => Some(self.model.grammar.constrain(schema, limit)?),
            None => None,
        };
        let (events, receiver) = unbounded();
        let job = Job { prompt, sampling: request.sampling, constraint, limit, events };
        self.jobs.send(job).map_err(|_| GenerateError::Stopped)?;
        Ok(Stream::of(receiver))
    }

    /// The tokens that the prompt of a request has.
    ///
    /// # Errors
    /// [`GenerateError::Chat`] or [`GenerateError::Tokenize`] if there is no prompt.
    pub fn count_prompt_tokens(&self, request: &Request) -> Result<usize, GenerateError> {
        Ok(self.model.prompt(&request.messages)?.len())
    }

    /// What the model is.
    #[must_use]
    pub fn description(&self) -> &Description {
        self.model.description()
    }
}

/// The events of one request: tokens, then [`Event::Done`] or [`Event::Failed`], then nothing.
///
/// Dropping it before the end cancels the request.
#[derive(Debug)]
pub struct Stream {
    events: UnboundedReceiver<Event>,
    ended: bool,
}

impl Stream {
    pub(crate) fn of(events: UnboundedReceiver<Event>) -> Self {
        Self { events, ended: false }
    }

    /// Waits for the next event; blocks the thread, so tasks of an async runtime poll the stream itself.
    pub fn next_blocking(&mut self) -> Option<Event> {
        block_on(self.next())
    }

    /// Waits for the whole output.
    ///
    /// # Errors
    /// The error of [`Event::Failed`].
    pub async fn completion(mut self) -> Result<Completion, GenerateError> {
        while let Some(event) = self.next().await {
            match event {
                Event::Token { .. } => {}
                Event::Done(completion) => return Ok(completion),
                Event::Failed(error) => return Err(error),
            }
        }
        Err(GenerateError::Stopped)
    }

    /// As [`completion`](Self::completion), blocking the thread.
    ///
    /// # Errors
    /// The error of [`Event::Failed`].
    pub fn completion_blocking(self) -> Result<Completion, GenerateError> {
        block_on(self.completion())
    }
}

impl futures::Stream for Stream {
    type Item = Event;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Event>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let polled = self.events.poll_next_unpin(context);
        polled.map(|event| {
            // The thread sends an end for every request, so a channel that closes before means that it died.
            let event = event.unwrap_or(Event::Failed(GenerateError::Stopped));
            self.ended = !matches!(event, Event::Token { .. });
            Some(event)
        })
    }
}

#[cfg(test)]
mod tests;
