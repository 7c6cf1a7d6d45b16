//! Limits of connections, the same at both ends.

use std::time::Duration;

/// The most bytes that one message of any service may have, as encoded.
pub const MESSAGE: usize = 64 << 20;
/// How long a connection may take to come about.
pub const CONNECT: Duration = Duration::from_secs(3);
/// How often HTTP/2 pings a peer that says nothing.
pub const KEEPALIVE: Duration = Duration::from_secs(5);
/// How long the peer may take to answer that.
pub const KEEPALIVE_ANSWER: Duration = Duration::from_secs(5);
/// How long a caller may take to show who it is.
pub(crate) const HANDSHAKE: Duration = Duration::from_secs(5);
/// How many callers may be showing that at once; more are turned away.
pub(crate) const HANDSHAKES: usize = 256;
/// How many connections may wait to be served.
pub(crate) const WAITING: usize = 64;
/// The most bytes that a file of certificates may have.
pub(crate) const FILE: u64 = 1 << 20;
