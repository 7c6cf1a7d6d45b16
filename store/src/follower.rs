//! Reading on in a log that another one writes.

use crate::{
    Cursor, Lane, Position, Record, Span, StoreError, Told, folder::follow::FolderFollower,
    memory::MemoryFollower, object::follow::ObjectFollower,
};

/// A reader of a run that goes on where it stopped, beside the run's writers and from one writer to the next.
#[derive(Debug)]
pub struct Follower<R>(Source<R>);

#[derive(Debug)]
enum Source<R> {
    Memory(MemoryFollower<R>),
    Folder(FolderFollower<R>),
    Object(Box<ObjectFollower<R>>),
}

impl<R: Record> Follower<R> {
    pub(crate) fn memory(follower: MemoryFollower<R>) -> Self {
        Self(Source::Memory(follower))
    }

    pub(crate) fn folder(follower: FolderFollower<R>) -> Self {
        Self(Source::Folder(follower))
    }

    pub(crate) fn object(follower: ObjectFollower<R>) -> Self {
        Self(Source::Object(Box::new(follower)))
    }

    /// The records that have come since the last call: whole batches, in order, none twice and none left out.
    /// Whatever is told is durable. It may block on the disk or the network, and does not wait for records to come.
    ///
    /// The records of journals are told among those of the log, each entry behind the records of the log that its
    /// writer knew; an entry that turns up later than that is told when it is seen. When a record of the log is told,
    /// so was everything that its writer had seen.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when the run was removed, [`StoreError::Corrupt`], [`StoreError::NewerFormat`],
    /// [`StoreError::Io`]. The records can be asked for again.
    pub fn read(&mut self) -> Result<Vec<R>, StoreError> {
        self.read_placed().map(|told| told.records)
    }

    /// As [`read`](Self::read), with where each record stands.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn read_placed(&mut self) -> Result<Told<R>, StoreError> {
        match &mut self.0 {
            Source::Memory(follower) => follower.read(),
            Source::Folder(follower) => {
                let records = follower.read()?;
                let span = Span { lane: Lane::Log, records: records.len() };
                Ok(Told { spans: if records.is_empty() { Vec::new() } else { vec![span] }, records })
            }
            Source::Object(follower) => follower.read(),
        }
    }

    /// The position of the record of the log that comes next.
    #[must_use]
    pub fn next(&self) -> Position {
        Position(match &self.0 {
            Source::Memory(follower) => follower.cursor().log,
            Source::Folder(follower) => follower.next(),
            Source::Object(follower) => follower.cursor().log,
        })
    }

    /// What was told so far: [`Store::follow_after`](crate::Store::follow_after) goes on there.
    #[must_use]
    pub fn cursor(&self) -> Cursor {
        match &self.0 {
            Source::Memory(follower) => follower.cursor().clone(),
            Source::Folder(follower) => Cursor::of_log(follower.next()),
            Source::Object(follower) => follower.cursor().clone(),
        }
    }
}
