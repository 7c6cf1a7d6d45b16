//! Messages on their way to other workers: one stream to each, within the credit that it gives.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prost::Message as _;
use superstep_proto::v1;
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::Streaming;

use crate::channels::Channels;
use crate::limits::BATCH;

/// How long a stream that has broken is left alone before it is tried again, at most.
const PAUSE: Duration = Duration::from_secs(1);

/// The ways to other workers. Clones share them.
#[derive(Clone)]
pub(super) struct Links {
    channels: Channels,
    open: Arc<Mutex<HashMap<String, mpsc::UnboundedSender<v1::Batch>>>>,
}

impl Links {
    pub(super) fn new(channels: Channels) -> Self {
        Self { channels, open: Arc::default() }
    }

    /// Sends messages to the worker that has a partition. They may be lost with the worker: then a term comes that
    /// has them again from the log.
    pub(super) fn send(&self, home: &v1::Home, batch: v1::Batch) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        for part in in_parts(batch) {
            let link = open.entry(home.address.clone()).or_insert_with(|| self.begin(&home.address));
            if let Err(unsent) = link.send(part) {
                // The link has ended, which it does only when its process does.
                let link = self.begin(&home.address);
                if link.send(unsent.0).is_err() {
                    tracing::trace!("the process ends");
                }
                open.insert(home.address.clone(), link);
            }
        }
    }

    fn begin(&self, address: &str) -> mpsc::UnboundedSender<v1::Batch> {
        let (sender, batches) = mpsc::unbounded_channel();
        let link = Link {
            channels: self.channels.clone(),
            address: address.to_owned(),
            batches,
            waiting: VecDeque::new(),
            under_way: VecDeque::new(),
        };
        tokio::spawn(link.work());
        sender
    }
}

/// The messages of a batch in batches of about the size that is sent at once.
fn in_parts(batch: v1::Batch) -> Vec<v1::Batch> {
    let like = |messages| v1::Batch { messages, run: batch.run.clone(), ..batch };
    let mut parts = Vec::new();
    let (mut part, mut bytes) = (Vec::new(), 0);
    for message in batch.messages {
        bytes += message.encoded_len();
        part.push(message);
        if bytes >= BATCH {
            parts.push(like(std::mem::take(&mut part)));
            bytes = 0;
        }
    }
    if !part.is_empty() {
        parts.push(like(part));
    }
    parts
}

/// The way to one worker.
struct Link {
    channels: Channels,
    address: String,
    batches: mpsc::UnboundedReceiver<v1::Batch>,
    /// Batches that the credit does not suffice for, in order.
    waiting: VecDeque<v1::Batch>,
    /// Batches that were sent and not acknowledged, with their bytes.
    under_way: VecDeque<(u64, v1::Batch)>,
}

/// A stream to a worker that takes messages.
struct Open {
    out: mpsc::UnboundedSender<v1::Batch>,
    credits: Streaming<v1::Credit>,
    /// How many bytes may still be sent.
    credit: u64,
}

impl Link {
    async fn work(mut self) {
        let mut pause = Duration::from_millis(20);
        loop {
            if self.waiting.is_empty() {
                match self.batches.recv().await {
                    Some(batch) => self.waiting.push_back(batch),
                    None => return,
                }
            }
            match self.connect().await {
                Ok(open) => {
                    pause = Duration::from_millis(20);
                    if self.drive(open).await {
                        return;
                    }
                }
                Err(status) => {
                    let address = &self.address;
                    tracing::debug!(address, %status, "a worker takes no messages at the moment");
                }
            }
            // What was not acknowledged may have been lost; what was not is dropped as a repetition.
            for (_, batch) in self.under_way.drain(..).rev() {
                self.waiting.push_front(batch);
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE);
        }
    }

    async fn connect(&self) -> Result<Open, tonic::Status> {
        let client = self.channels.messages(&self.address);
        let mut client = client.map_err(|error| tonic::Status::invalid_argument(error.to_string()))?;
        let (out, outgoing) = mpsc::unbounded_channel();
        let credits = client.exchange(UnboundedReceiverStream::new(outgoing)).await?.into_inner();
        Ok(Open { out, credits, credit: 0 })
    }

    /// Sends until the stream breaks; whether the process ends.
    async fn drive(&mut self, mut open: Open) -> bool {
        loop {
            while let Some(batch) = self.waiting.pop_front() {
                let bytes = batch.encoded_len() as u64;
                // One that is larger than all the credit there is goes alone.
                if bytes > open.credit && !self.under_way.is_empty() {
                    self.waiting.push_front(batch);
                    break;
                }
                if open.credit == 0 {
                    self.waiting.push_front(batch);
                    break;
                }
                if open.out.send(batch.clone()).is_err() {
                    self.waiting.push_front(batch);
                    return false;
                }
                open.credit = open.credit.saturating_sub(bytes);
                self.under_way.push_back((bytes, batch));
            }
            tokio::select! {
                batch = self.batches.recv() => match batch {
                    Some(batch) => self.waiting.push_back(batch),
                    None => return true,
                },
                credit = open.credits.message() => match credit {
                    Ok(Some(credit)) => {
                        open.credit += credit.bytes;
                        self.acknowledged(credit.bytes);
                    }
                    Ok(None) | Err(_) => return false,
                },
            }
        }
    }

    /// Credit that comes back says that the oldest batch of its size was taken in.
    fn acknowledged(&mut self, bytes: u64) {
        if let Some(at) = self.under_way.iter().position(|(size, _)| *size == bytes) {
            self.under_way.remove(at);
        }
    }
}
