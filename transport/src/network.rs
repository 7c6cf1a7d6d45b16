//! Networks other than that of the machine.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::future::{BoxFuture, FutureExt as _};
use futures::stream::{BoxStream, StreamExt as _};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tonic::transport::Uri;
use tower_service::Service;

use crate::connect::ConnectError;
use crate::connection::Connection;
use crate::security::Security;

/// A connection that a [`Network`] has made.
pub trait Link: AsyncRead + AsyncWrite + fmt::Debug + Send + Sync + Unpin {}

impl<T: AsyncRead + AsyncWrite + fmt::Debug + Send + Sync + Unpin> Link for T {}

/// What comes to a place of a [`Network`], with where it comes from.
pub type Arrivals = BoxStream<'static, io::Result<(Box<dyn Link>, SocketAddr)>>;

/// A network that whoever starts a process has made and keeps others from: one that loses, holds and cuts as a test
/// wants it.
pub trait Network: Send + Sync {
    /// Connects to a place.
    fn connect(&self, host: String, port: u16) -> BoxFuture<'static, io::Result<Box<dyn Link>>>;

    /// Listens at a place; where that is.
    fn listen(&self, at: SocketAddr) -> BoxFuture<'static, io::Result<(SocketAddr, Arrivals)>>;
}

/// Where connections come to.
pub struct Listener {
    pub(crate) at: SocketAddr,
    pub(crate) kind: Kind,
}

pub(crate) enum Kind {
    Machine(TcpListener),
    Within(Arrivals),
}

/// Someone who has come, and from where.
pub(crate) enum Arrived {
    Machine(TcpStream, SocketAddr),
    Within(Box<dyn Link>, SocketAddr),
}

impl Listener {
    /// Listens, on the network that `security` is for.
    ///
    /// # Errors
    /// It is not possible there.
    pub async fn bind(at: SocketAddr, security: &Security) -> io::Result<Self> {
        match security {
            Security::Plaintext | Security::Mutual(_) => TcpListener::bind(at).await?.try_into(),
            Security::Within(network) => {
                let (at, arrivals) = network.listen(at).await?;
                Ok(Self { at, kind: Kind::Within(arrivals) })
            }
        }
    }

    /// Where.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.at
    }

    pub(crate) async fn accept(&mut self) -> io::Result<Arrived> {
        match &mut self.kind {
            Kind::Machine(listener) => {
                let (stream, address) = listener.accept().await?;
                Ok(Arrived::Machine(stream, address))
            }
            Kind::Within(arrivals) => match arrivals.next().await {
                Some(arrived) => arrived.map(|(link, address)| Arrived::Within(link, address)),
                None => std::future::pending().await,
            },
        }
    }
}

impl TryFrom<TcpListener> for Listener {
    type Error = io::Error;

    fn try_from(listener: TcpListener) -> io::Result<Self> {
        Ok(Self { at: listener.local_addr()?, kind: Kind::Machine(listener) })
    }
}

/// Makes connections on a network, for tonic.
#[derive(Clone)]
pub(crate) struct Within(pub(crate) Arc<dyn Network>);

impl Service<Uri> for Within {
    type Response = TokioIo<Connection>;
    type Error = ConnectError;
    type Future = BoxFuture<'static, Result<Self::Response, ConnectError>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let network = Arc::clone(&self.0);
        async move {
            let Some(host) = uri.host() else { return Err(ConnectError::NoHost { uri }) };
            let link = network.connect(host.to_owned(), uri.port_u16().unwrap_or(80)).await;
            let link = link.map_err(|why| ConnectError::Tcp { uri, why })?;
            Ok(TokioIo::new(Connection::within(link, None)))
        }
        .boxed()
    }
}
