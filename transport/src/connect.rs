//! Reaching a worker, and making sure that it is one of those that are wanted.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, TlsStream};
use tonic::transport::Uri;
use tower_service::Service;

use crate::accept::certified;
use crate::connection::Connection;
use crate::credentials::Credentials;
use crate::identity::{Identity, Name};
use crate::verify::words;

/// Which workers are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// Those of this namespace.
    pub namespace: Name,
    /// Only those of this graph.
    pub graph: Option<Name>,
}

impl Expected {
    /// The workers of the same group, or those of a client's namespace.
    #[must_use]
    pub fn by(identity: &Identity) -> Self {
        match identity {
            Identity::Worker { group, .. } => {
                Self { namespace: group.namespace.clone(), graph: Some(group.graph.clone()) }
            }
            Identity::Client { namespace, .. } => Self { namespace: namespace.clone(), graph: None },
        }
    }

    pub(crate) fn check(&self, identity: &Identity) -> Result<(), Unexpected> {
        match identity {
            Identity::Worker { group, .. }
                if group.namespace == self.namespace
                    && self.graph.as_ref().is_none_or(|graph| *graph == group.graph) =>
            {
                Ok(())
            }
            Identity::Worker { .. } | Identity::Client { .. } => {
                Err(Unexpected { identity: identity.clone(), expected: self.clone() })
            }
        }
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(graph) = &self.graph {
            write!(formatter, "graph {graph} in ")?;
        }
        write!(formatter, "namespace {}", self.namespace)
    }
}

/// The one who was reached is another.
#[derive(Debug, thiserror::Error)]
#[error("it is {identity}, and not a worker of {expected}")]
pub(crate) struct Unexpected {
    identity: Identity,
    expected: Expected,
}

/// Why a worker was not reached. Whoever shows only this shows all of it.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The address has no host.
    #[error("{uri} has no host")]
    NoHost {
        /// The address.
        uri: Uri,
    },
    /// Nobody listens there.
    #[error("cannot connect to {uri}: {why}")]
    Tcp {
        /// The address.
        uri: Uri,
        /// Why.
        why: io::Error,
    },
    /// TLS has failed: who is there is not accepted, or does not accept who calls.
    #[error("one of both sides is not trusted at {uri}: {why}")]
    Tls {
        /// The address.
        uri: Uri,
        /// Why.
        why: String,
    },
}

/// Makes connections for tonic.
#[derive(Clone)]
pub struct Connector {
    credentials: Arc<Credentials>,
    expected: Expected,
}

impl Connector {
    /// Connections to workers that are expected, by whoever has these credentials.
    #[must_use]
    pub fn new(credentials: Arc<Credentials>, expected: Expected) -> Self {
        Self { credentials, expected }
    }

    /// Connects, and waits until the worker has said something: before that it may still refuse.
    ///
    /// # Errors
    /// Nobody is there, it is another, or it refuses.
    pub async fn connect(&self, uri: &Uri) -> Result<Connection, ConnectError> {
        let (host, port) = host_of(uri)?;
        let failed = |why| ConnectError::Tcp { uri: uri.clone(), why };
        let tcp = TcpStream::connect((host, port)).await.map_err(failed)?;
        tcp.set_nodelay(true).map_err(failed)?;
        let broken = |why: String| ConnectError::Tls { uri: uri.clone(), why };
        let config = self.credentials.now().client(self.expected.clone());
        let config = config.map_err(|error| broken(words(&error)))?;
        let name = ServerName::try_from(host.to_owned()).map_err(|error| broken(error.to_string()))?;
        let connector = TlsConnector::from(Arc::new(config));
        let stream = connector.connect(name, tcp).await.map_err(|error| broken(why(&error)))?;
        let mut stream = TlsStream::Client(stream);
        // A client has shown its certificate before the server has judged it. A server of HTTP/2 speaks first.
        let mut first = vec![0; 64];
        let count = stream.read(&mut first).await.map_err(|error| broken(why(&error)))?;
        first.truncate(count);
        let certified = certified(&stream).filter(|_| count > 0);
        let certified = certified.ok_or_else(|| broken("the connection was closed at once".to_owned()))?;
        Ok(Connection::encrypted(stream, certified, first))
    }
}

/// The host of a URI, without the brackets of an address, and its port.
pub(crate) fn host_of(uri: &Uri) -> Result<(&str, u16), ConnectError> {
    let host = uri.host().ok_or_else(|| ConnectError::NoHost { uri: uri.clone() })?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    Ok((host, uri.port_u16().unwrap_or(443)))
}

pub(crate) fn why(error: &io::Error) -> String {
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref::<rustls::Error>());
    cause.map_or_else(|| error.to_string(), words)
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Connection>;
    type Error = ConnectError;
    type Future = BoxFuture<'static, Result<Self::Response, ConnectError>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connector = self.clone();
        async move { connector.connect(&uri).await.map(TokioIo::new) }.boxed()
    }
}
