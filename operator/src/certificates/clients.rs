//! What the operator shows to workers: a certificate in each namespace, which it makes itself.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use superstep_transport::{Credentials, CredentialsError, Held, IssueError, Security};
use tokio::sync::watch;
use tokio::time::timeout;

use super::root::Root;
use crate::control::chain;
use crate::workers::{CertificateError, Certificates};

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    /// Nothing could sign it.
    #[error("the authority of the installation is not known yet")]
    NoRoot,
    /// It cannot be made.
    #[error("the certificate of the operator cannot be made")]
    Issue(#[from] IssueError),
    /// It is of no use.
    #[error("the certificate of the operator cannot be shown")]
    Show(#[from] CredentialsError),
}

/// The certificates of the operator by namespace, in memory.
pub(crate) struct Clients {
    root: watch::Receiver<Option<Arc<Root>>>,
    life: Duration,
    made: Mutex<BTreeMap<String, (Arc<Credentials>, Held)>>,
}

impl Clients {
    pub(super) fn new(root: watch::Receiver<Option<Arc<Root>>>, life: Duration) -> Self {
        Self { root, life, made: Mutex::default() }
    }

    /// What is shown to the workers of a namespace, which is renewed for as long as [`keep`](Self::keep) goes on.
    ///
    /// # Errors
    /// There is no authority yet.
    pub(super) fn security(&self, namespace: &str) -> Result<Security, ClientError> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((credentials, _)) = made.get(namespace) {
            return Ok(Security::Mutual(Arc::clone(credentials)));
        }
        let root = self.root.borrow().clone().ok_or(ClientError::NoRoot)?;
        let (credentials, held) = Credentials::held(&root.client(namespace, self.life)?)?;
        made.insert(namespace.to_owned(), (Arc::clone(&credentials), held));
        Ok(Security::Mutual(credentials))
    }

    /// Renews them all with a third of their life, and with the authority.
    pub(super) async fn keep(&self) {
        let mut root = self.root.clone();
        loop {
            if let Ok(Err(_)) = timeout(self.life / 3, root.changed()).await {
                return;
            }
            let Some(root) = root.borrow_and_update().clone() else { continue };
            let made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
            for (namespace, (_, held)) in &*made {
                let renew =
                    || -> Result<(), ClientError> { Ok(held.replace(&root.client(namespace, self.life)?)?) };
                if let Err(error) = renew() {
                    tracing::error!(
                        namespace,
                        why = chain(&error),
                        "the operator shows the certificate before"
                    );
                }
            }
        }
    }
}

impl fmt::Debug for Clients {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Clients").field("life", &self.life).finish_non_exhaustive()
    }
}

impl Certificates for Clients {
    fn for_namespace(&self, namespace: &str) -> Result<Security, CertificateError> {
        Ok(self.security(namespace)?)
    }
}
