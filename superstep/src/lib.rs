//! Agent graphs as Pregel programs, in your own process.
//!
//! A *graph* is data: vertices, and edges that carry messages between them. A *run* goes through it in
//! supersteps: messages are delivered, the vertices that got some run at the same time, a barrier waits, and
//! one durable record commits the results. Graphs may have cycles, and may change while they run. What a
//! vertex executes is a prompt to a model, an expression, a tool, another graph, or a Rust closure.
//!
//! ```
//! use serde_json::json;
//! use superstep::{NewRun, Programs, Run, Setup, Store, schemars::JsonSchema, validate};
//!
//! /// What the vertex `greet` is sent.
//! #[derive(serde::Deserialize, JsonSchema)]
//! struct Guest {
//!     name: String,
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let graph = validate(&serde_json::from_value(json!({
//!     "entry": ["greet"],
//!     "vertices": [
//!         {"name": "greet", "custom": {"name": "greet"}},
//!         {"name": "shout", "function": {"cel": "message.upperAscii() + '!'"}},
//!     ],
//!     "edges": [{"from": "greet", "to": "shout"}],
//! }))?)?;
//!
//! let mut programs = Programs::default();
//! programs.register_closure("greet", |guest: Guest| format!("hello {}", guest.name))?;
//!
//! let new = NewRun::new("first".parse()?, graph, json!({"name": "you"}));
//! let run = Run::create(Setup::new(programs), &Store::memory(), new)?;
//! let end = run.drive().await?.expect("nothing in this graph waits for an answer");
//! assert_eq!(end.outputs.value(), &json!({"shout": "HELLO YOU!"}));
//! # Ok(())
//! # }
//! ```
//!
//! # The parts
//!
//! | you want | you use |
//! |---|---|
//! | a graph | [`GraphSpec`] is the document, read by serde; [`validate`] makes a [`ValidatedGraph`] of it or tells every mistake, [`check`] those in its expressions and templates |
//! | what vertices execute | [`Programs`]: [`register_closure`](Programs::register_closure) for a closure, [`Program`] for full control |
//! | tools | [`register_tool_closure`](Programs::register_tool_closure) for a closure, [`load_tools`] for the tools of a graph: HTTP, commands, servers of the Model Context Protocol |
//! | models | [`Models`]: the built-in ones, [`Scripted`] for tests, or your own [`Model`]; an [`Embedder`] turns texts into vectors |
//! | to keep results | [`ResultCache`], for vertices with a `cache`, in memory or in a folder |
//! | a run | [`Run::create`] and [`Run::drive`]; [`Run::resume`] goes on with one that a process left |
//! | to reach into a run | [`RunHandle`]: cancel, detach, answer, patch; from another process [`Reach`], where [`Run::listen`] lets it in |
//! | to decide on what vertices would change | with `mutations.governance: Propose` each is a question: [`Proposal::of`] reads it, a [`Decision`] answers it |
//! | to go back in a run | [`replay`] executes it again from its log and compares, [`fork`] goes on from a superstep of it otherwise, [`NewRun::continuing`] begins with the values that it left |
//! | to see what happens | [`RunHandle::events`]: a stream of every [`Notice`], and of the text of models while they write it; [`Observer`], called with the same; [`Watch`], which misses nothing, from any place of the log on |
//! | durability | [`Store::folder`] keeps runs in a folder, [`Store::memory`] as long as it is there, [`Store::transient`] not at all: a run in it takes no memory for its past |
//!
//! # What holds
//!
//! - Results are applied exactly once. A completed call of a model or tool is never made again, whatever
//!   is killed and whenever; one that was in flight at a crash is made again, or asked about, by its
//!   vertex's `onUnknown`.
//! - Nothing is visible before it is durable.
//! - The order of declaration has no effect, and replaying a log gives the same state.
//!
//! # Requirements
//!
//! A run is driven by one task on a tokio runtime with IO and time enabled. Closures and observers are
//! called on that task, so they must not block; what takes time is a future.
//!
//! Examples: `weather` (tools), `custom_program` (a program of your own) and `embedded` (observe, cancel
//! and resume), by `cargo run -p superstep --example NAME`.
//!
//! # Features
//!
//! `inference` (default): models that run in this process, on the CPU, from a GGUF file.

pub use schemars;
pub use superstep_engine::{
    ActivationId, CallOutcome, CallRequest, Carried, Decision, Direct, Emission, Failure, FailureClass, Fork,
    LimitKind, MessageStatus, Notice, Outcome, Patch, Payload, ProgramResult, Proposal, Question, QuestionId,
    Received, Record, Resumption, RunStatus, Totals, Usage, ValueChange, View,
};
pub use superstep_graph::{
    CredentialRef, EdgeSpec, GraphSpec, Mutation, Port, PriorityClass, Problem, Problems, Revision, ToolSpec,
    ValidatedGraph, Verdict, VertexName, VertexSpec, validate,
};
pub use superstep_runtime::{
    Activation, AnswerError, CallTicket, Calls, ChatMessage, ClosureError, ClosureProgram, ClosureTool,
    Compaction, ControlError, CursorError, Difference, EmbedRequest, Embedder, Embeddings, Execution, Finish,
    Happened, Happening, IntoAnswer, Json, LikelyToken, Model, ModelAnswer, ModelRequest, Models, NewRun,
    Observer, PatchError, PrepareError, Program, Programs, Reach, Reached, Replayed, ResultCache, Role, Run,
    RunEnd, RunError, RunEvent, RunEvents, RunHandle, RunState, Scripted, ScriptedCall, ScriptedModel,
    ScriptedRule, Seen, Setup, SharedText, SocketFolder, TokenLogprob, Tool, ToolCall, ToolError,
    ToolRequest, ToolSignature, Tools, Watch, WatchCursor, WatchFrom, carried, check, check_input, compact,
    fork, read_run, replay, tell,
};
#[cfg(feature = "inference")]
pub use superstep_runtime::{EmbedderOptions, LoadOptions, LocalModel, LocalModelError, SentenceModel};
pub use superstep_store::{Results, RunName, Store, StoreError};
pub use superstep_tools::{LoadError, LoadedTools, Surroundings, from_environment, load as load_tools};

/// The code of `docs/embedding.md`, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../docs/embedding.md")]
mod embedding {}
