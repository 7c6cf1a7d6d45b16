//! Traces as a collector gets them.

#![expect(clippy::unwrap_used, clippy::panic, reason = "what the tests share may fail them as a test may")]

mod collector;
mod runs;
mod tree;
