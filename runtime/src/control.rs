//! The control channel: how a run is reached from another process than the one that drives it.
//!
//! Whoever drives a run has its log, and listens on a Unix socket that only this user can open. Who wants
//! something of the run connects, writes one line, a [`Request`], and reads lines, each a [`Reply`]. The
//! requests are those of a service of runs: get, watch from an offset, answer, cancel, patch.
//!
//! The channel keeps two promises. *Nothing is visible before it is durable*: a request is acknowledged when its
//! record is in the log, and a watcher is not sent what has happened but told how far the log has come, and
//! reads it. *A log has one writer*: no request touches the log but through the driver. What the channel loses
//! is therefore never more than time: whoever asks looks into the log when an acknowledgement stays out.
//!
//! Lines are limited in length, connections in number, and each gets its own task: one who sends nothing, or
//! half a line, or does not read, holds up nobody. Texts of models, which are not durable, wait in a bounded
//! buffer for each watcher, and are dropped there with a mark.

mod address;
mod client;
mod line;
mod protocol;
mod server;
mod socket;

use std::io;
use std::path::PathBuf;

pub use address::SocketFolder;
pub(crate) use client::{Asked, Connection, ask};
pub(crate) use protocol::{Refusal, Reply, Request};
pub(crate) use server::Listening;

use crate::events::Told;

/// Why a run cannot listen, or whoever drives it is not understood.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// A run in memory has no place that another process could find.
    #[error("a run in memory is reached from its own process only")]
    InMemory,
    /// The system has no sockets with paths.
    #[error("runs of other processes are reached on systems with Unix sockets only")]
    Unsupported,
    /// No folder can have the socket.
    #[error("no folder can have the socket of a run: {}", .tried.join("; "))]
    NoFolder {
        /// Each that was tried, with why not.
        tried: Vec<String>,
    },
    /// The operating system refused.
    #[error("cannot {doing} {}", path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// What was sent is no line of this protocol.
    #[error("a message that was not understood: {why}")]
    Malformed {
        /// What is wrong with it.
        why: String,
    },
    /// The other one refuses for a reason that is not the run's.
    #[error("{why}")]
    Refused {
        /// In words.
        why: String,
    },
}

#[cfg(unix)]
#[cfg(test)]
mod tests;
