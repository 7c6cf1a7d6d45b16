//! A server of the Model Context Protocol, as its tests and the example `mcp_server` run it.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rmcp::ErrorData;
use rmcp::ServerHandler;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, DiscoverResult, ListToolsResult,
    PaginatedRequestParams, ProtocolVersion, ServerCapabilities, ServerConfig, Tool,
};
use rmcp::service::{RequestContext, RoleServer};
use serde_json::{Value, json};

const NAMES: [&str; 9] = ["add", "greet", "fail", "refuse", "slow", "cancelled", "seen", "variables", "die"];
const PAGE: usize = 2;

/// What the server has seen, over all connections to it.
#[derive(Clone, Default)]
pub(crate) struct Server {
    /// Whether it knows nothing newer than 2025-11-25.
    pub(crate) is_old: bool,
    /// How many calls were cancelled.
    pub(crate) cancelled: Arc<AtomicU32>,
}

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
    }

    fn supported_protocol_versions(&self) -> Cow<'static, [ProtocolVersion]> {
        let newest = if self.is_old { ProtocolVersion::V_2025_11_25 } else { ProtocolVersion::V_2026_07_28 };
        ProtocolVersion::known_up_to(&newest).to_vec().into()
    }

    async fn discover(&self, _: RequestContext<RoleServer>) -> Result<DiscoverResult, ErrorData> {
        if self.is_old {
            let message = "Method not found: server/discover";
            return Err(ErrorData::new(rmcp::model::ErrorCode::METHOD_NOT_FOUND, message, None));
        }
        Ok(DiscoverResult::from_server_info(self.supported_protocol_versions().into_owned(), self.get_info()))
    }

    async fn list_tools(
        &self,
        page: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let cursor = page.and_then(|page| page.cursor).map_or(Ok(0), |cursor| cursor.parse());
        let cursor: usize =
            cursor.map_err(|_| ErrorData::invalid_params("this is no cursor of mine", None))?;
        let page = NAMES.iter().skip(cursor).take(PAGE);
        let mut list = ListToolsResult::with_all_items(page.map(|name| described(name)).collect());
        if cursor + PAGE < NAMES.len() {
            list.next_cursor = Some((cursor + PAGE).to_string());
        }
        Ok(list)
    }

    async fn call_tool(
        &self,
        call: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let arguments = Value::Object(call.arguments.unwrap_or_default());
        let text = |text: String| CallToolResult::success(vec![ContentBlock::text(text)]);
        let result = match call.name.as_ref() {
            "add" => {
                let sum = arguments["a"].as_i64().unwrap_or(0) + arguments["b"].as_i64().unwrap_or(0);
                CallToolResult::structured(json!({ "sum": sum }))
            }
            "greet" => text(format!("hello {}", arguments["name"].as_str().unwrap_or_default())),
            "fail" => CallToolResult::error(vec![ContentBlock::text("the tea is cold")]),
            "slow" => {
                tokio::select! {
                    () = context.ct.cancelled() => { self.cancelled.fetch_add(1, Ordering::SeqCst); }
                    () = tokio::time::sleep(Duration::from_secs(60)) => {}
                }
                text("at last".to_owned())
            }
            "cancelled" => CallToolResult::structured(json!(self.cancelled.load(Ordering::SeqCst))),
            "seen" => CallToolResult::structured(seen(&context)),
            "variables" => {
                let mut names: Vec<String> = std::env::vars().map(|(name, _)| name).collect();
                names.sort();
                CallToolResult::structured(json!(names))
            }
            "die" => {
                eprintln!("I am dying");
                std::process::exit(3);
            }
            _ => return Err(ErrorData::invalid_params("there is no tea", None)),
        };
        Ok(result.into())
    }
}

fn described(name: &'static str) -> Tool {
    let Value::Object(schema) = json!({"type": "object", "properties": {"name": {"type": "string"}}}) else {
        unreachable!("this is an object")
    };
    Tool::new(name, format!("What {name} does."), schema)
}

/// What came with a request: its key, its revision, and over HTTP who sent it.
fn seen(context: &RequestContext<RoleServer>) -> Value {
    let parts = context.extensions.get::<axum::http::request::Parts>();
    let authorization = parts.and_then(|parts| parts.headers.get("authorization"));
    let peer = context.peer.peer_info().map(|peer| peer.protocol_version.to_string());
    json!({
        "key": context.meta.get("superstep.dev/idempotencyKey"),
        "revision": context.meta.protocol_version().map(|version| version.to_string()).or(peer),
        "authorization": authorization.map(|value| String::from_utf8_lossy(value.as_bytes())),
    })
}
