//! Tools of servers of the Model Context Protocol, revisions 2026-07-28 and before.

mod answer;
mod connection;
mod server;

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use rmcp::model::{CallToolRequestParams, JsonObject, RequestMetaObject};
use serde_json::Value;
use superstep_engine::{Failure, FailureClass, Payload};
use superstep_graph::{McpTool as Document, ToolSpec};
use superstep_runtime::{Tool, ToolRequest, ToolSignature};

use crate::client::Clients;
use crate::doubt::in_doubt;
use crate::error::{LoadError, nearest};
use crate::limits::{MAX_ANSWER, timeout_of};
use crate::secret::FindSecret;
use connection::{CallError, Reached};
use server::{Place, Server};

/// The member of a request's `_meta` in which a server finds the idempotency key.
const IDEMPOTENCY_KEY: &str = "superstep.dev/idempotencyKey";

/// One tool of a server.
struct McpTool {
    server: Arc<Server>,
    signature: ToolSignature,
    timeout: Duration,
    max_answer: u64,
    is_idempotent: bool,
}

/// Connects to a server, and makes a tool of each of its tools that is allowed.
///
/// # Errors
/// The server cannot be used, or has no tool of a name that is allowed.
pub(crate) async fn load(
    spec: &ToolSpec,
    document: &Document,
    clients: &Clients,
    secret: FindSecret<'_>,
) -> Result<Vec<Arc<dyn Tool>>, LoadError> {
    let place = Place::of(spec, document, clients, secret)?;
    let name = place.to_string();
    let server = Arc::new(Server::new(place));
    let offered = server.tools().await.map_err(|message| LoadError::Server {
        tool: spec.name.clone(),
        server: name.clone(),
        message,
    })?;
    let mut tools: Vec<Arc<dyn Tool>> = Vec::new();
    for allowed in &document.allow {
        let found = offered.iter().find(|tool| tool.name == *allowed);
        let found = found.ok_or_else(|| LoadError::NotOffered {
            tool: spec.name.clone(),
            server: name.clone(),
            name: allowed.clone(),
            hint: nearest(allowed, offered.iter().map(|tool| tool.name.as_ref())),
        })?;
        let description = found.description.as_deref().or(found.title.as_deref()).unwrap_or_default();
        tools.push(Arc::new(McpTool {
            server: Arc::clone(&server),
            signature: ToolSignature {
                name: allowed.clone(),
                description: description.to_owned(),
                parameters: Arc::new(Value::Object(found.input_schema.as_ref().clone())),
            },
            timeout: timeout_of(spec),
            max_answer: document.max_response_bytes.unwrap_or(MAX_ANSWER),
            is_idempotent: document.idempotent.contains(allowed),
        }));
    }
    Ok(tools)
}

impl Tool for McpTool {
    fn signature(&self) -> &ToolSignature {
        &self.signature
    }

    fn is_idempotent(&self) -> bool {
        self.is_idempotent
    }

    fn call(&self, request: ToolRequest) -> BoxFuture<'static, Result<Payload, Failure>> {
        let call = Call {
            server: Arc::clone(&self.server),
            tool: self.signature.name.clone(),
            max_answer: self.max_answer,
            is_idempotent: self.is_idempotent,
        };
        let timeout = self.timeout;
        async move {
            match tokio::time::timeout(timeout, call.make(request)).await {
                Ok(answer) => answer,
                Err(_) => {
                    let what = format!("there was no answer in {} s", timeout.as_secs_f64());
                    Err(call.doubtful(FailureClass::Timeout, &what))
                }
            }
        }
        .boxed()
    }
}

/// One call of one tool.
struct Call {
    server: Arc<Server>,
    tool: String,
    max_answer: u64,
    is_idempotent: bool,
}

impl Call {
    async fn make(&self, request: ToolRequest) -> Result<Payload, Failure> {
        let Value::Object(arguments) = request.arguments else {
            return Err(self.fails(FailureClass::Permanent, "its arguments are no object"));
        };
        // A connection that is seen to be lost is made again before anything is sent.
        let connection = self.server.connection().await;
        let connection = connection.map_err(|why| self.fails(FailureClass::Transient, &why))?;
        let sent = connection.call(self.params(arguments, request.idempotency_key)).await;
        let response = sent.map_err(|CallError { reached, why, pause }| {
            let failure = match reached {
                Reached::NotSent => self.fails(FailureClass::Transient, &why),
                Reached::Lost => self.doubtful(FailureClass::Transient, &why),
                Reached::Refused => self.fails(FailureClass::Permanent, &why),
            };
            failure.retry_after(pause)
        })?;
        let payload = answer::payload(response).map_err(|why| self.fails(FailureClass::Permanent, &why))?;
        let text = payload.value().to_string();
        if text.len() as u64 > self.max_answer {
            let what = format!("it answered with {} bytes, more than {}", text.len(), self.max_answer);
            return Err(self.fails(FailureClass::Permanent, &what));
        }
        self.server.hide_in_answer(payload, text).map_err(|why| self.fails(FailureClass::Permanent, &why))
    }

    fn params(&self, arguments: JsonObject, idempotency_key: String) -> CallToolRequestParams {
        let mut meta = RequestMetaObject::new();
        meta.insert(IDEMPOTENCY_KEY.to_owned(), Value::String(idempotency_key));
        let mut params = CallToolRequestParams::new(self.tool.clone()).with_arguments(arguments);
        params.meta = Some(meta);
        params
    }

    fn fails(&self, class: FailureClass, what: &str) -> Failure {
        let what = self.server.hide(what.to_owned());
        Failure::new(class, format!("tool {:?} of {}: {what}", self.tool, self.server))
    }

    fn doubtful(&self, class: FailureClass, what: &str) -> Failure {
        let (class, what) = in_doubt(self.is_idempotent, class, what);
        self.fails(class, &what)
    }
}
