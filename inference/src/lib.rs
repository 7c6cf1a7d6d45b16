//! Local language models: a GGUF file in, streams of tokens out.
//!
//! [`Model::load`] reads the file, converts its weights to formats that have fast kernels, and takes the tokenizer
//! and the chat template out of it. [`Generator::start`] puts the model on a thread of its own, where
//! [`Generator::submit`] queues requests from any thread; those that run at the same time are decoded as one batch.
//! Output can be constrained to a JSON schema, and then is an instance of it or an error, never anything else.
//!
//! [`Embedder`] turns texts into vectors, with sentence models of the BERT family.
//!
//! The tensor library is an implementation detail: no other crate of the workspace names it.

mod attention;
mod chat;
mod constraint;
mod embedder;
mod error;
mod footprint;
mod generator;
mod gguf;
mod hyperparameters;
mod kernel;
mod kv;
mod model;
mod network;
mod parallel;
mod request;
mod rope;
mod safetensors;
mod sampling;
mod scheduler;
mod sequence;
mod shadow;
mod template;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod text;
mod tiles;
mod tokenizer;
mod weights;

pub use constraint::check_schema;
pub use embedder::{Embedder, EmbedderDescription, EmbedderOptions};
pub use error::{ChatError, EmbedError, GenerateError, LoadError};
pub use footprint::Footprint;
pub use generator::{Generator, Stream};
pub use model::{Description, Format, LoadOptions, Model};
pub use request::{ChatMessage, Completion, Event, Finish, Request, Role, Sampling, TokenLogprob, Usage};
