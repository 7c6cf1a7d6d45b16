//! A connection to a server.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use reqwest::StatusCode;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, ClientCapabilities, ClientConfig, Implementation,
    ProtocolVersion, Tool as Offered,
};
use rmcp::service::{ClientInitializeError, RunningService};
use rmcp::transport::DynamicTransportError;
use rmcp::transport::streamable_http_client::{
    HttpStatusError, StreamableHttpClientTransport, StreamableHttpClientTransportConfig, StreamableHttpError,
};
use rmcp::{ClientLifecycleMode, RoleClient, ServiceError, serve_client_with_lifecycle};
use superstep_runtime::{ProcessGroup, Tail};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::sync::watch;

use super::server::Place;
use crate::client::{causes, refused};
use crate::http::Verdict;
use crate::wait::retry_after;

/// How long a process has to end by itself once its input is closed.
const FAREWELL: Duration = Duration::from_secs(2);
/// How long the last words of a process are waited for. They have an end if it is gone.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// A connection to a server. Dropping it closes it.
pub(super) struct Connection {
    service: RunningService<RoleClient, ClientConfig>,
    process: Option<Process>,
}

/// Why a call has no answer.
#[derive(Debug)]
pub(super) struct CallError {
    pub(super) reached: Reached,
    pub(super) why: String,
    /// How long the server asks to be left alone.
    pub(super) pause: Option<Duration>,
}

/// How far a call without an answer came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reached {
    /// The server did not take it up, and may at another time.
    NotSent,
    /// It may have been taken up.
    Lost,
    /// It would happen again.
    Refused,
}

impl CallError {
    fn new(reached: Reached, why: impl Into<String>) -> Self {
        Self { reached, why: why.into(), pause: None }
    }
}

impl Connection {
    /// Connects: with the newest revision that the server speaks, found by asking it, or else by the
    /// handshake of the revisions up to 2025-11-25.
    ///
    /// # Errors
    /// Why there is no connection.
    pub(super) async fn open(place: &Place) -> Result<Self, String> {
        let config = ClientConfig::new(
            ClientCapabilities::default(),
            Implementation::new("superstep", env!("CARGO_PKG_VERSION")),
        );
        let newest = ProtocolVersion::KNOWN_VERSIONS.iter().rev().cloned().collect();
        let lifecycle = ClientLifecycleMode::Auto {
            preferred_versions: newest,
            legacy_version: Some(ProtocolVersion::LATEST_WITH_INITIALIZE),
        };
        let opened = match place {
            Place::Http { url, client, secret } => {
                let mut to = StreamableHttpClientTransportConfig::with_uri(url.as_str());
                if let Some(secret) = secret {
                    to = to.auth_header(secret.reveal());
                }
                let transport = StreamableHttpClientTransport::with_client(client.clone(), to);
                let service = serve_client_with_lifecycle(config, transport, lifecycle).await;
                Self { service: service.map_err(|error| reason(&error))?, process: None }
            }
            Place::Command { argv, variables } => {
                let started = ProcessGroup::spawn(argv, variables).map_err(|error| error.to_string())?;
                let (group, pipes) = started;
                let process = Process::new(group, pipes.stderr);
                let transport = (pipes.stdout, pipes.stdin);
                match serve_client_with_lifecycle(config, transport, lifecycle).await {
                    Ok(service) => Self { service, process: Some(process) },
                    Err(error) => return Err(process.explain(reason(&error)).await),
                }
            }
        };
        let revision = opened.service.peer().peer_info().map(|peer| peer.protocol_version.to_string());
        tracing::debug!(server = %place, revision, "connected to a server of tools");
        Ok(opened)
    }

    /// Whether it is known to be lost.
    pub(super) fn is_lost(&self) -> bool {
        self.service.is_closed() || self.service.peer().is_transport_closed()
    }

    /// All tools of the server, page by page.
    ///
    /// # Errors
    /// Why they are not known.
    pub(super) async fn tools(&self) -> Result<Vec<Offered>, String> {
        self.service.peer().list_all_tools().await.map_err(|error| CallError::from(error).why)
    }

    /// Calls a tool. Dropping the future tells the server that nobody waits any more.
    ///
    /// # Errors
    /// Why there is no answer.
    pub(super) async fn call(&self, params: CallToolRequestParams) -> Result<CallToolResponse, CallError> {
        let answer = self.service.peer().call_tool_once(params).await;
        match (answer.map_err(CallError::from), &self.process) {
            (Err(error), Some(process)) if error.reached == Reached::Lost => {
                Err(CallError { why: process.explain(error.why).await, ..error })
            }
            (answer, _) => answer,
        }
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "what the library adds is told in its own words")]
fn reason(error: &ClientInitializeError) -> String {
    match error {
        ClientInitializeError::TransportError { error, .. } => transport(error).why,
        ClientInitializeError::LegacyFallbackFailed { fallback, .. } => reason(fallback),
        other => causes(other),
    }
}

impl From<ServiceError> for CallError {
    #[expect(clippy::wildcard_enum_match_arm, reason = "what the library adds is in doubt")]
    fn from(error: ServiceError) -> Self {
        match error {
            ServiceError::McpError(error) => {
                Self::new(Reached::Refused, format!("{} ({})", error.message, error.code.0))
            }
            ServiceError::TransportSend(error) => transport(&error),
            ServiceError::TransportClosed => Self::new(Reached::Lost, "the connection was lost"),
            ServiceError::UnexpectedResponse => {
                Self::new(Reached::Refused, "it answers with what is no answer to the question")
            }
            other => Self::new(Reached::Lost, causes(&other)),
        }
    }
}

