//! Models that services outside serve, behind the trait [`Model`](superstep_runtime::Model).
//!
//! [`Providers`] makes them. A *dialect* is the protocol of a family of providers: how a request is
//! written and how an answer is read, piece by piece where it is streamed. Dialects are pure; one shell
//! sends, reads within limits, and remembers which accounts and models are not worth another request.
//!
//! Failures that may pass (a lost connection, an overload, a rate limit, an answer that breaks off) are
//! transient and carry how long the provider wants to be left alone. What would fail again (a refused
//! credential, a used-up quota, an unknown model, a refused request) is permanent, names the model and
//! the fix, and trips a breaker where it concerns more than the one request.

mod breaker;
mod connection;
mod credential;
mod dialect;
mod draft;
mod external;
mod fault;
mod frames;
mod patience;
mod provider;
mod schema;

pub use external::{ProviderError, Providers};
