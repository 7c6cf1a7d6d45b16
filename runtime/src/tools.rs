//! The tools of a run, by the names that its graph uses.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use serde_json::{Value, json};
use superstep_engine::{CallOutcome, CallRequest, Failure, Payload, Usage};
use superstep_graph::{ToolKind, ToolSpec, VertexName};

use crate::call_subject::CallSubject;
use crate::calls::{CallTicket, Calls, Made, digest};
use crate::schema::{Schema, SchemaError};
use crate::tool::{Tool, ToolRequest, ToolSignature};

/// Tools by the names that a graph gives them. A server offers several under one name.
#[derive(Clone, Default)]
pub struct Tools(BTreeMap<VertexName, Vec<CheckedTool>>);

/// Why tools cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ToolError {
    /// What a tool says of its arguments is no schema.
    #[error("tool {entry:?}: the parameters of {tool:?}: {source}")]
    Schema {
        /// The name in the graph.
        entry: VertexName,
        /// The tool's own name.
        tool: String,
        /// What is wrong.
        source: SchemaError,
    },
    /// Two tools of one server have the same name.
    #[error("tool {entry:?} offers two tools named {tool:?}")]
    Twice {
        /// The name in the graph.
        entry: VertexName,
        /// The tool's own name.
        tool: String,
    },
}

impl Tools {
    /// Adds what stands for the entry `name` of a graph's `tools`; later ones of that name replace it.
    ///
    /// # Errors
    /// The parameters of one are no JSON schema, or two have the same name.
    pub fn insert(
        &mut self,
        name: impl Into<VertexName>,
        tools: impl IntoIterator<Item = Arc<dyn Tool>>,
    ) -> Result<(), ToolError> {
        let entry = name.into();
        let mut checked: Vec<CheckedTool> = Vec::new();
        for tool in tools {
            let tool = CheckedTool::new(&entry, tool)?;
            if checked.iter().any(|other| other.name() == tool.name()) {
                return Err(ToolError::Twice { entry, tool: tool.name().to_owned() });
            }
            checked.push(tool);
        }
        self.0.insert(entry, checked);
        Ok(())
    }

    /// Adds a tool as far as its document tells of it, or as it was `seen` when a run with it was begun: enough
    /// to look at a run and to replay it, not to drive it.
    pub fn insert_not_loaded(&mut self, spec: &ToolSpec, seen: Option<&[ToolSignature]>) {
        let declared =
            |parameters: &Option<Value>| vec![ToolSignature::of(spec, parameters.clone().map(Arc::new))];
        let signatures = match (seen, spec.kind()) {
            (Some(seen), _) => seen.to_vec(),
            (None, Some(ToolKind::Http(http))) => declared(&http.parameters),
            (None, Some(ToolKind::Command(command))) => declared(&command.parameters),
            (None, Some(ToolKind::Mcp(server))) => server.allow.iter().cloned().map(unknown).collect(),
            (None, Some(ToolKind::Custom(_)) | None) => vec![unknown(spec.name.to_string())],
        };
        let checked = |signature: ToolSignature| {
            let name = signature.name.clone();
            let tool = CheckedTool::new(&spec.name, Arc::new(NotLoaded { signature }));
            // A schema that is none was refused when the run was begun.
            tool.unwrap_or_else(|_| {
                CheckedTool::new(&spec.name, Arc::new(NotLoaded { signature: unknown(name) }))
                    .expect("a schema that takes any object is a schema")
            })
        };
        self.0.insert(spec.name.clone(), signatures.into_iter().map(checked).collect());
    }

    /// What the tools are called with that stand for that name.
    pub fn signatures(&self, name: &VertexName) -> Vec<ToolSignature> {
        let tools = self.find(name).unwrap_or_default();
        tools.iter().map(|tool| tool.signature().clone()).collect()
    }

    /// What stands for that name.
    pub(crate) fn find(&self, name: &VertexName) -> Option<&[CheckedTool]> {
        self.0.get(name).map(Vec::as_slice)
    }

    /// The names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(VertexName::as_str)
    }
}

impl fmt::Debug for Tools {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// A tool whose arguments are checked before it is called.
#[derive(Clone)]
pub(crate) struct CheckedTool {
    tool: Arc<dyn Tool>,
    schema: Schema,
    /// The name in the graph.
    entry: VertexName,
    /// What is called, for people and logs.
    target: String,
}

impl CheckedTool {
    fn new(entry: &VertexName, tool: Arc<dyn Tool>) -> Result<Self, ToolError> {
        let ToolSignature { name, parameters, .. } = tool.signature();
        let schema = Schema::compile(parameters).map_err(|source| ToolError::Schema {
            entry: entry.clone(),
            tool: name.clone(),
            source,
        })?;
        let target =
            if name == entry.as_str() { format!("tool {name}") } else { format!("tool {entry}/{name}") };
        Ok(Self { tool, schema, entry: entry.clone(), target })
    }

    /// The name that models use.
    pub(crate) fn name(&self) -> &str {
        &self.signature().name
    }

    /// The entry of the graph's `tools` that offers it.
    pub(crate) fn entry(&self) -> &VertexName {
        &self.entry
    }

    /// What it is called with.
    pub(crate) fn signature(&self) -> &ToolSignature {
        self.tool.signature()
    }

    /// Whether `arguments` fit.
    ///
    /// # Errors
    /// Why they do not, naming the argument.
    pub(crate) fn check(&self, arguments: &Value) -> Result<(), String> {
        if !arguments.is_object() {
            return Err(format!("the arguments of {} are no object: {arguments}", self.target));
        }
        let unfit = |why| format!("the arguments of {} do not fit its schema: {why}", self.target);
        self.schema.check(arguments).map_err(unfit)
    }

    fn subject(&self, arguments: &Value) -> CallSubject {
        let ToolSignature { name, description, .. } = self.signature().clone();
        CallSubject::Tool { entry: self.entry.clone(), name, description, arguments: arguments.clone() }
    }

    /// Makes one call, unless it was completed before, and tells apart what the tool says from a call that
    /// was not made. The arguments were checked.
    pub(crate) fn call(
        &self,
        arguments: Value,
        calls: &Calls,
    ) -> impl Future<Output = Result<Made, Failure>> + Send + 'static {
        let request = CallRequest {
            target: self.target.clone(),
            digest: digest(&json!({"target": self.target, "arguments": arguments})),
            repeatable: self.tool.is_idempotent(),
            reserve: Usage { calls: 1, ..Usage::default() },
        };
        let tool = Arc::clone(&self.tool);
        let subject = calls.is_watched().then(|| self.subject(&arguments));
        calls.make(request, subject, move |ticket: CallTicket| {
            let answer = tool.call(ToolRequest { arguments, idempotency_key: ticket.idempotency_key });
            async move { CallOutcome { answer: answer.await, usage: Usage { calls: 1, ..Usage::default() } } }
        })
    }
}

/// A tool that is known by name alone.
struct NotLoaded {
    signature: ToolSignature,
}

fn unknown(name: String) -> ToolSignature {
    ToolSignature { name, description: String::new(), parameters: Arc::new(json!({"type": "object"})) }
}

impl Tool for NotLoaded {
    fn signature(&self) -> &ToolSignature {
        &self.signature
    }

    fn is_idempotent(&self) -> bool {
        false
    }

    fn call(&self, _: ToolRequest) -> BoxFuture<'static, Result<Payload, Failure>> {
        let message = format!("tool {:?} is not loaded", self.signature.name);
        futures::future::ready(Err(Failure::permanent(message))).boxed()
    }
}

#[cfg(test)]
mod tests;
