//! The program `function`: the value of a CEL expression, or the output of a command.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};
use superstep_engine::{CallOutcome, CallRequest, Failure, Payload, Usage, View};
use superstep_graph::{DurationSpec, FunctionCommand, FunctionProgram, VertexSpec};

use super::aside::aside;
use super::{PrepareError, expression};
use crate::calls::{CallTicket, Calls, digest};
use crate::cel::Expression;
use crate::process::{CommandLine, inherited_variables};
use crate::program::{Activation, Execution, Program};
use crate::roots::{Bindings, Scope};

const TIMEOUT: Duration = Duration::from_secs(30);
const MAX_OUTPUT: u64 = 1 << 20;

/// A function, prepared.
pub(super) enum Function {
    Cel(Expression),
    /// With a time limit: an expression cannot be interrupted, but whoever waits for it can be.
    CelApart(Expression),
    Command(Arc<Command>),
}

impl Function {
    pub(super) fn prepare(vertex: &VertexSpec, function: &FunctionProgram) -> Result<Self, PrepareError> {
        match (&function.cel, &function.command) {
            (Some(cel), None) => {
                let cel = expression(vertex, "function.cel", cel, Scope::Vertex)?;
                Ok(if vertex.timeout.is_some() { Self::CelApart(cel) } else { Self::Cel(cel) })
            }
            (None, Some(command)) => Ok(Self::Command(Arc::new(Command::of(command)))),
            (Some(_), Some(_)) | (None, None) => Err(PrepareError::NoProgram { vertex: vertex.name.clone() }),
        }
    }
}

impl Program for Function {
    fn start(&self, activation: Activation) -> Execution {
        match self {
            Self::Cel(cel) => Execution::of(cel.evaluate(Bindings::Vertex(&activation.view))),
            Self::CelApart(cel) => {
                let cel = cel.clone();
                Execution::running(aside(move || cel.evaluate(Bindings::Vertex(&activation.view))))
            }
            Self::Command(command) => {
                let command = Arc::clone(command);
                let input = seen(&activation.view);
                Execution::running(async move { command.call(input, &activation.calls).await })
            }
        }
    }
}

/// A command, which is an external call.
pub(super) struct Command {
    line: CommandLine,
    idempotent: bool,
}

impl Command {
    fn of(command: &FunctionCommand) -> Self {
        Self {
            line: CommandLine {
                argv: command.argv.clone(),
                variables: inherited_variables(&command.environment),
                timeout: command.timeout.map_or(TIMEOUT, DurationSpec::duration),
                max_output_bytes: command.max_output_bytes.unwrap_or(MAX_OUTPUT),
            },
            idempotent: command.idempotent,
        }
    }

    async fn call(&self, input: Value, calls: &Calls) -> Result<Payload, Failure> {
        let used = Usage { calls: 1, ..Usage::default() };
        let request = CallRequest {
            target: format!("command {}", self.line.argv.first().map(String::as_str).unwrap_or_default()),
            digest: digest(&json!({"argv": self.line.argv, "input": input})),
            repeatable: self.idempotent,
            reserve: used,
        };
        let run = |ticket: CallTicket| async move {
            let answer = self.line.run(&input, &ticket.idempotency_key).await;
            CallOutcome { answer: answer.map_err(|error| error.into_failure(self.idempotent)), usage: used }
        };
        calls.perform(request, run).await
    }
}

/// All that the vertex sees, as one object.
pub(crate) fn seen(view: &View) -> Value {
    let messages: Vec<Value> = view
        .messages
        .iter()
        .map(|message| {
            json!({
                "from": message.from.as_str(),
                "port": message.port.as_str(),
                "payload": message.payload.value(),
            })
        })
        .collect();
    let last = view.last_of_each().into_iter();
    let from: Map<String, Value> =
        last.map(|(name, payload)| (name.to_string(), payload.value().clone())).collect();
    let aggregates: Map<String, Value> =
        view.aggregates.iter().map(|(name, held)| (name.to_string(), held.value().clone())).collect();
    json!({
        "input": view.input.value(),
        "parameters": view.parameters.value(),
        "messages": messages,
        "from": from,
        "value": view.value.value(),
        "element": view.element.as_ref().map(Payload::value),
        "aggregates": aggregates,
        "superstep": view.superstep,
    })
}

#[cfg(test)]
mod tests;
