//! Tests of the model server, over real connections to real models.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod adapters;
mod admission;
mod chat;
mod embeddings;
mod given;
mod health;
mod idempotency;
mod openai;
mod provider;
mod rerank;
mod responses;
mod streams;
