//! Each dialect against a fake that the provider's published examples drive.

#![expect(clippy::unwrap_used, reason = "what the tests share may fail them as a test may")]

mod anthropic;
mod embeddings;
mod fake;
mod faults;
mod gemini;
mod ollama;
mod open_ai;
mod streams;
