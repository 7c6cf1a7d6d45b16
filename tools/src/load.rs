//! From the documents of tools to tools that can be called.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use futures::future::BoxFuture;
use superstep_engine::{Failure, Payload};
use superstep_graph::{CredentialRef, CustomTool, ToolKind, ToolSpec, VertexName};
use superstep_runtime::{Tool, ToolRequest, ToolSignature, Tools};

use crate::client::{Clients, Lookup, SystemLookup};
use crate::command::CommandTool;
use crate::error::{LoadError, nearest};
use crate::http::HttpTool;

/// What tools need that no document holds.
#[derive(Clone, Copy)]
pub struct Surroundings<'a> {
    /// Finds a secret; [`from_environment`](crate::from_environment) on a person's machine.
    pub secret: &'a (dyn Fn(&CredentialRef) -> Option<String> + Sync),
    /// The functions that this process registered as tools.
    pub custom: &'a BTreeMap<String, Arc<dyn Tool>>,
}

/// Tools by the names that a graph gives them, each with what stands for it: several tools for a
/// server, else one.
#[derive(Default)]
pub struct LoadedTools(BTreeMap<VertexName, Vec<Arc<dyn Tool>>>);

impl LoadedTools {
    /// All of them, for programs that call them.
    ///
    /// # Errors
    /// What a server says of the arguments of a tool is no JSON schema, or it has two tools of one name.
    pub fn into_tools(self) -> Result<Tools, LoadError> {
        let mut tools = Tools::default();
        for (name, loaded) in self.0 {
            tools.insert(name, loaded)?;
        }
        Ok(tools)
    }

    /// What stands for `name`; nothing if no tool has that name.
    pub fn find(&self, name: &VertexName) -> &[Arc<dyn Tool>] {
        self.0.get(name).map(Vec::as_slice).unwrap_or_default()
    }
}

impl fmt::Debug for LoadedTools {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names =
            |tools: &[Arc<dyn Tool>]| tools.iter().map(|tool| tool.signature().name.clone()).collect();
        let entries = self.0.iter().map(|(name, tools)| (name, names(tools)));
        f.debug_map().entries(entries.collect::<Vec<(_, Vec<String>)>>()).finish()
    }
}

/// Makes the tools of a graph, so that a mistake is seen before a run: documents are checked, secrets and
/// programs found, and servers connected to, all at the same time. It needs a tokio runtime, which must
/// live as long as the tools.
///
/// # Errors
/// The first tool, in the order of `specs`, that cannot be used, and why.
pub async fn load(specs: &[ToolSpec], surroundings: &Surroundings<'_>) -> Result<LoadedTools, LoadError> {
    load_with(specs, surroundings, Arc::new(SystemLookup)).await
}

pub(crate) async fn load_with(
    specs: &[ToolSpec],
    surroundings: &Surroundings<'_>,
    lookup: Arc<dyn Lookup>,
) -> Result<LoadedTools, LoadError> {
    let clients = Clients::new(lookup);
    let loaded = specs.iter().map(|spec| one(spec, surroundings, &clients));
    let loaded = futures::future::join_all(loaded).await;
    let names = specs.iter().map(|spec| spec.name.clone());
    let tools = names.zip(loaded).map(|(name, tools)| Ok::<_, LoadError>((name, tools?)));
    Ok(LoadedTools(tools.collect::<Result<_, _>>()?))
}

async fn one(
    spec: &ToolSpec,
    surroundings: &Surroundings<'_>,
    clients: &Clients,
) -> Result<Vec<Arc<dyn Tool>>, LoadError> {
    let kind = spec.kind().ok_or_else(|| LoadError::Kind { tool: spec.name.clone() })?;
    Ok(match kind {
        ToolKind::Http(http) => vec![Arc::new(HttpTool::load(spec, http, clients, surroundings.secret)?)],
        ToolKind::Command(command) => vec![Arc::new(CommandTool::load(spec, command)?)],
        ToolKind::Mcp(server) => crate::mcp::load(spec, server, clients, surroundings.secret).await?,
        ToolKind::Custom(custom) => vec![Arc::new(Renamed::load(spec, custom, surroundings.custom)?)],
    })
}

/// A registered function under the name that a graph gives it.
struct Renamed {
    signature: ToolSignature,
    is_idempotent: bool,
    tool: Arc<dyn Tool>,
}

impl Renamed {
    fn load(
        spec: &ToolSpec,
        custom: &CustomTool,
        registered: &BTreeMap<String, Arc<dyn Tool>>,
    ) -> Result<Self, LoadError> {
        let tool = registered.get(&custom.name).ok_or_else(|| LoadError::NotRegistered {
            tool: spec.name.clone(),
            name: custom.name.clone(),
            hint: nearest(&custom.name, registered.keys().map(String::as_str)),
        })?;
        let mut signature = tool.signature().clone();
        signature.name = spec.name.to_string();
        if let Some(description) = &spec.description {
            signature.description.clone_from(description);
        }
        let is_idempotent = custom.idempotent || tool.is_idempotent();
        Ok(Self { signature, is_idempotent, tool: Arc::clone(tool) })
    }
}

impl Tool for Renamed {
    fn signature(&self) -> &ToolSignature {
        &self.signature
    }

    fn is_idempotent(&self) -> bool {
        self.is_idempotent
    }

    fn call(&self, request: ToolRequest) -> BoxFuture<'static, Result<Payload, Failure>> {
        self.tool.call(request)
    }
}

#[cfg(test)]
mod tests;
