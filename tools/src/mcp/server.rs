//! A server: where it is, and the connection to it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, Url};
use rmcp::model::Tool as Offered;
use serde_json::Value;
use superstep_engine::Payload;
use superstep_graph::{McpTool as Document, ToolSpec};
use superstep_runtime::inherited_variables;
use tokio::sync::Mutex;

use super::connection::Connection;
use crate::address::Reach;
use crate::client::{Clients, check_literal};
use crate::error::LoadError;
use crate::secret::{FindSecret, Secret};

/// The longest that connecting, or telling its tools, may take a server: one that is a command may have
/// to fetch itself first.
const CONNECT: Duration = Duration::from_secs(60);

/// Where a server is.
#[derive(Debug)]
pub(super) enum Place {
    /// At an address, spoken to by streamable HTTP.
    Http { url: Url, client: Client, secret: Option<Secret> },
    /// In a process that is started for it.
    Command { argv: Vec<String>, variables: Vec<(String, std::ffi::OsString)> },
}

/// Shows what people know it by.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http { url, .. } => write!(f, "{:?}", url.host_str().unwrap_or_default()),
            Self::Command { argv, .. } => write!(f, "{:?}", argv.join(" ")),
        }
    }
}

impl Place {
    /// The place of a document. The author of a graph alone says where a server is, no argument reaches
    /// its address, and in a cluster it is a private one: only those of the link are refused.
    pub(super) fn of(
        spec: &ToolSpec,
        document: &Document,
        clients: &Clients,
        secret: FindSecret<'_>,
    ) -> Result<Self, LoadError> {
        let field = |field: &str, message: String| LoadError::Field {
            tool: spec.name.clone(),
            field: format!("mcp.{field}"),
            message,
        };
        match (&document.url, document.argv.as_slice()) {
            (Some(url), []) => {
                let url = address(url).map_err(|message| field("url", message))?;
                let reach = Reach::BeyondLink;
                check_literal(&url, reach).map_err(|error| field("url", error.to_string()))?;
                let credential = document.credential_ref.as_ref();
                let found = credential.map(|credential| Secret::find(&spec.name, credential, secret));
                Ok(Self::Http { url, client: clients.of(reach)?, secret: found.transpose()? })
            }
            (None, argv @ [_, ..]) => {
                if document.credential_ref.is_some() {
                    let message = "a command gets its secrets by environment".to_owned();
                    return Err(field("credentialRef", message));
                }
                let variables = inherited_variables(&document.environment);
                Ok(Self::Command { argv: argv.to_vec(), variables })
            }
            (None, []) | (Some(_), [_, ..]) => Err(LoadError::Field {
                tool: spec.name.clone(),
                field: "mcp".to_owned(),
                message: "give exactly one of url, argv".to_owned(),
            }),
        }
    }
}

fn address(url: &str) -> Result<Url, String> {
    let url: Url = url.parse().map_err(|error| format!("{url:?} is no address: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!("its scheme is {}, not http or https", url.scheme()));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("it holds a user or a password: use credentialRef".to_owned());
    }
    Ok(url)
}

/// A server, connected to when it is needed and again when the connection was lost.
pub(super) struct Server {
    place: Place,
    current: Mutex<Option<Arc<Connection>>>,
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.place.fmt(f)
    }
}

impl Server {
    pub(super) fn new(place: Place) -> Self {
        Self { place, current: Mutex::new(None) }
    }

    /// A connection that is not known to be lost.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) async fn connection(&self) -> Result<Arc<Connection>, String> {
        let mut current = self.current.lock().await;
        if let Some(connection) = current.as_ref().filter(|connection| !connection.is_lost()) {
            return Ok(Arc::clone(connection));
        }
        // What is lost is let go first: a process that lives on gets its farewell.
        *current = None;
        let opened = tokio::time::timeout(CONNECT, Connection::open(&self.place)).await;
        let opened = opened.unwrap_or_else(|_| Err(slow("connect")))?;
        Ok(Arc::clone(current.insert(Arc::new(opened))))
    }

    /// All tools that it has.
    ///
    /// # Errors
    /// Why they are not known.
    pub(super) async fn tools(&self) -> Result<Vec<Offered>, String> {
        let listed = async { self.connection().await?.tools().await };
        let listed =
            tokio::time::timeout(CONNECT, listed).await.unwrap_or_else(|_| Err(slow("tell its tools")));
        listed.map_err(|why| self.hide(why))
    }

    /// `text` without the secret.
    pub(super) fn hide(&self, text: String) -> String {
        match &self.place {
            Place::Http { secret: Some(secret), .. } => secret.hide_in(text),
            Place::Http { secret: None, .. } | Place::Command { .. } => text,
        }
    }

    /// `answer`, whose JSON is `text`, without the secret.
    ///
    /// # Errors
    /// The secret is part of the JSON itself.
    pub(super) fn hide_in_answer(&self, answer: Payload, text: String) -> Result<Payload, String> {
        let hidden = self.hide(text.clone());
        if hidden == text {
            return Ok(answer);
        }
        let read = serde_json::from_str::<Value>(&hidden).map(Payload::from);
        read.map_err(|_| "it answered with its own credential".to_owned())
    }
}

fn slow(what: &str) -> String {
    format!("it took longer than {} s to {what}", CONNECT.as_secs())
}
