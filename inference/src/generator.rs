//! The handle through which any thread asks a model for output.

use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::task::{Context, Poll};

use futures::StreamExt;
use futures::channel::mpsc::{UnboundedReceiver, unbounded};
use futures::executor::block_on;

use crate::adapters::Adapters;
use crate::error::{GenerateError, LoadError};
use crate::model::{Description, Model};
use crate::request::{Completion, Event, Request};
use crate::scheduler::{Job, run};
use crate::thought::Thought;
use crate::work::{Tally, Work};

/// A running model; clones share it.
///
/// One thread owns the cache and decodes all requests in one batch per step, as many as the model has slots. It
/// ends when the last handle and the last unfinished request are gone.
///
/// The same request gives the same output whatever else is in the batch, as far as the kernels treat rows of any
/// batch alike. Those of formats kept as Q6_K use other instructions for one row than for several, those of Q4_K for 32
/// and more where the machine has AMX, and on ARM those of any format may; sums are then rounded otherwise, which can tip
/// near ties. To replay an output, store it.
///
/// Two things save passes and change no output, but for such ties: what one request has read of a prompt is not read
/// again for another that begins alike, and tokens that stand in the context already are guessed and checked several at
/// a time.
#[derive(Clone)]
pub struct Generator {
    model: Arc<Model>,
    adapters: Arc<Adapters>,
    tally: Arc<Tally>,
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
        let adapters = Arc::new(Adapters::new(model.adapters.clone()));
        let tally = Arc::<Tally>::default();
        let (owned, written) = (Arc::clone(&model), Arc::clone(&tally));
        std::thread::Builder::new()
            .name("superstep-generator".to_owned())
            .spawn(move || run(&owned, &queue, &written))?;
        Ok(Self { model, adapters, tally, jobs })
    }

    /// Queues a request. Dropping the stream cancels it and frees its slot.
    ///
    /// The prompt is rendered, the schema compiled and an adapter that is asked for the first time read before this
    /// returns, which takes milliseconds.
    ///
    /// # Errors
    /// [`GenerateError`] if the request cannot be run at all; what goes wrong later comes as [`Event::Failed`].
    pub fn submit(&self, request: Request) -> Result<Stream, GenerateError> {
        request.sampling.validate()?;
        let sizes = self.model.network.sizes();
        let adapter = request.adapter.map(|name| self.adapters.need(&name, sizes)).transpose()?;
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
        let thought = match &constraint {
            Some(_) => Thought::none(),
            None => self.model.thought(&prompt),
        };
        let (events, receiver) = unbounded();
        let job = Job { prompt, sampling: request.sampling, constraint, adapter, thought, limit, events };
        self.jobs.send(job).map_err(|_| GenerateError::Stopped)?;
        Ok(Stream::of(receiver))
    }

    /// Reads the LoRA adapter in a folder, as PEFT writes it, and gives it a name by which requests ask for it. One
    /// that had the name goes on until its requests have ended.
    ///
    /// # Errors
    /// [`LoadError`] says what is wrong with it, or does not go with the model.
    pub fn load_adapter(&self, name: &str, folder: &Path) -> Result<(), LoadError> {
        self.adapters.load(name, folder, self.model.network.sizes()).map(drop)
    }

    /// Takes the name from an adapter, which is let go when its requests have ended, and says whether one had it.
    /// One of the folder of [`LoadOptions`](crate::LoadOptions) is read anew when it is asked for again.
    pub fn unload_adapter(&self, name: &str) -> bool {
        self.adapters.unload(name)
    }

    /// Whether there is an adapter of that name.
    #[must_use]
    pub fn has_adapter(&self, name: &str) -> bool {
        self.adapters.has(name)
    }

    /// The names of all adapters, in order.
    #[must_use]
    pub fn adapters(&self) -> Vec<String> {
        self.adapters.names()
    }

    /// The names of the adapters that requests have which run or wait, in order.
    #[must_use]
    pub fn adapters_in_use(&self) -> Vec<String> {
        self.adapters.in_use()
    }

    /// What it has done.
    #[must_use]
    pub fn work(&self) -> Work {
        self.tally.work()
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
