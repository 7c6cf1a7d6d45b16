//! Why a model cannot be fetched.

use std::io;
use std::path::{Path, PathBuf};

use reqwest::StatusCode;

/// Why a model cannot be fetched. No message has a token in it.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// There is no place to keep it.
    #[error("there is no folder to keep models in: set XDG_CACHE_HOME or HOME")]
    NoCache,
    /// The name of the hub is no address.
    #[error("HF_ENDPOINT is {endpoint:?}, which is no http or https address")]
    Endpoint {
        /// What it is.
        endpoint: String,
    },
    /// The token cannot be sent.
    #[error("HF_TOKEN has characters that no token has")]
    Token,
    /// This machine cannot ask anybody.
    #[error("no connection can be made from this machine")]
    Client {
        /// What is missing.
        source: reqwest::Error,
    },
    /// There is no thread to wait in.
    #[error("the download gets no thread")]
    Thread {
        /// What the operating system said.
        source: io::Error,
    },
    /// The file is not in the cache, and was not to be fetched.
    #[error("{file} is not on this machine: fetch it with superstep models pull {file}")]
    NotCached {
        /// The file.
        file: String,
    },
    /// The names of a file lead elsewhere.
    #[error("{file} of {repo} cannot be a file of a hub: {what}")]
    Name {
        /// The repository.
        repo: String,
        /// The file.
        file: String,
        /// What it should be.
        what: &'static str,
    },
    /// The cache cannot be used.
    #[error("cannot use {}", path.display())]
    Cache {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The hub does not answer.
    #[error("{hub} does not answer for {file}: check the network, or name another hub with HF_ENDPOINT")]
    Unreachable {
        /// The file.
        file: String,
        /// The host.
        hub: String,
        /// What went wrong.
        source: reqwest::Error,
    },
    /// The hub answers, with no file.
    #[error("{hub} answers {status} for {file}: {advice}")]
    Refused {
        /// The file.
        file: String,
        /// The host.
        hub: String,
        /// Its answer.
        status: StatusCode,
        /// What to do.
        advice: String,
    },
    /// The file came only in part.
    #[error("{file} stopped after {received} bytes{}: the same command goes on from there", of(*total))]
    Interrupted {
        /// The file.
        file: String,
        /// Bytes on this machine.
        received: u64,
        /// Bytes that it has, if the hub told.
        total: Option<u64>,
        /// What went wrong.
        source: reqwest::Error,
    },
    /// The hub has other bytes than were asked for.
    #[error("{file} has SHA-256 {found} on the hub, expected {expected}: check revision and sha256")]
    Digest {
        /// The file.
        file: String,
        /// The digest asked for, in hex.
        expected: String,
        /// The digest of what came, in hex.
        found: String,
    },
}

impl FetchError {
    /// Whether the same request may succeed a little later.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Interrupted { .. } => true,
            Self::Refused { status, .. } => {
                status.is_server_error()
                    || matches!(
                        *status,
                        StatusCode::REQUEST_TIMEOUT
                            | StatusCode::TOO_MANY_REQUESTS
                            | StatusCode::RANGE_NOT_SATISFIABLE
                    )
            }
            Self::NoCache
            | Self::Endpoint { .. }
            | Self::Token
            | Self::Client { .. }
            | Self::Thread { .. }
            | Self::NotCached { .. }
            | Self::Name { .. }
            | Self::Cache { .. }
            | Self::Digest { .. } => false,
        }
    }
}

/// The error of the cache at `path`.
pub(crate) fn cache_error(path: &Path) -> impl FnOnce(io::Error) -> FetchError {
    let path = path.to_owned();
    move |source| FetchError::Cache { path, source }
}

fn of(total: Option<u64>) -> String {
    total.map(|total| format!(" of {total}")).unwrap_or_default()
}
