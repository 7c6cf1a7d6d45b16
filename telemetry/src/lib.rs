//! Traces of runs, by the protocol of OpenTelemetry (OTLP over HTTP), with the conventions for generative AI.
//!
//! A run is one trace, and one tree in it: the run, its supersteps, their activations, and the calls of
//! these. [`Traces`] makes an [`Observer`](superstep_runtime::Observer) for a run and sends what that makes
//! of the run's notices. The ids of spans follow from the run, so a run that is resumed in another process
//! goes on in its trace: a span is sent once, by the process in which what it stands for ends.
//!
//! Of a run on several workers each sends its part: the leader the run and its supersteps ([`LeaderSpans`]), each
//! worker its activations, their calls, and its part of each superstep ([`WorkerSpans`]). Together they are the tree
//! of the same run in one process.
//!
//! ```no_run
//! # fn example(new: superstep_runtime::NewRun, setup: superstep_runtime::Setup) -> Result<(), superstep_telemetry::TracesError> {
//! use superstep_telemetry::{TraceOptions, Traces};
//!
//! let options = TraceOptions { endpoint: Some("http://localhost:4318".to_owned()), content: false };
//! let traces = Traces::start(&options)?;
//! let setup = setup.observed_by(traces.of_new(&new));
//! // … drive the run …
//! traces.finish(std::time::Duration::from_secs(5));
//! # Ok(())
//! # }
//! ```

mod activation;
mod activations;
mod call;
mod content;
mod context;
mod draft;
mod graphs;
mod ids;
mod leader;
mod message;
mod observer;
mod over;
mod root;
mod settings;
mod share;
mod supersteps;
mod traces;
mod tree;
mod words;
mod worker;

pub use context::MessageContexts;
pub use leader::{LeaderPast, LeaderSpans};
pub use settings::TraceOptions;
pub use traces::{Traces, TracesError};
pub use worker::{WorkerPast, WorkerSpans};
