//! The command `serve`: a model, served until a signal comes.

use std::io;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use superstep_api::{Diagnostic, HuggingFaceSource, ModelServer};
use superstep_engine::Failure;
use superstep_provision::{HubFile, ModelError, Quiet, Served, load_server, read_files};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::arguments::ServeArguments;
use crate::offered::Offered;
use crate::server::{Server, Settings};

/// Requests to a model elsewhere, or to a script, that are worked on at the same time.
const ELSEWHERE: usize = 256;
/// So long a server goes on taking connections after a signal: who routes to it has to hear of it.
const NOTICE: Duration = Duration::from_secs(1);

/// Why a model is not served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The files have mistakes.
    #[error("the files have mistakes")]
    Mistakes(Vec<Diagnostic>),
    /// The files have no such `ModelServer`.
    #[error("the files have no ModelServer{}", .0.as_ref().map(|name| format!(" {name:?}")).unwrap_or_default())]
    NoServer(Option<String>),
    /// The files have several.
    #[error("the files have several ModelServers: choose one with --name NAME: {}", .0.join(", "))]
    SeveralServers(Vec<String>),
    /// The arguments describe no model.
    #[error("--model cannot be served: {0}")]
    Arguments(#[source] serde_json::Error),
    /// It cannot listen.
    #[error("cannot listen to {address}")]
    Listen {
        /// Where.
        address: std::net::SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// Signals cannot be heard.
    #[error("cannot hear signals")]
    Signals(#[source] io::Error),
    /// The model cannot be loaded.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The thread that loads the model broke off.
    #[error("loading the model broke off")]
    Broken(#[source] tokio::task::JoinError),
    /// The model makes no token.
    #[error("the model has made no first token: {0}")]
    Trial(Failure),
}

impl ServeError {
    /// Whether the arguments or files are wrong.
    pub fn is_invalid(&self) -> bool {
        match self {
            Self::Mistakes(_) | Self::NoServer(_) | Self::SeveralServers(_) | Self::Arguments(_) => true,
            Self::Listen { .. } | Self::Signals(_) | Self::Model(_) | Self::Broken(_) | Self::Trial(_) => {
                false
            }
        }
    }
}

/// Serves a model until a signal comes, and answers what was asked until then. A second signal ends it at once. `tell`
/// is told what a user wants to hear.
///
/// # Errors
/// The model cannot be served.
pub async fn serve(arguments: ServeArguments, tell: &(dyn Fn(&str) + Sync)) -> Result<(), ServeError> {
    let document = document(&arguments)?;
    let mut signals = Signals::watch().map_err(ServeError::Signals)?;
    let ServeArguments { listen, queue, drain, .. } = arguments;
    let bound = Server::bind(Settings { listen, queue }).await;
    let server = bound.map_err(|source| ServeError::Listen { address: listen, source })?;
    let (address, name) = (server.address(), document.metadata.name.clone());
    tell(&format!("loading model {name:?}; http://{address} tells whether it is ready"));
    tokio::select! {
        opened = open(&server, document) => opened?,
        () = signals.come() => return Ok(()),
    }
    tell(&format!("model {name:?} is served at http://{address}/v1"));
    signals.come().await;
    tell("ending, once what was asked is answered; a second signal ends it at once");
    server.retire();
    tokio::select! {
        () = finish(server, drain.duration()) => {}
        () = signals.come() => {}
    }
    Ok(())
}

async fn open(server: &Server, document: ModelServer) -> Result<(), ServeError> {
    let names = names(&document);
    let loaded = tokio::task::spawn_blocking(move || load_server(&document, &Quiet)).await;
    let Served { writing, embedding, ranking, concurrent } = loaded.map_err(ServeError::Broken)??;
    let offered = Offered {
        names,
        model: writing,
        embedder: embedding,
        reranker: ranking,
        concurrent: concurrent.unwrap_or(ELSEWHERE),
        is_local: concurrent.is_some(),
    };
    server.open(offered).await.map_err(ServeError::Trial)
}

/// The names by which clients may ask for the model.
fn names(document: &ModelServer) -> Vec<String> {
    let resource = document.metadata.name.clone();
    let served = document.spec.model.as_ref().map(|model| model.name.clone());
    let served = served.filter(|name| !name.is_empty() && *name != resource);
    served.into_iter().chain([resource]).collect()
}

async fn finish(server: Server, most: Duration) {
    tokio::time::sleep(NOTICE.min(most)).await;
    if !server.close(most.saturating_sub(NOTICE)).await {
        tracing::warn!("requests were left unanswered");
    }
}

/// What is to be served.
fn document(arguments: &ServeArguments) -> Result<ModelServer, ServeError> {
    if let Some(model) = &arguments.model {
        return of_model(model, arguments).map_err(ServeError::Arguments);
    }
    let read = read_files(&arguments.files, &mut io::stdin(), &|name| std::env::var(name).ok());
    let (mistakes, doubts): (Vec<Diagnostic>, Vec<Diagnostic>) =
        read.diagnostics.into_iter().partition(Diagnostic::is_error);
    if !mistakes.is_empty() {
        return Err(ServeError::Mistakes(mistakes));
    }
    doubts.iter().for_each(|doubt| tracing::warn!("{doubt}"));
    let mut servers = read.resources.model_servers;
    match &arguments.name {
        Some(name) => servers.remove(name).ok_or_else(|| ServeError::NoServer(Some(name.clone()))),
        None if servers.len() > 1 => Err(ServeError::SeveralServers(servers.into_keys().collect())),
        None => servers.into_values().next().ok_or(ServeError::NoServer(None)),
    }
    .map(|server| server.content)
}

/// The document of a model that has none.
fn of_model(model: &str, arguments: &ServeArguments) -> Result<ModelServer, serde_json::Error> {
    let source = match HubFile::parse(model) {
        Some(file) => json!({"huggingFace": HuggingFaceSource::from(file)}),
        None => json!({"file": {"path": model}}),
    };
    let stem = Path::new(model).file_stem().map(|stem| stem.to_string_lossy().into_owned());
    let name = arguments.name.clone().or(stem).unwrap_or_else(|| model.to_owned());
    let mut candle = json!({});
    let size = |number: Option<u32>| number.map_or(Value::Null, Value::from);
    candle["contextLength"] = size(arguments.context_length);
    candle["maxConcurrentRequests"] = size(arguments.max_concurrent_requests);
    candle["adapters"] = json!(arguments.adapters);
    serde_json::from_value(json!({
        "apiVersion": "superstep.dev/v1alpha1",
        "kind": "ModelServer",
        "metadata": {"name": name},
        "spec": {
            "model": {"name": name, "sources": [source], "sha256": arguments.sha256},
            "engine": {"candle": candle},
        },
    }))
}

/// Signals that have come since it was made, or come.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn watch() -> io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn come(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
