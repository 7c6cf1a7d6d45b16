//! Tools that are commands of this machine.

use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use superstep_engine::{Failure, Payload};
use superstep_graph::{CommandTool as Document, ToolSpec, VertexName};
use superstep_runtime::{CommandLine, Tool, ToolRequest, ToolSignature, inherited_variables};

use crate::error::LoadError;
use crate::limits::{MAX_ANSWER, timeout_of};
use crate::signature::signature;

/// A tool that is a command.
#[derive(Debug)]
pub(crate) struct CommandTool {
    tool: VertexName,
    signature: ToolSignature,
    command: Arc<CommandLine>,
    is_idempotent: bool,
}

impl CommandTool {
    /// Makes the tool of a document.
    ///
    /// # Errors
    /// What is wrong with the document, or the program is not on this machine.
    pub(crate) fn load(spec: &ToolSpec, document: &Document) -> Result<Self, LoadError> {
        let signature = signature(spec, "command.parameters", document.parameters.as_ref())?;
        let command = CommandLine {
            argv: document.argv.clone(),
            variables: inherited_variables(&document.environment),
            timeout: timeout_of(spec),
            max_output_bytes: document.max_output_bytes.unwrap_or(MAX_ANSWER),
        };
        command.check().map_err(|source| LoadError::Command { tool: spec.name.clone(), source })?;
        Ok(Self {
            tool: spec.name.clone(),
            signature,
            command: Arc::new(command),
            is_idempotent: document.idempotent,
        })
    }
}

impl Tool for CommandTool {
    fn signature(&self) -> &ToolSignature {
        &self.signature
    }

    fn is_idempotent(&self) -> bool {
        self.is_idempotent
    }

    fn call(&self, request: ToolRequest) -> BoxFuture<'static, Result<Payload, Failure>> {
        let (tool, command, is_idempotent) =
            (self.tool.clone(), Arc::clone(&self.command), self.is_idempotent);
        async move {
            command.run(&request.arguments, &request.idempotency_key).await.map_err(|error| {
                let failure = error.into_failure(is_idempotent);
                Failure { message: format!("tool {tool:?}: {}", failure.message), ..failure }
            })
        }
        .boxed()
    }
}
