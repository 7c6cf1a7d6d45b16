//! The task that makes objects of what is appended to one log: one of all that wait, and the next when it is
//! durable.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use tokio::sync::mpsc::UnboundedReceiver;

use super::{
    blobs,
    bucket::{Bucket, Claim, Failed, Patience},
    envelope::{self, End, Writer},
    reader::object,
};
use crate::{
    AppendError, Digest, RunName, StoreError,
    batch::{Batch, FLIGHT_BYTES},
    frame::Draft,
};

/// Blobs that are written at once, at most.
const ABREAST: usize = 8;

/// Where a log is.
#[derive(Debug)]
pub(super) struct Site {
    pub(super) run: RunName,
    pub(super) bucket: Bucket,
    /// Where its objects are.
    pub(super) folder: Path,
    /// Where the blobs of its run are.
    pub(super) blobs: Path,
    /// Counts the objects that appends make.
    pub(super) commits: Arc<AtomicU64>,
}

/// The end of a log of objects, where it grows.
#[derive(Debug)]
pub(super) struct Tail {
    pub(super) site: Site,
    pub(super) end: End,
    record_format: u16,
    writer: Writer,
    /// The blobs that are known to be durable.
    kept: HashSet<Digest>,
    draft: Draft,
}

/// Why nothing follows.
#[derive(Clone, Debug)]
enum Stop {
    /// Another object stands where the next one was to stand.
    Fenced,
    /// The store has refused, and nothing was written.
    Refused(Arc<StoreError>),
    /// The store has refused, and an earlier try may have written.
    Unknown(Arc<StoreError>),
}

impl Tail {
    pub(super) fn new(site: Site, end: End, record_format: u16) -> Self {
        let (kept, draft) = (HashSet::new(), Draft::new());
        Self { site, end, record_format, writer: Writer::draw(), kept, draft }
    }

    /// Makes the first object, which has no records; none if there is one already.
    pub(super) async fn begin(mut self) -> Result<Option<Self>, StoreError> {
        let (bytes, after) = self.build(&[]);
        let path = object(&self.site.folder, self.end.number);
        let claim = self.site.bucket.claim(&path, &bytes, Patience::Short).await?;
        self.end = after;
        Ok((claim == Claim::Own).then_some(self))
    }

    /// Makes objects until nobody can append any more.
    pub(super) async fn serve(mut self, mut inbox: UnboundedReceiver<Batch>) {
        while let Some(first) = inbox.recv().await {
            let mut flight = gather(first, &mut inbox);
            let Err(stop) = self.land(&mut flight).await else {
                for batch in flight {
                    batch.ack.settle(Ok(batch.position));
                }
                continue;
            };
            stop.say(&self.site);
            for batch in flight {
                batch.ack.settle(Err(stop.told(&self.site.run)));
            }
            return self.refuse(stop.after(), inbox).await;
        }
    }

    async fn refuse(self, stop: Stop, mut inbox: UnboundedReceiver<Batch>) {
        while let Some(batch) = inbox.recv().await {
            batch.ack.settle(Err(stop.told(&self.site.run)));
        }
    }

    /// Makes one object of the batches, and returns when it is durable.
    async fn land(&mut self, flight: &mut [Batch]) -> Result<(), Stop> {
        // A blob is durable before a record names it.
        self.keep_blobs(flight).await.map_err(|why| Stop::Refused(Arc::new(why)))?;
        let (object, after) = self.build(flight);
        self.create(&object).await?;
        self.end = after;
        self.site.commits.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    async fn keep_blobs(&mut self, flight: &mut [Batch]) -> Result<(), StoreError> {
        let named = flight.iter_mut().flat_map(|batch| batch.encoded.blobs.drain(..));
        let missing: Vec<_> = named.filter(|(digest, _)| self.kept.insert(*digest)).collect();
        let (bucket, folder) = (&self.site.bucket, &self.site.blobs);
        let keep = missing
            .into_iter()
            .map(|(digest, bytes)| blobs::keep(bucket, folder, digest, bytes.into(), Patience::Endless));
        futures::stream::iter(keep).buffer_unordered(ABREAST).try_collect().await
    }

    /// The next object, and where the log ends with it.
    fn build(&mut self, flight: &[Batch]) -> (Bytes, End) {
        for batch in flight {
            self.draft.push(&batch.encoded.records, batch.records);
            if batch.seals {
                self.draft.seal();
            }
        }
        let built = envelope::of_draft(self.writer, self.record_format, self.end, &mut self.draft);
        self.draft.clear();
        built
    }

    async fn create(&self, bytes: &Bytes) -> Result<(), Stop> {
        let path = object(&self.site.folder, self.end.number);
        match self.site.bucket.claim(&path, bytes, Patience::Endless).await {
            Ok(Claim::Own) => Ok(()),
            Ok(Claim::Others) => Err(Stop::Fenced),
            Err(Failed { why, in_doubt: true }) => Err(Stop::Unknown(Arc::new(why))),
            Err(Failed { why, in_doubt: false }) => Err(Stop::Refused(Arc::new(why))),
        }
    }
}

/// The batch `first` and those that wait behind it.
fn gather(first: Batch, inbox: &mut UnboundedReceiver<Batch>) -> Vec<Batch> {
    let mut bytes = first.encoded.size();
    let mut flight = vec![first];
    while bytes < FLIGHT_BYTES
        && let Ok(batch) = inbox.try_recv()
    {
        bytes += batch.encoded.size();
        flight.push(batch);
    }
    flight
}

impl Stop {
    /// Whoever is fenced hears of it; that a store refuses is also for whoever runs it.
    fn say(&self, site: &Site) {
        match self {
            Self::Fenced => tracing::debug!(run = %site.run, log = %site.folder, "fenced"),
            Self::Refused(error) | Self::Unknown(error) => {
                tracing::error!(run = %site.run, log = %site.folder, %error, "the log cannot be written");
            }
        }
    }

    /// What those are told whose batches were stopped.
    fn told(&self, run: &RunName) -> AppendError {
        let run = run.clone();
        match self {
            Self::Fenced => AppendError::Fenced { run },
            Self::Refused(why) => AppendError::Refused { run, why: Arc::clone(why) },
            Self::Unknown(why) => AppendError::Unknown { run, why: Arc::clone(why) },
        }
    }

    /// What stops those that come later: nothing of them is written.
    fn after(self) -> Self {
        match self {
            Self::Unknown(why) => Self::Refused(why),
            Self::Fenced | Self::Refused(_) => self,
        }
    }
}