/// What went wrong with a request over HTTP; over pipes nobody knows.
#[expect(clippy::wildcard_enum_match_arm, reason = "what the library adds is in doubt")]
fn transport(error: &DynamicTransportError) -> CallError {
    let Some(error) = error.error.downcast_ref::<StreamableHttpError<reqwest::Error>>() else {
        return CallError::new(Reached::Lost, causes(error.error.as_ref()));
    };
    match error {
        StreamableHttpError::Client(error) => client(error),
        StreamableHttpError::HttpStatus(status) => answered(status),
        StreamableHttpError::AuthRequired(_) | StreamableHttpError::InsufficientScope(_) => {
            CallError::new(Reached::Refused, "it wants another credential: see credentialRef")
        }
        StreamableHttpError::SessionExpired => CallError::new(Reached::NotSent, causes(error)),
        StreamableHttpError::UnexpectedServerResponse(_)
        | StreamableHttpError::ResponseBodyTooLarge { .. }
        | StreamableHttpError::UnexpectedContentType(_)
        | StreamableHttpError::Deserialize(_) => CallError::new(Reached::Refused, causes(error)),
        _ => CallError::new(Reached::Lost, causes(error)),
    }
}

/// What a status other than of success means.
fn answered(status: &HttpStatusError) -> CallError {
    let after = status.retry_after.as_deref();
    let told = after.map(|after| format!(" (to be asked again after: {after})"));
    let what = format!("it answered {}{}", status.status, told.unwrap_or_default());
    let reached = match StatusCode::from_u16(status.status).map(Verdict::of) {
        Ok(Verdict::NotNow) => Reached::NotSent,
        Ok(Verdict::BrokeDown) => Reached::Lost,
        Ok(Verdict::Refused | Verdict::Done) | Err(_) => Reached::Refused,
    };
    let pause = after.and_then(|after| retry_after(after, SystemTime::now()));
    CallError { pause, ..CallError::new(reached, what) }
}

fn client(error: &reqwest::Error) -> CallError {
    let what = causes(error);
    match error.status().map(Verdict::of) {
        _ if refused(error).is_some() => CallError::new(Reached::Refused, what),
        _ if error.is_connect() => CallError::new(Reached::NotSent, what),
        Some(Verdict::Refused | Verdict::Done) => CallError::new(Reached::Refused, what),
        Some(Verdict::NotNow) => CallError::new(Reached::NotSent, what),
        Some(Verdict::BrokeDown) | None => CallError::new(Reached::Lost, what),
    }
}

/// The process of a server. When it is dropped its input is closed already; a moment later it is ended.
struct Process {
    group: Option<ProcessGroup>,
    stderr: Arc<Mutex<Tail>>,
    /// Whether it says no more.
    silent: watch::Receiver<bool>,
}

impl Process {
    fn new(group: ProcessGroup, stderr: impl AsyncRead + Unpin + Send + 'static) -> Self {
        let tail = Arc::default();
        let (ended, silent) = watch::channel(false);
        let following = follow(stderr, Arc::clone(&tail));
        tokio::spawn(async move {
            following.await;
            ended.send_replace(true);
        });
        Self { group: Some(group), stderr: tail, silent }
    }

    /// `why` with what the process said last, which comes by another pipe and may be late. One that lives on, though the
    /// connection is lost, may have more to say, and is not waited for.
    async fn explain(&self, why: String) -> String {
        let mut silent = self.silent.clone();
        let said_all = silent.wait_for(|silent| *silent);
        if tokio::time::timeout(LAST_WORDS, said_all).await.is_err() {
            tracing::debug!("a server of tools lives on after its connection was lost");
        }
        let said = self.stderr.lock().unwrap_or_else(PoisonError::into_inner).text();
        if said.is_empty() { why } else { format!("{why}; its last words: {said}") }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let group = self.group.take();
        if let (Some(mut group), Ok(runtime)) = (group, tokio::runtime::Handle::try_current()) {
            runtime.spawn(async move {
                match tokio::time::timeout(FAREWELL, group.wait()).await {
                    Ok(Ok(status)) => tracing::debug!(%status, "a server of tools has ended"),
                    Ok(Err(error)) => tracing::warn!(%error, "a server of tools cannot be waited for"),
                    Err(_) => tracing::debug!("a server of tools is ended, as it did not end by itself"),
                }
            });
        }
    }
}

async fn follow(mut stderr: impl AsyncRead + Unpin, tail: Arc<Mutex<Tail>>) {
    let mut piece = [0; 1_024];
    loop {
        match stderr.read(&mut piece).await {
            Ok(0) => return,
            Ok(read) => {
                tracing::debug!(text = %String::from_utf8_lossy(&piece[..read]), "a server of tools says");
                tail.lock().unwrap_or_else(PoisonError::into_inner).push(&piece[..read]);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                tracing::debug!(%error, "the words of a server of tools cannot be read");
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_is_busy_says_for_how_long() {
        for (status, reached) in [(429, Reached::NotSent), (503, Reached::NotSent), (500, Reached::Lost)] {
            let found = answered(&HttpStatusError::new(status, Some("7".to_owned())));
            assert_eq!(
                (found.reached, found.pause),
                (reached, Some(Duration::from_secs(7))),
                "{}",
                found.why
            );
        }
    }
}
