//! How workers and those who talk to them are connected: mutual TLS, and who may ask for what.
//!
//! A certificate names who has it by one URI ([`Identity`]). Both sides of a connection check that the other's is
//! signed by an authority of their `ca.crt`; a client checks that it has reached a worker of the group that it wants,
//! and a [`Gate`] before each service lets in only whom the service is for. [`Credentials`] follow the files that
//! they are read from: what begins after a change begins with what is there then, and what goes on goes on.
//! Whoever has no certificate yet asks for one at a server that shows everybody its own, by name ([`channel_to_named`]).
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
#[cfg(feature = "request")]
mod issued;
mod limits;
mod material;
mod named;
mod network;
mod refusals;
#[cfg(feature = "request")]
mod request;
mod security;
mod shown;
mod verify;

pub use accept::{accept, accept_anybody};
pub use caller::{Caller, Certified};
pub use channel::{AddressError, channel, check_address};
pub use connect::{ConnectError, Connector, Expected};
pub use connection::Connection;
#[cfg(feature = "request")]
pub use credentials::Held;
pub use credentials::{Credentials, LOOK};
pub use files::CredentialsError;
pub use gate::Gate;
pub use identity::{Group, Identity, IdentityError, Name};
#[cfg(feature = "issue")]
pub use issue::{Authority, Validity};
#[cfg(feature = "request")]
pub use issued::{IssueError, Issued};
pub use limits::{CONNECT, KEEPALIVE, KEEPALIVE_ANSWER, MESSAGE};
pub use named::channel_to_named;
pub use network::{Arrivals, Link, Listener, Network};
pub use refusals::{Refusal, Refusals};
#[cfg(feature = "request")]
pub use request::KeyRequest;
pub use security::{Security, is_of_this_machine};
pub use shown::Shown;
