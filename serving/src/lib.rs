//! The model server: OpenAI's protocol over anything that implements [`Model`](superstep_runtime::Model),
//! [`Embedder`](superstep_runtime::Embedder) or [`Reranker`](superstep_runtime::Reranker).
//!
//! A [`Server`] listens at once and tells whether it is alive; after [`Server::open`] it answers requests. What is
//! asked passes a gate with a bounded queue, and becomes a *flight*: the work on one request, which any number of
//! listeners follow. A request that comes again with its `Idempotency-Key` boards the flight that is on its way, or
//! gets what it brought; a flight without listeners ends.
//!
//! [`ServeArguments`] is the command around it, which two binaries have.

mod answer;
mod arguments;
mod asking;
mod chat;
mod command;
mod counts;
mod desk;
mod drawing;
mod embeddings;
mod event_stream;
mod fields;
mod flight;
mod flights;
mod format;
mod gate;
mod likelihood;
mod listing;
mod metrics;
mod offered;
mod refusal;
mod rerank;
mod responses;
mod server;
mod tool_use;

pub use arguments::ServeArguments;
pub use command::{ServeError, serve};
pub use offered::Offered;
pub use server::{Server, Settings};
