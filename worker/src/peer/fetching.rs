//! Programs that wait for long messages: no more is fetched at once than fits into the memory.

use std::collections::{BTreeMap, VecDeque};

use futures::future::{BoxFuture, FutureExt as _};
use futures::stream::{FuturesUnordered, StreamExt as _, TryStreamExt as _};
use superstep_engine::{ActivationKey, Job, Payload, Record, Reference};
use superstep_store::{RunName, Store};

use super::blobs::{FetchError, fetched};
use crate::limits::FETCHED;

/// How many blobs of one program are fetched at a time.
const AT_A_TIME: usize = 4;

/// A program whose messages were fetched, if they could be.
pub(super) type Fetched = (ActivationKey, Result<Box<Job>, FetchError>);

/// The programs of a partition that see long messages.
#[derive(Default)]
pub(super) struct Fetching {
    /// Those for whose messages there is no room yet.
    waiting: VecDeque<Job>,
    under_way: FuturesUnordered<BoxFuture<'static, Fetched>>,
    /// How many bytes are fetched, or being fetched, of those that have not ended.
    held: BTreeMap<ActivationKey, u64>,
}

impl Fetching {
    /// Takes a program that is to run; it is given back if it sees nothing that has to be fetched.
    pub(super) fn take(&mut self, job: Job) -> Option<Job> {
        if job.references().is_empty() {
            return Some(job);
        }
        self.waiting.push_back(job);
        None
    }

    /// Fetches what there is room for. One that alone has more than there is room for is fetched alone.
    pub(super) fn begin(&mut self, run: &RunName, store: &Store<Record>) {
        while let Some(job) = self.waiting.front() {
            let bytes = job.references().iter().map(|reference| reference.bytes).sum::<u64>();
            let held: u64 = self.held.values().sum();
            if held > 0 && held + bytes > FETCHED {
                return;
            }
            let Some(job) = self.waiting.pop_front() else { return };
            self.held.insert(job.key, bytes);
            let (run, store) = (run.clone(), store.clone());
            self.under_way.push(async move { (job.key, filled(job, &run, &store).await) }.boxed());
        }
    }

    /// The next program whose messages were fetched and that is still wanted; never, if there is none.
    pub(super) async fn next(&mut self) -> Fetched {
        while let Some(fetched) = self.under_way.next().await {
            if self.held.contains_key(&fetched.0) {
                return fetched;
            }
        }
        std::future::pending().await
    }

    /// A program has ended, or is not wanted any more.
    pub(super) fn forget(&mut self, key: ActivationKey) {
        if self.held.remove(&key).is_none() {
            self.waiting.retain(|job| job.key != key);
        }
    }
}

/// The job, with all that its program sees.
async fn filled(mut job: Job, run: &RunName, store: &Store<Record>) -> Result<Box<Job>, FetchError> {
    let found = all(job.references(), run, store).await?;
    job.put(&found);
    Ok(Box::new(job))
}

/// The payloads behind references.
///
/// # Errors
/// The store will not have one.
pub(super) async fn all(
    references: impl IntoIterator<Item = Reference>,
    run: &RunName,
    store: &Store<Record>,
) -> Result<BTreeMap<Reference, Payload>, FetchError> {
    let each = references.into_iter().map(|reference| async move {
        let text = fetched(reference, run, store).await?;
        let text = str::from_utf8(&text).map_err(|_| FetchError::Text)?;
        Ok::<_, FetchError>((reference, Payload::from_json(text).map_err(FetchError::Json)?))
    });
    futures::stream::iter(each).buffer_unordered(AT_A_TIME).try_collect().await
}
