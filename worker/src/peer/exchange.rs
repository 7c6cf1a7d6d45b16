//! Messages that come from other workers, taken in as fast as the runs take them.

use std::pin::Pin;

use futures::Stream;
use prost::Message as _;
use superstep_proto::v1;
use superstep_proto::v1::messages_server::Messages;
use superstep_store::RunName;
use tokio::sync::mpsc;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::blobs::fetch_whole;
use super::{Peer, ToRun};
use crate::limits::WINDOW;

/// Takes messages for the partitions of this worker.
#[derive(Clone)]
pub(crate) struct Exchange {
    peer: Peer,
}

/// A part of the sender's credit, which he has again when this is dropped.
pub(crate) struct Granted {
    bytes: u64,
    credit: mpsc::UnboundedSender<Result<v1::Credit, Status>>,
}

impl Drop for Granted {
    fn drop(&mut self) {
        if self.credit.send(Ok(v1::Credit { bytes: self.bytes })).is_err() {
            tracing::trace!("the sender is gone");
        }
    }
}

impl Peer {
    /// Gives messages to the run that they are for.
    pub(super) fn deliver(&self, batch: v1::Batch, granted: Option<Granted>) {
        match batch.run.parse::<RunName>() {
            Ok(run) => self.tell(&run, ToRun::Batch(batch, granted)),
            Err(error) => tracing::warn!(%error, "messages are for no run"),
        }
    }

    /// Fetches those long messages of a batch that are to come whole, and gives it to its run again.
    pub(super) fn fetch(
        &self,
        run: RunName,
        mut batch: v1::Batch,
        granted: Option<Granted>,
        whole: Vec<usize>,
    ) {
        let peer = self.clone();
        tokio::spawn(async move {
            match fetch_whole(&mut batch, &whole, &run, &peer.store).await {
                Ok(()) => peer.tell(&run, ToRun::Batch(batch, granted)),
                Err(error) => peer.tell(&run, ToRun::Unreadable(batch.epoch, crate::with_causes(&error))),
            }
        });
    }
}

impl Exchange {
    pub(crate) fn new(peer: Peer) -> Self {
        Self { peer }
    }
}

#[tonic::async_trait]
impl Messages for Exchange {
    type ExchangeStream = Pin<Box<dyn Stream<Item = Result<v1::Credit, Status>> + Send>>;

    async fn exchange(
        &self,
        request: Request<Streaming<v1::Batch>>,
    ) -> Result<Response<Self::ExchangeStream>, Status> {
        let mut batches = request.into_inner();
        let (credit, credits) = mpsc::unbounded_channel();
        drop(Granted { bytes: WINDOW, credit: credit.clone() });
        let peer = self.peer.clone();
        tokio::spawn(async move {
            loop {
                let batch = match batches.next().await {
                    Some(Ok(batch)) => batch,
                    Some(Err(status)) => {
                        tracing::debug!(%status, "a stream of messages has ended");
                        return;
                    }
                    None => return,
                };
                let granted = Granted { bytes: batch.encoded_len() as u64, credit: credit.clone() };
                peer.deliver(batch, Some(granted));
            }
        });
        Ok(Response::new(Box::pin(UnboundedReceiverStream::new(credits))))
    }
}
