//! The local runner and the vertex programs.

mod cache;
mod call_subject;
mod calls;
mod catalogue;
mod cel;
mod check;
mod clock;
mod closure;
mod control;
mod embedder;
mod events;
mod expressions;
mod fresh;
mod hands;
mod logprobs;
mod model;
mod model_work;
mod models;
mod process;
mod program;
mod programs;
pub mod prompted;
mod question;
mod reach;
mod recorded;
mod reranker;
mod retention;
mod roots;
mod runner;
mod schema;
mod shared_text;
mod template;
mod tool;
mod tools;
mod vectors;
mod watch;

pub use cache::{CACHE_TARGET, ResultCache};
pub use call_subject::{CallSubject, ModelIdentity};
pub use calls::{CallDecision, CallEvent, CallTicket, Caller, Calls};
pub use catalogue::{Origin, RunPhase, RunSummary, is_left, list_runs, note_end, note_seen_to};
pub use cel::{Expression, MAX_EXPRESSION};
pub use check::check;
pub use clock::Clock;
pub use closure::{
    Asynchronous, Callable, Called, ClosureError, ClosureProgram, ClosureTool, IntoAnswer, Json,
};
pub use control::{ControlError, SocketFolder};
pub use embedder::{EmbedRequest, Embedder, Embeddings};
pub use events::{Hub, RunEvent, RunEvents};
pub use expressions::EdgeExpressions;
pub use fresh::fresh_name;
pub use hands::{Deed, Hands};
pub use logprobs::{LikelyToken, TokenLogprob};
pub use model::{
    ChatMessage, DEFAULT_MAX_TOKENS, Finish, Model, ModelAnswer, ModelRequest, Role, StandIn, ToolCall,
    UsageParts, cost,
};
pub use model_work::ModelWork;
#[cfg(feature = "inference")]
pub use models::{CrossEncoder, LocalModel, LocalModelError, SentenceModel};
pub use models::{
    Deferred, Fallbacks, Loaded, Member, Models, NotLoadable, NotLoaded, Priced, PricedEmbedder, Scripted,
    ScriptedCall, ScriptedFailure, ScriptedModel, ScriptedRule,
};
pub use process::{
    CommandError, CommandLine, IDEMPOTENCY_KEY_VARIABLE, Pipes, ProcessGroup, Tail, inherited_variables,
};
pub use program::{Activation, Execution, Listener, OnActivationText, OnText, Program};
pub use programs::{EffectExpressions, PrepareError, Programs};
pub use question::{HumanQuestion, check_answer};
pub use reach::{Reach, Reached};
pub use recorded::RecordedAnswer;
pub use reranker::{Ranking, RerankRequest, Reranker};
pub use retention::{Removal, Retention, retain};
pub use roots::{CompileError, Position, Reference, Scope};
pub use runner::{
    AnswerError, Compaction, CostsError, Difference, JudgedPatch, LogStanding, NewRun, Observer, PatchError,
    Replayed, Requests, Run, RunEnd, RunError, RunHandle, RunState, Setup, Taken, answer_left, carried,
    compact, follow, fork, graph_before, judged, open_questions, parts_of, read_run, record_run, replay,
    standing, tell,
};
pub use schema::{Schema, SchemaError, check_input, check_parameters, smallest};
pub use shared_text::SharedText;
#[cfg(feature = "inference")]
pub use superstep_inference::{
    EmbedderDescription, EmbedderOptions, Footprint, Kept, LoadError, LoadOptions,
    check_schema as check_local_schema,
};
pub use template::{MAX_TEMPLATE, Template};
pub use tool::{Tool, ToolRequest, ToolSignature};
pub use tools::{ToolError, Tools};
pub use watch::{CursorError, CursorText, Happened, Happening, Seen, Watch, WatchCursor, WatchFrom};
