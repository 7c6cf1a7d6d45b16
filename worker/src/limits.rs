//! Limits of what goes over the network, the same at both ends; those of connections are with `superstep_transport`.

use std::time::Duration;

pub(crate) use superstep_transport::{KEEPALIVE, KEEPALIVE_ANSWER, MESSAGE};

/// About how many bytes of records go in one message.
pub(crate) const RECORDS: usize = 1 << 20;
/// How many may be told at once what is recorded of runs: for each the whole log of one is in memory.
pub(crate) const TELLINGS: usize = 4;
/// The most bytes of a message between a worker and its leader that are sent at once. What is longer goes in parts, so
/// that beats come between them.
pub(crate) const PIECE: usize = 1 << 20;
/// The longest payload of a message between vertices, in bytes of text, that travels itself; as in a record.
pub(crate) const INLINE: usize = 64 << 10;
/// About how many bytes of messages between vertices go in one batch.
pub(crate) const BATCH: usize = 1 << 20;
/// How many bytes of a batch a further receiver of a message counts for: on the way it is one or two, and where it
/// arrives a message.
pub(crate) const FURTHER: usize = 16;
/// How many bytes of batches one sender may have under way to one receiver.
pub(crate) const WINDOW: u64 = 8 << 20;
/// How many bytes of its credit a sender is given back at once; less after [`CREDIT_AFTER`].
pub(crate) const CREDIT: u64 = WINDOW / 8;
/// How long a sender waits at most for credit of batches that were taken in.
pub(crate) const CREDIT_AFTER: Duration = Duration::from_millis(50);
/// How many bytes one stream, and all streams of a connection, may have under way to a worker before it has looked at
/// them: a batch, so that the way there and back is not waited for within one.
pub(crate) const STREAM_WINDOW: u32 = 1 << 20;
pub(crate) const CONNECTION_WINDOW: u32 = 4 << 20;
/// How many bytes of long messages the programs of one partition may see at once that run; one that sees more runs
/// alone.
pub(crate) const FETCHED: u64 = 32 << 20;
/// How many texts of models one worker may have on the way to its leader, each of at most 16 KiB.
pub(crate) const TEXTS: usize = 64;
/// The most streams that one connection may have at once.
pub(crate) const STREAMS: u32 = 256;
/// The most requests that one connection may have worked on at once.
pub(crate) const REQUESTS: usize = 256;
/// How often a worker and its leader say that they live.
pub(crate) const BEAT: Duration = Duration::from_millis(1_000);
/// Whoever is silent for so long is taken for lost.
pub(crate) const LOST: Duration = Duration::from_secs(5);
