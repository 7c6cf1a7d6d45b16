//! Run logs and blobs: what a run must not lose, and how it is kept.
//!
//! A [`Store`] keeps one log per run, written by one owner, and the blobs that the log names. Three backends
//! have the same contract: *memory* keeps typed records and encodes nothing; *folder* keeps checksummed,
//! hash-chained frames in segment files, with group commit: one write and one `fdatasync` for all appends
//! that wait on the same log; *object* keeps the same frames in objects that are created only if there is none
//! of their name, one for all appends that wait, so that many machines share it.
//!
//! Beside its log a run may have call journals, each of one writer that does not own the log. Whoever reads the run
//! reads them with it, in an order that the module `merge` defines.
//!
//! The promises:
//! - An append that came back with a [`Position`] survives a crash of the process and of the machine.
//! - A batch is there whole or not at all.
//! - A blob is durable before a record names it. A text or byte string of more than 64 KiB in a record stands
//!   in a blob, once for all records that repeat it.
//! - A damaged record that may have been acknowledged is an error that names file, offset and record; it is
//!   never dropped. What a crash can leave of a batch that was never acknowledged is cut off and reported.
//! - Of several who write one log of an object store each batch has one author: the others are fenced.
//! - A log in a format newer than this build knows is refused, not guessed at.
//!
//! The module `frame` says how bytes on disk are told apart: a torn tail from a corrupt record.

mod batch;
mod blobs;
mod engine_record;
mod error;
mod folder;
mod follower;
mod frame;
mod journal;
mod log;
mod memory;
mod merge;
mod name;
mod object;
mod record;
mod results;
mod segment;
mod spill;
mod stamp;
mod store;

pub use blobs::{Blobs, Digest};
pub use error::{Damage, StoreError};
pub use follower::Follower;
pub use journal::{Entry, Journal};
pub use log::{Ack, Append, AppendError, Contents, Log, Position, TornTail};
pub use merge::{Cursor, Lane, Span, Told};
pub use name::{JournalName, RunName};
pub use object::place::ObjectPlace;
pub use record::Record;
pub use results::{KeptResult, Results, Swept};
pub use stamp::Stamp;
pub use store::{Opened, RunEntry, Store};
