//! Reading on in a log that another one writes.

use crate::{Position, Record, StoreError, folder::follow::FolderFollower, memory::MemoryFollower};

/// A reader of a log that goes on where it stopped, beside the log's writer and from one writer to the next.
#[derive(Debug)]
pub struct Follower<R>(Source<R>);

#[derive(Debug)]
enum Source<R> {
    Memory(MemoryFollower<R>),
    Folder(FolderFollower<R>),
}

impl<R: Record> Follower<R> {
    pub(crate) fn memory(follower: MemoryFollower<R>) -> Self {
        Self(Source::Memory(follower))
    }

    pub(crate) fn folder(follower: FolderFollower<R>) -> Self {
        Self(Source::Folder(follower))
    }

    /// The records that have come since the last call: whole batches, in order, none twice and none left out.
    /// Whatever is told is durable. It may block on the disk, and does not wait for records to come.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when the run was removed, [`StoreError::Corrupt`], [`StoreError::NewerFormat`],
    /// [`StoreError::Io`]. The records can be asked for again.
    pub fn read(&mut self) -> Result<Vec<R>, StoreError> {
        match &mut self.0 {
            Source::Memory(follower) => follower.read(),
            Source::Folder(follower) => follower.read(),
        }
    }

    /// The position of the record that comes next.
    #[must_use]
    pub fn next(&self) -> Position {
        Position(match &self.0 {
            Source::Memory(follower) => follower.next(),
            Source::Folder(follower) => follower.next(),
        })
    }
}
