//! The superstep protocol, without IO: no clock, no randomness, no threads, no async.

mod call;
mod expressions;
mod payload;
mod program;

pub use call::{CallOutcome, CallRequest};
pub use expressions::Expressions;
pub use payload::Payload;
pub use program::{
    Direct, Emission, Failure, FailureClass, Outcome, ProgramResult, Question, Received, Resumption, Usage, ValueChange, View,
};
