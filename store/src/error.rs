//! What can go wrong with a store.

use std::{io, path::PathBuf};

use crate::{Digest, RunName};

/// Why a store could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another writer holds the log.
    #[error("run \"{run}\" is held by {holder}")]
    Locked {
        /// The run.
        run: RunName,
        /// Process and owner, as the holder wrote them into the lock file.
        holder: String,
    },
    /// There is no such run.
    #[error("run \"{run}\" is not in the store")]
    NotFound {
        /// The run.
        run: RunName,
    },
    /// The run is there, but nothing of what it was given was kept.
    #[error("run \"{run}\" cannot be read: its store keeps nothing")]
    NotKept {
        /// The run.
        run: RunName,
    },
    /// A run of this name is there already.
    #[error("run \"{run}\" is in the store already")]
    Exists {
        /// The run.
        run: RunName,
    },
    /// The text is not a run name.
    #[error(
        "{name:?} is no run name: it takes 1 to 128 ASCII letters, digits, \".\", \"_\" and \"-\", the first a letter or digit"
    )]
    BadName {
        /// The text.
        name: String,
    },
    /// The text is not the name of a journal.
    #[error(
        "{name:?} is no name of a journal: it takes 1 to 128 ASCII letters, digits, \".\", \"_\" and \"-\", the first a letter or digit"
    )]
    BadJournalName {
        /// The text.
        name: String,
    },
    /// The store keeps runs that one process drives, which need no journals.
    #[error("run \"{run}\" has no journals: its store is a folder of one machine")]
    NoJournals {
        /// The run.
        run: RunName,
    },
    /// The store is shared, and its logs are only ever added to.
    #[error("the log of run \"{run}\" is not rewritten: its store is shared, and its logs are only added to")]
    NoRewrite {
        /// The run.
        run: RunName,
    },
    /// The text is not the place of an object store.
    #[error("{place:?} is no place for runs: {why}")]
    BadPlace {
        /// The text.
        place: String,
        /// What is wrong with it.
        why: String,
    },
    /// The place is of a kind that this build has no client for.
    #[error("this build cannot reach {place}: it has no feature `{feature}`")]
    NotBuilt {
        /// The place.
        place: String,
        /// The feature of this crate that it needs.
        feature: &'static str,
    },
    /// The store lets several create one object, so that nothing keeps two writers apart.
    #[error("{place} does not let exactly one of several create an object: {why}")]
    NotExclusive {
        /// The store.
        place: String,
        /// What it did.
        why: String,
    },
    /// The object store is away. What was asked may be asked again.
    #[error("cannot {doing} {object}: the store is away")]
    Away {
        /// What was being done, as a verb.
        doing: &'static str,
        /// The object, with its store.
        object: String,
        /// The cause.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The object store refused, and will do so again.
    #[error("cannot {doing} {object}")]
    Object {
        /// What was being done, as a verb.
        doing: &'static str,
        /// The object, with its store.
        object: String,
        /// The cause.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A record that may have been acknowledged is damaged. The log is left as it is.
    #[error("{}: record {record} at byte {offset} is corrupt: {why}", file.display())]
    Corrupt {
        /// The segment file, or the object with its store.
        file: PathBuf,
        /// Byte offset in the file of the frame that is damaged.
        offset: u64,
        /// Number in the log of the first record of that frame.
        record: u64,
        /// What does not hold.
        why: Damage,
    },
    /// The file was written in a format that this build does not know.
    #[error("{}: {what} format {found} is newer than {known}, the newest that this build reads", file.display())]
    NewerFormat {
        /// The segment file, or the object with its store.
        file: PathBuf,
        /// Which of the formats: `log`, `record` or `object`.
        what: &'static str,
        /// The format of the file.
        found: u16,
        /// The newest format that this build knows.
        known: u16,
    },
    /// The batch cannot be a frame.
    #[error("a batch of {bytes} bytes is over the limit of {limit}")]
    TooLarge {
        /// Encoded size of the batch.
        bytes: usize,
        /// The most that a batch may have.
        limit: usize,
    },
    /// A record has no encoding.
    #[error("a record cannot be encoded: {0}")]
    Encode(#[source] postcard::Error),
    /// There is no such blob.
    #[error("blob {digest} is not in the store")]
    NoBlob {
        /// Its digest.
        digest: Digest,
    },
    /// The bytes of a blob are not those that its name stands for.
    #[error("{}: the content is not that of blob {digest}", file.display())]
    CorruptBlob {
        /// Its file.
        file: PathBuf,
        /// Its digest.
        digest: Digest,
    },
    /// The content of a kept result is not what was written.
    #[error("{}: the kept result is damaged", file.display())]
    CorruptResult {
        /// Its file.
        file: PathBuf,
    },
    /// The thread that writes is gone, so the outcome of what it was given cannot be known.
    #[error("the thread that writes to the store has ended")]
    CommitterGone,
    /// The operating system refused.
    #[error("cannot {doing} {}", path.display())]
    Io {
        /// What was being done, as a verb.
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
}

/// What does not hold of a corrupt record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// The head of an object is not one.
    #[error("the head of the object is damaged")]
    ObjectHead,
    /// An object is not there, and one that follows it is.
    #[error("the object is missing, yet another one follows")]
    ObjectMissing,
    /// An object holds less than the one write that it is.
    #[error("the object is incomplete")]
    ObjectIncomplete,
    /// The head of a segment file is not one.
    #[error("the segment head is damaged")]
    SegmentHead,
    /// The segment does not continue the one before it.
    #[error("the segment begins at record {found}, or with another history, where record {expected} follows")]
    SegmentGap {
        /// The next record by the segment before.
        expected: u64,
        /// The first record that the segment claims.
        found: u64,
    },
    /// The head of the frame fails its checksum.
    #[error("the frame head fails its checksum")]
    Head,
    /// A bit that format 1 leaves clear is set.
    #[error("the frame head has a kind or flag that its format does not define")]
    Kind,
    /// The segment ends within a frame, and another segment follows.
    #[error("the frame is incomplete, yet another segment follows")]
    Incomplete,
    /// The records fail their checksum.
    #[error("the records fail their checksum")]
    Checksum,
    /// The frame is whole but does not follow the one before it.
    #[error("the hash chain is broken")]
    Chain,
    /// The last byte of the frame is wrong.
    #[error("the commit byte is wrong")]
    CommitByte,
    /// The filler between two frames is not zero.
    #[error("the filler before the frame is not zero")]
    Filler,
    /// A frame follows the one that sealed the log.
    #[error("a frame follows the seal")]
    AfterSeal,
    /// The bytes are as they were written, but are not records of this type.
    #[error("the records cannot be decoded: {0}")]
    Undecodable(String),
}
