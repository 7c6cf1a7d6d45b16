//! Where workers have their certificates signed: TLS with a certificate of the authority, shown to everybody.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use superstep_proto::v1::certificates_server::CertificatesServer;
use superstep_transport::{
    CredentialsError, IssueError, KEEPALIVE, KEEPALIVE_ANSWER, Listener, Shown, accept_anybody,
};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::timeout;
use tonic::transport::Server as Services;

use super::root::Root;
use super::service::Signer;
use crate::control::chain;

/// The longest request: a token and the request for a certificate have a few KiB.
const REQUEST: usize = 64 << 10;
/// The most requests that one connection may have worked on at once.
const REQUESTS: usize = 8;
/// How long a request may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// It cannot listen.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address} for those who want certificates")]
pub(crate) struct ServerError {
    address: SocketAddr,
    source: io::Error,
}

/// Why it has nothing to show.
#[derive(Debug, thiserror::Error)]
enum ShowError {
    #[error("the operator's own certificate cannot be made")]
    Issue(#[from] IssueError),
    #[error("the operator's own certificate cannot be shown")]
    Show(#[from] CredentialsError),
}

/// A server that listens and serves nobody yet.
pub(super) struct Server {
    listener: Listener,
    address: SocketAddr,
}

impl Server {
    pub(super) async fn bind(address: SocketAddr) -> Result<Self, ServerError> {
        let failed = |source| ServerError { address, source };
        let listener =
            Listener::try_from(TcpListener::bind(address).await.map_err(failed)?).map_err(failed)?;
        Ok(Self { address: listener.address(), listener })
    }

    /// Where it listens.
    #[cfg(test)]
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves once there is an authority. What it shows is renewed with a third of its life, and with the authority.
    pub(super) async fn serve(
        self,
        mut root: watch::Receiver<Option<Arc<Root>>>,
        signer: Signer,
        life: Duration,
    ) {
        let show = |root: &Root| -> Result<Shown, ShowError> { Ok(Shown::new(&root.server(life)?)?) };
        let shown = loop {
            let known = root.borrow_and_update().clone();
            match known.as_deref().map(show) {
                Some(Ok(shown)) => break shown,
                Some(Err(error)) => tell(&error),
                None => {}
            }
            if root.changed().await.is_err() {
                return;
            }
        };
        let connections = accept_anybody(self.listener, &shown);
        let serving = Services::builder()
            .timeout(PATIENCE)
            .http2_keepalive_interval(Some(KEEPALIVE))
            .http2_keepalive_timeout(Some(KEEPALIVE_ANSWER))
            .concurrency_limit_per_connection(REQUESTS)
            .add_service(CertificatesServer::new(signer).max_decoding_message_size(REQUEST))
            .serve_with_incoming(connections);
        tracing::info!(address = %self.address, "certificates are signed");
        tokio::select! {
            served = serving => if let Err(error) = served {
                tracing::error!(why = chain(&error), "no certificates are signed any more");
            },
            () = renew(&shown, root, life) => {}
        }
    }
}

async fn renew(shown: &Shown, mut root: watch::Receiver<Option<Arc<Root>>>, life: Duration) {
    loop {
        // Over is also the time of an authority that was replaced.
        if let Ok(Err(_)) = timeout(life / 3, root.changed()).await {
            return;
        }
        let known = root.borrow_and_update().clone();
        let replace = |root: &Root| -> Result<(), ShowError> { Ok(shown.replace(&root.server(life)?)?) };
        if let Some(Err(error)) = known.as_deref().map(replace) {
            tell(&error);
        }
    }
}

fn tell(error: &ShowError) {
    tracing::error!(why = chain(error), "those who want certificates are shown the one before");
}
