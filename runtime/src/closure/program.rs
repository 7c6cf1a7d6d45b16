//! A closure as the program of a vertex.

use std::fmt;
use std::sync::Arc;

use futures::FutureExt as _;
use serde_json::Value;
use superstep_engine::{Failure, Outcome, Payload, ProgramResult, View};

use super::{Callable, Called, Checked, ClosureError};
use crate::program::{Activation, Execution, Program};
use crate::programs::Programs;

/// A closure that a vertex executes; its answer is the payload on the default port.
///
/// Its parameter is what came in: the element in a forEach; else the payload of the only message; without a
/// message the input of the run; and of several messages an object with the last payload of each sender
/// under its name, those of passive and retained edges included.
///
/// An error that it gives back fails the vertex for good. What it does outside is neither recorded nor
/// told apart from a first time: after a crash, or for a failure of another kind, it may run again. Calls
/// that must not be repeated belong into tools.
pub struct ClosureProgram {
    name: String,
    closure: Arc<Checked>,
}

impl ClosureProgram {
    /// Makes a program for vertices with `custom: {name: …}`.
    ///
    /// # Errors
    /// The parameter of the closure is no struct with named fields, or its schema cannot be used.
    pub fn new<M, C: Callable<M>>(name: impl Into<String>, closure: C) -> Result<Self, ClosureError> {
        let name = name.into();
        let closure = Arc::new(Checked::new(&name, closure)?);
        Ok(Self { name, closure })
    }
}

impl Program for ClosureProgram {
    fn start(&self, activation: Activation) -> Execution {
        let name = self.name.clone();
        let outcome = move |answer: Result<Payload, String>| match answer {
            Ok(payload) => Outcome::Done(ProgramResult::output(payload)),
            Err(message) => {
                Outcome::Failed(Failure::permanent(format!("custom program {name:?}: {message}")))
            }
        };
        match self.closure.call(input(&activation.view)) {
            Ok(Called::Now(answer)) => Execution::Ready(outcome(answer)),
            Ok(Called::Later(answer)) => Execution::Running(answer.map(outcome).boxed()),
            Err(why) => Execution::Ready(outcome(Err(format!("its input does not fit: {why}")))),
        }
    }
}

/// What an activation hands to a closure.
fn input(view: &View) -> Value {
    match (&view.element, view.messages.as_slice()) {
        (Some(element), _) => element.value().clone(),
        (None, []) => view.input.value().clone(),
        (None, [message]) => message.payload.value().clone(),
        (None, _) => {
            let last = view.last_of_each().into_iter();
            Value::Object(last.map(|(from, payload)| (from.to_string(), payload.value().clone())).collect())
        }
    }
}

impl Programs {
    /// Registers a closure under `name`, for vertices with `custom: {name: …}`: see [`ClosureProgram`]. A
    /// later one of the same name replaces it.
    ///
    /// # Errors
    /// The parameter of the closure is no struct with named fields, or its schema cannot be used.
    pub fn register_closure<M, C: Callable<M>>(
        &mut self,
        name: impl Into<String>,
        closure: C,
    ) -> Result<(), ClosureError> {
        let program = ClosureProgram::new(name, closure)?;
        self.register(program.name.clone(), Arc::new(program));
        Ok(())
    }
}

impl fmt::Debug for ClosureProgram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClosureProgram").field("name", &self.name).finish_non_exhaustive()
    }
}
