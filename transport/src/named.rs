//! Servers that show everybody a certificate of their name, as they of the web do: where those ask who have none yet.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use hyper_util::rt::TokioIo;
use rustls::client::Resumption;
use rustls::pki_types::{InvalidDnsNameError, ServerName};
use rustls::version::TLS13;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, TlsStream};
use tonic::transport::{Channel, Uri};
use tower_service::Service;

use crate::channel::{AddressError, encrypted};
use crate::connect::{ConnectError, host_of, why};
use crate::connection::Connection;
use crate::credentials::with_causes;
use crate::files::CredentialsError;
use crate::limits::{CONNECT, FILE};
use crate::material::{HTTP2, roots};
use crate::verify::{provider, words};

/// A channel to a server that shows a certificate of this name by one of the authorities in a file, whatever its address is.
/// The file is read for each connection. Who calls shows nothing.
///
/// # Errors
/// The address is none, or not encrypted, or the name is none.
pub fn channel_to_named(
    address: &str,
    name: &str,
    authorities: impl Into<PathBuf>,
) -> Result<Channel, AddressError> {
    let invalid = |_: InvalidDnsNameError| AddressError::Name { name: name.to_owned() };
    let name = ServerName::try_from(name.to_owned()).map_err(invalid)?;
    let connector = NamedConnector { name, authorities: authorities.into().into() };
    let endpoint = encrypted(address)?.connect_timeout(CONNECT).tcp_nodelay(true);
    Ok(endpoint.connect_with_connector_lazy(connector))
}

#[derive(Clone)]
struct NamedConnector {
    name: ServerName<'static>,
    authorities: Arc<Path>,
}

impl NamedConnector {
    async fn connect(&self, uri: &Uri) -> Result<Connection, ConnectError> {
        let broken = |why: String| ConnectError::Tls { uri: uri.clone(), why };
        let path = Arc::clone(&self.authorities);
        let trusted = tokio::task::spawn_blocking(move || authorities(&path));
        let trusted = trusted.await.expect("reading a file does not panic");
        let config = client(trusted.map_err(|error| broken(with_causes(&error)))?);
        let config = config.map_err(|error| broken(words(&error)))?;
        let failed = |why| ConnectError::Tcp { uri: uri.clone(), why };
        let tcp = TcpStream::connect(host_of(uri)?).await.map_err(failed)?;
        tcp.set_nodelay(true).map_err(failed)?;
        let connector = TlsConnector::from(Arc::new(config));
        let stream = connector.connect(self.name.clone(), tcp).await.map_err(|error| broken(why(&error)))?;
        Ok(Connection::unnamed(TlsStream::Client(stream)))
    }
}

fn authorities(path: &Path) -> Result<RootCertStore, CredentialsError> {
    let read = |source| CredentialsError::Read { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(FILE).read_to_end(&mut bytes)).map_err(read)?;
    roots(&bytes, path)
}

fn client(trusted: RootCertStore) -> Result<ClientConfig, rustls::Error> {
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])?
        .with_root_certificates(trusted)
        .with_no_client_auth();
    config.alpn_protocols = vec![HTTP2.to_vec()];
    config.resumption = Resumption::disabled();
    Ok(config)
}

impl Service<Uri> for NamedConnector {
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
