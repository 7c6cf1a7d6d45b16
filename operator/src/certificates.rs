//! Certificates: the operator is the authority of its installation. It signs those of workers, whose names follow from the
//! tokens of their pods, and makes its own.

mod accounts;
mod clients;
mod root;
mod secret;
mod server;
mod service;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use futures::future::join3;
use kube::Client;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use accounts::ClusterAccounts;
use clients::Clients;
use secret::RootSecret;
use server::{Server, ServerError};
use service::Signer;

use crate::workers;

/// How certificates are signed.
#[derive(Args, Clone, Debug)]
pub(crate) struct Signing {
    /// Where workers have their certificates signed
    #[arg(
        long = "sign",
        env = "SUPERSTEP_SIGN",
        default_value = "0.0.0.0:8443",
        value_name = "ADDRESS:PORT"
    )]
    listen: SocketAddr,
    /// The Secret of the operator's namespace that has the authority; made by whoever installs the operator, and filled by it
    #[arg(long, env = "SUPERSTEP_AUTHORITY_SECRET", default_value = "superstep-ca", value_name = "NAME")]
    authority_secret: String,
    /// How long certificates of workers are valid, such as 24h, 30m or 90s; they are renewed before half of it has gone
    #[arg(
        long = "certificate-life",
        env = "SUPERSTEP_CERTIFICATE_LIFE",
        default_value = "24h",
        value_name = "DURATION",
        value_parser = duration
    )]
    life: Duration,
}

/// The certificates of an installation, as long as this is there.
pub(crate) struct Certificates {
    clients: Arc<Clients>,
    /// The authorities that are to be trusted, as PEM, once there is one.
    pub(crate) authorities: watch::Receiver<Option<Arc<str>>>,
    going_on: JoinHandle<()>,
}

impl Certificates {
    /// Begins to obtain the authority, and to sign.
    ///
    /// # Errors
    /// It cannot listen.
    pub(crate) async fn begin(
        signing: &Signing,
        client: Client,
        own_namespace: &str,
    ) -> Result<Self, ServerError> {
        let (tell_root, root) = watch::channel(None);
        let (tell_authorities, authorities) = watch::channel(None);
        let server = Server::bind(signing.listen).await?;
        let accounts = Arc::new(ClusterAccounts::new(client.clone()));
        let signer = Signer::new(root.clone(), accounts, signing.life);
        let clients = Arc::new(Clients::new(root.clone(), signing.life));
        let secret = RootSecret::new(client, own_namespace, &signing.authority_secret);
        let (keeping, life) = (Arc::clone(&clients), signing.life);
        let going_on = tokio::spawn(async move {
            let followed = secret.follow(&tell_root, &tell_authorities);
            join3(followed, server.serve(root, signer, life), keeping.keep()).await;
        });
        Ok(Self { clients, authorities, going_on })
    }

    /// Those of the operator in each namespace.
    pub(crate) fn clients(&self) -> Arc<dyn workers::Certificates> {
        Arc::clone(&self.clients) as _
    }
}

impl Drop for Certificates {
    fn drop(&mut self) {
        self.going_on.abort();
    }
}

/// A whole number and one of h, m and s.
fn duration(text: &str) -> Result<Duration, String> {
    let units = [('h', 3_600), ('m', 60), ('s', 1)];
    let found = units.iter().find_map(|(unit, seconds)| Some((text.strip_suffix(*unit)?, *seconds)));
    let parsed = found.and_then(|(number, seconds)| number.parse::<u64>().ok()?.checked_mul(seconds));
    match parsed {
        Some(seconds) if seconds > 0 => Ok(Duration::from_secs(seconds)),
        Some(_) | None => Err("a duration is a number and its unit, such as 24h, 30m or 90s".to_owned()),
    }
}
