//! How workers and those who talk to them are connected: mutual TLS, and who may ask for what.
//!
//! A certificate names who has it by one URI ([`Identity`]). Both sides of a connection check that the other's is
//! signed by an authority of their `ca.crt`; a client checks that it has reached a worker of the group that it wants,
//! and a [`Gate`] before each service lets in only whom the service is for. [`Credentials`] follow the files that
//! they are read from: what begins after a change begins with what is there then, and what goes on goes on.
//! Without encryption ([`Security::Plaintext`]) nothing leaves the machine; a test may bring a [`Network`] of its own.

mod accept;
mod caller;
mod channel;
mod connect;
mod connection;
mod credentials;
mod files;
mod gate;
mod identity;
#[cfg(feature = "issue")]
mod issue;
mod limits;
mod material;
mod network;
mod refusals;
mod security;
mod verify;

pub use accept::accept;
pub use caller::{Caller, Certified};
pub use channel::{AddressError, channel, check_address};
pub use connect::{ConnectError, Connector, Expected};
pub use connection::Connection;
pub use credentials::{Credentials, LOOK};
pub use files::CredentialsError;
pub use gate::Gate;
pub use identity::{Group, Identity, IdentityError, Name};
#[cfg(feature = "issue")]
pub use issue::{Authority, IssueError, Issued, Validity};
pub use limits::{CONNECT, KEEPALIVE, KEEPALIVE_ANSWER, MESSAGE};
pub use network::{Arrivals, Link, Listener, Network};
pub use refusals::{Refusal, Refusals};
pub use security::{Security, is_of_this_machine};
