//! Reading on in a log, or in a journal, of objects.

use bytes::Bytes;
use object_store::path::Path;

use super::{
    bucket::{Bucket, Patience},
    envelope::{self, End},
    thread::ObjectThread,
};
use crate::{Blobs, Damage, Record, RunName, StoreError, segment::History};

/// Objects that are asked for at once, at most.
const WIDEST: u64 = 16;

/// The name of the object of number `number` of the log in `folder`.
pub(super) fn object(folder: &Path, number: u64) -> Path {
    folder.clone().join(format!("{number:020}"))
}

/// A reader that stands somewhere in the objects of one folder.
#[derive(Debug)]
pub(super) struct ObjectReader<R> {
    run: RunName,
    thread: ObjectThread,
    bucket: Bucket,
    folder: Path,
    /// The number of the object that comes next.
    number: u64,
    history: History<R>,
}

impl<R: Record> ObjectReader<R> {
    /// A reader of the records from `from` on of the log in `folder`.
    pub(super) fn new(
        run: RunName,
        (thread, bucket): (ObjectThread, Bucket),
        folder: Path,
        blobs: Blobs,
        from: u64,
    ) -> Self {
        Self { run, thread, bucket, folder, number: 0, history: History::new(from, blobs) }
    }

    /// Reads all that is there. On an error what was read stays read.
    ///
    /// Each time that all which was asked for is there, twice as much is asked for: a reader that has all makes one
    /// request, and one that has nothing does not wait for each object in turn.
    pub(super) fn advance(&mut self) -> Result<(), StoreError> {
        let (mut width, begin) = (1, self.number);
        while !self.history.sealed {
            let found = self.fetch(width)?;
            let complete = found.len() as u64 == width;
            for bytes in found {
                self.take(&bytes)?;
            }
            if !complete {
                break;
            }
            width = (2 * width).min(WIDEST);
        }
        if self.number > begin {
            self.settle()?;
        }
        Ok(())
    }

    /// The records that were read since the last call.
    pub(super) fn take_records(&mut self) -> Vec<R> {
        self.history.take_records()
    }

    /// Whether the end of the log was read.
    pub(super) fn is_sealed(&self) -> bool {
        self.history.sealed
    }

    /// Where what was read ends.
    pub(super) fn end(&self) -> End {
        End { number: self.number, next: self.history.next, chain: self.history.chain }
    }

    /// Makes sure that what was read is all: an object that the store has lost would look like the end.
    pub(super) fn demand_end(&self) -> Result<(), StoreError> {
        let (bucket, next) = (self.bucket.clone(), object(&self.folder, self.number));
        let is_lost = self.thread.wait(async move {
            // What follows may have been created just now, behind an object that was created just before.
            Ok(bucket.continues(&next).await? && !bucket.contains(&next).await?)
        })?;
        if is_lost {
            let (file, record) = (self.bucket.shown(&object(&self.folder, self.number)), self.history.next);
            return Err(StoreError::Corrupt { file, offset: 0, record, why: Damage::ObjectMissing });
        }
        Ok(())
    }

    /// The objects that come next, `width` at most, up to the first that is not there.
    fn fetch(&self, width: u64) -> Result<Vec<Bytes>, StoreError> {
        let bucket = self.bucket.clone();
        let paths: Vec<Path> =
            (self.number..self.number + width).map(|number| object(&self.folder, number)).collect();
        self.thread.wait(async move {
            let reads = paths.iter().map(|path| bucket.read(path, Patience::Short));
            let found = futures::future::try_join_all(reads).await?;
            Ok(found.into_iter().map_while(|bytes| bytes).collect())
        })
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        let file = self.bucket.shown(&object(&self.folder, self.number));
        if !envelope::read(&mut self.history, &file, bytes, self.number == 0)? {
            return Err(StoreError::NotFound { run: self.run.clone() });
        }
        self.number += 1;
        Ok(())
    }

    /// Makes durable what its writer may not have.
    fn settle(&self) -> Result<(), StoreError> {
        let (bucket, last) = (self.bucket.clone(), object(&self.folder, self.number - 1));
        self.thread.wait(async move { bucket.settle(&last).await })
    }
}
