//! Tests of the `superstep` command, as its users start it.

#![expect(clippy::unwrap_used, clippy::panic, reason = "what the tests share may fail them as a test may")]

mod answer;
mod approve;
mod bad_files;
mod cache;
mod cluster;
mod command;
mod compaction;
mod conformance;
mod conversation;
mod costs;
mod crash;
mod damage;
mod earlier;
mod fields;
mod fuzz;
mod gallery;
mod growth;
#[path = "../../provision/tests/hub.rs"]
mod hub;
mod interrupt;
mod models;
mod parameters;
mod progress;
mod providers;
mod random;
mod reach;
mod readme;
mod reference;
mod render;
mod retrieval;
mod run;
mod runs;
mod serve;
#[cfg(feature = "otlp")]
mod telemetry;
mod travel;
mod trust;
mod watch;
mod why;
