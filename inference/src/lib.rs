//! Local language models: a GGUF file in, streams of tokens out.
//!
//! [`Model::load`] reads the file, converts its weights to formats that have fast kernels, and takes the tokenizer
//! and the chat template out of it. [`Generator::start`] puts the model on a thread of its own, where
//! [`Generator::submit`] queues requests from any thread; those that run at the same time are decoded as one batch.
//! Output can be constrained to a JSON schema, and then is an instance of it or an error, never anything else.
//!
//! Of the BERT family, [`Embedder`] turns texts into vectors, [`Reranker`] tells how well documents answer a question,
//! and [`Encoder`] has any number of heads say what texts and their tokens are, all from one pass.
//!
//! The tensor library is an implementation detail: no other crate of the workspace names it.

mod adapter;
mod adapters;
mod architecture;
mod attention;
mod chat;
mod constraint;
mod converted;
mod embedder;
mod encoder;
mod error;
mod footprint;
mod generator;
mod gguf;
mod guess;
mod hyperparameters;
mod kernel;
mod kv;
mod mapped;
mod model;
mod network;
mod parallel;
#[cfg(test)]
mod reference;
mod request;
mod reranker;
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
mod thought;
mod tiles;
mod tokenizer;
mod weights;
mod work;

pub use constraint::check_schema;
pub use converted::Kept;
pub use embedder::Embedder;
pub use encoder::{
    Class, EmbedderDescription, EmbedderOptions, Encoder, Finding, HeadDescription, Reads, Tag, Want,
};
pub use error::{ChatError, EmbedError, GenerateError, LoadError};
pub use footprint::Footprint;
pub use generator::{Generator, Stream};
pub use model::{Description, Format, LoadOptions, Model};
pub use request::{ChatMessage, Completion, Event, Finish, Request, Role, Sampling, TokenLogprob, Usage};
pub use reranker::{Relevance, RerankPair, RerankQuery, Reranker};
pub use work::Work;
