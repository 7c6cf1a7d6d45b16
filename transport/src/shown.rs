//! What a server shows that everybody may ask.

use std::sync::Arc;

use rustls::ServerConfig;
use tokio::sync::watch;

#[cfg(feature = "request")]
use crate::{CredentialsError, Issued};

/// The certificate of a server by its name, which those who come are shown until it is replaced.
#[derive(Debug)]
pub struct Shown(watch::Sender<Arc<ServerConfig>>);

impl Shown {
    pub(crate) fn follow(&self) -> watch::Receiver<Arc<ServerConfig>> {
        self.0.subscribe()
    }
}

#[cfg(feature = "request")]
impl Shown {
    /// One that was issued to a server.
    ///
    /// # Errors
    /// It cannot be used.
    pub fn new(issued: &Issued) -> Result<Self, CredentialsError> {
        Ok(Self(watch::channel(config(issued)?).0))
    }

    /// Whoever comes after this is shown another one.
    ///
    /// # Errors
    /// It cannot be used. The one before it is shown on.
    pub fn replace(&self, issued: &Issued) -> Result<(), CredentialsError> {
        self.0.send_replace(config(issued)?);
        Ok(())
    }
}

#[cfg(feature = "request")]
fn config(issued: &Issued) -> Result<Arc<ServerConfig>, CredentialsError> {
    crate::material::server_for_anybody(&issued.files(), std::path::Path::new("")).map(Arc::new)
}
