//! Reading on in a log, or in a journal, of objects.

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, future::try_join_all, stream};
use object_store::path::Path;

use super::{
    bucket::{Bucket, Patience},
    envelope::{self, End},
    thread::ObjectThread,
};
use crate::{Blobs, Damage, Record, RunName, StoreError, segment::History};

/// Objects of one folder that are asked for at once, at most.
const WIDEST: u64 = 16;
/// Requests that are under way at once, at most.
const ABREAST: usize = 32;

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
    pub(super) fn advance(&mut self) -> Result<(), StoreError> {
        advance(&mut [self])
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

    /// The names of the objects that come next, `width` of them.
    fn following(&self, width: u64) -> Vec<Path> {
        (self.number..self.number + width).map(|number| object(&self.folder, number)).collect()
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        let file = self.bucket.shown(&object(&self.folder, self.number));
        if !envelope::read(&mut self.history, &file, bytes, self.number == 0)? {
            return Err(StoreError::NotFound { run: self.run.clone() });
        }
        self.number += 1;
        Ok(())
    }
}

/// Reads all that is there in each of several folders of one store. On an error what was read stays read.
///
/// Each time that all which was asked for is there, twice as much is asked for: a reader that has all makes one
/// request, and one that has nothing does not wait for each object in turn.
pub(super) fn advance<R: Record>(readers: &mut [&mut ObjectReader<R>]) -> Result<(), StoreError> {
    let begins: Vec<u64> = readers.iter().map(|reader| reader.number).collect();
    let mut open: Vec<_> = readers.iter_mut().filter(|reader| !reader.is_sealed()).collect();
    let mut width = 1;
    while let Some(first) = open.first() {
        let names = open.iter().map(|reader| reader.following(width)).collect();
        let found = fetch(&first.thread, &first.bucket, names)?;
        let mut going = Vec::new();
        for (reader, objects) in open.into_iter().zip(found) {
            objects.iter().try_for_each(|bytes| reader.take(bytes))?;
            if objects.len() as u64 == width && !reader.is_sealed() {
                going.push(reader);
            }
        }
        open = going;
        width = (2 * width).min(WIDEST);
    }
    let grown = readers.iter().zip(begins).filter(|(reader, begin)| reader.number > *begin);
    settle(grown.map(|(reader, _)| &**reader).collect())
}

/// Of each row of names the objects up to the first that is not there.
fn fetch(
    thread: &ObjectThread,
    bucket: &Bucket,
    names: Vec<Vec<Path>>,
) -> Result<Vec<Vec<Bytes>>, StoreError> {
    let (bucket, lengths) = (bucket.clone(), names.iter().map(Vec::len).collect::<Vec<_>>());
    thread.wait(async move {
        let bucket = &bucket;
        let reads = names.into_iter().flatten();
        let reads = reads.map(|path| async move { bucket.read(&path, Patience::Short).await });
        let found: Vec<_> = stream::iter(reads).buffered(ABREAST).try_collect().await?;
        let mut found = found.into_iter();
        let rows = lengths.into_iter().map(|length| found.by_ref().take(length).collect::<Vec<_>>());
        Ok(rows.map(|row| row.into_iter().map_while(|bytes| bytes).collect()).collect())
    })
}

/// Makes durable what the writers may not have.
fn settle<R: Record>(readers: Vec<&ObjectReader<R>>) -> Result<(), StoreError> {
    let Some(first) = readers.first() else { return Ok(()) };
    let bucket = first.bucket.clone();
    let last: Vec<Path> = readers.iter().map(|reader| object(&reader.folder, reader.number - 1)).collect();
    first.thread.wait(async move {
        try_join_all(last.iter().map(|path| bucket.settle(path))).await?;
        Ok(())
    })
}

/// Makes sure that what was read is all: an object that the store has lost would look like the end.
pub(super) fn demand_ends<R: Record>(readers: &[&ObjectReader<R>]) -> Result<(), StoreError> {
    let Some(first) = readers.first() else { return Ok(()) };
    let bucket = first.bucket.clone();
    let next: Vec<Path> = readers.iter().map(|reader| object(&reader.folder, reader.number)).collect();
    let lost: Vec<bool> = first.thread.wait(async move {
        let bucket = &bucket;
        let judged = next.into_iter().map(|path| async move { is_lost(bucket, &path).await });
        stream::iter(judged).buffered(ABREAST).try_collect().await
    })?;
    match readers.iter().zip(lost).find(|(_, lost)| *lost) {
        None => Ok(()),
        Some((reader, _)) => {
            let file = reader.bucket.shown(&object(&reader.folder, reader.number));
            Err(StoreError::Corrupt {
                file,
                offset: 0,
                record: reader.history.next,
                why: Damage::ObjectMissing,
            })
        }
    }
}

/// Whether an object is not there, and one that follows it is.
async fn is_lost(bucket: &Bucket, path: &Path) -> Result<bool, StoreError> {
    // What follows may have been created just now, behind an object that was created just before.
    Ok(bucket.continues(path).await? && !bucket.contains(path).await?)
}
