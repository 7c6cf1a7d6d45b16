//! The Secret in which the authority of an installation lies.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use serde_json::json;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::root::{Root, RootError};
use crate::control::chain;
use crate::names::MANAGER;

/// The certificate of the authority that signs.
const CERTIFICATE: &str = "tls.crt";
/// Its key.
const KEY: &str = "tls.key";
/// Authorities that are trusted beside it, while one is replaced by another.
const TRUSTED: &str = "ca.crt";
/// How often the Secret is looked at.
const LOOK: Duration = Duration::from_secs(60);
/// How long the API server may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long it is left alone at first, and at last, while there is no authority.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// Where the authority is.
pub(super) struct RootSecret {
    api: Api<Secret>,
    namespace: String,
    name: String,
}

/// Why the authority cannot be had at the moment.
#[derive(Debug, thiserror::Error)]
pub(super) enum SecretError {
    /// Whoever installs the operator has not made it.
    #[error(
        "there is no Secret \"{name}\" in namespace \"{namespace}\": whoever installs the operator makes it, empty"
    )]
    Missing {
        /// Where.
        namespace: String,
        /// Its name.
        name: String,
    },
    /// The API server does not do it.
    #[error("cannot {what} Secret \"{name}\" of namespace \"{namespace}\"")]
    Cluster {
        /// What was tried.
        what: &'static str,
        /// Where.
        namespace: String,
        /// Its name.
        name: String,
        /// Why.
        source: Box<kube::Error>,
    },
    /// It does not answer.
    #[error("the API server does not answer")]
    Silent,
    /// What it holds is of no use.
    #[error("Secret \"{name}\" of namespace \"{namespace}\" cannot be used")]
    Useless {
        /// Where.
        namespace: String,
        /// Its name.
        name: String,
        /// Why.
        source: RootError,
    },
}

impl RootSecret {
    pub(super) fn new(client: Client, namespace: &str, name: &str) -> Self {
        let api = Api::namespaced(client, namespace);
        Self { api, namespace: namespace.to_owned(), name: name.to_owned() }
    }

    /// Obtains the authority, and tells of it whenever it changes.
    pub(super) async fn follow(
        &self,
        root: &watch::Sender<Option<Arc<Root>>>,
        authorities: &watch::Sender<Option<Arc<str>>>,
    ) {
        let mut pause = PAUSES.0;
        let mut warned = String::new();
        let mut known = None;
        loop {
            match self.obtain().await {
                Ok(found) => {
                    let says = (found.pair().1, Arc::clone(found.trusted()));
                    if known.as_ref() != Some(&says) {
                        tracing::info!("the authority of the installation is known");
                        authorities.send_replace(Some(Arc::clone(found.trusted())));
                        root.send_replace(Some(Arc::new(found)));
                        known = Some(says);
                    }
                    warned.clear();
                }
                Err(error) => {
                    let why = chain(&error);
                    if why != warned {
                        tracing::warn!(%why, "the authority of the installation cannot be had");
                        warned = why;
                    }
                }
            }
            let wait = if known.is_some() { LOOK } else { pause };
            pause = (pause * 2).min(PAUSES.1);
            sleep(wait).await;
        }
    }

    /// The authority that the Secret has. If it has none, one is made; of several operators who do so, one has made it.
    ///
    /// # Errors
    /// The Secret is not there, cannot be read or written, or holds something else.
    pub(super) async fn obtain(&self) -> Result<Root, SecretError> {
        loop {
            let found = self.ask("read", self.api.get_opt(&self.name)).await?;
            let Some(secret) = found else {
                return Err(SecretError::Missing {
                    namespace: self.namespace.clone(),
                    name: self.name.clone(),
                });
            };
            if let Some(root) = root_of(&secret) {
                return root.map_err(|source| self.useless(source));
            }
            let made = Root::make().map_err(|source| self.useless(source))?;
            if self.fill(&secret, &made).await? {
                tracing::info!("the authority of the installation is made");
                return Ok(made);
            }
        }
    }

    /// Writes an authority into the Secret, if that is still as it was read; whether it was.
    async fn fill(&self, secret: &Secret, made: &Root) -> Result<bool, SecretError> {
        let (certificate, key) = made.pair();
        let bytes = |text: &str| ByteString(text.as_bytes().to_vec());
        let change = json!({
            "metadata": {"resourceVersion": secret.metadata.resource_version},
            "data": {CERTIFICATE: bytes(certificate), KEY: bytes(&key), TRUSTED: bytes(made.trusted())},
        });
        let how = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
        match self.ask("fill", self.api.patch(&self.name, &how, &Patch::Merge(change))).await {
            Ok(_) => Ok(true),
            Err(SecretError::Cluster { source, .. }) if is_conflict(&source) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn useless(&self, source: RootError) -> SecretError {
        SecretError::Useless { namespace: self.namespace.clone(), name: self.name.clone(), source }
    }

    async fn ask<T>(
        &self,
        what: &'static str,
        request: impl Future<Output = kube::Result<T>>,
    ) -> Result<T, SecretError> {
        match timeout(PATIENCE, request).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(source)) => {
                let (namespace, name) = (self.namespace.clone(), self.name.clone());
                Err(SecretError::Cluster { what, namespace, name, source: Box::new(source) })
            }
            Err(_) => Err(SecretError::Silent),
        }
    }
}

fn is_conflict(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 409)
}

/// What a Secret holds; none if it is empty.
fn root_of(secret: &Secret) -> Option<Result<Root, RootError>> {
    let text = |key: &str| {
        let bytes = secret.data.as_ref()?.get(key).filter(|bytes| !bytes.0.is_empty())?;
        Some(String::from_utf8_lossy(&bytes.0).into_owned())
    };
    let key = text(KEY)?;
    Some(Root::of(&text(CERTIFICATE).unwrap_or_default(), &key, &text(TRUSTED).unwrap_or_default()))
}
