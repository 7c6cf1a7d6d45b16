//! The program `tool`: one call of a tool.

use futures::FutureExt as _;
use serde_json::{Value, json};
use superstep_engine::{Failure, Outcome, ProgramResult, View};
use superstep_graph::{ToolProgram, VertexSpec};

use super::{PrepareError, expression, handed_on};
use crate::calls::{Calls, Made};
use crate::cel::Expression;
use crate::program::{Activation, Execution, Program};
use crate::roots::{Bindings, Scope};
use crate::tools::CheckedTool;

pub(super) struct ToolCall {
    tool: CheckedTool,
    arguments: Option<Expression>,
}

impl ToolCall {
    pub(super) fn prepare(
        vertex: &VertexSpec,
        program: &ToolProgram,
        tool: CheckedTool,
    ) -> Result<Self, PrepareError> {
        let arguments = program.arguments.as_deref();
        let arguments = arguments
            .map(|source| expression(vertex, "tool.arguments", source, Scope::Vertex))
            .transpose()?;
        Ok(Self { tool, arguments })
    }

    fn arguments(&self, view: &View) -> Result<Value, Failure> {
        let arguments = match &self.arguments {
            Some(expression) => expression.evaluate(Bindings::Vertex(view))?.value().clone(),
            None if view.element.is_none() && view.messages.is_empty() => json!({}),
            None => handed_on(view).value().clone(),
        };
        self.tool.check(&arguments).map_err(Failure::permanent)?;
        Ok(arguments)
    }
}

impl Program for ToolCall {
    fn start(&self, activation: Activation) -> Execution {
        match self.arguments(&activation.view) {
            Ok(arguments) => Execution::Running(call(&self.tool, arguments, &activation.calls).boxed()),
            Err(failure) => Execution::Ready(Outcome::Failed(failure)),
        }
    }
}

fn call(
    tool: &CheckedTool,
    arguments: Value,
    calls: &Calls,
) -> impl Future<Output = Outcome> + Send + 'static {
    let made = tool.call(arguments, calls);
    async move {
        match made.await {
            Ok(Made(Ok(payload))) => Outcome::Done(ProgramResult::output(payload)),
            Ok(Made(Err(failure))) | Err(failure) => Outcome::Failed(failure),
        }
    }
}

#[cfg(test)]
mod tests;
