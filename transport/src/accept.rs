//! Taking connections: each shows who it is beside the others, within bounds.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::{TlsAcceptor, TlsStream};
use tokio_stream::wrappers::ReceiverStream;

use crate::caller::Certified;
use crate::connection::Connection;
use crate::limits::{HANDSHAKE, HANDSHAKES, WAITING};
use crate::network::{Arrived, Listener};
use crate::refusals::{Refusal, Refusals};
use crate::security::Security;
use crate::shown::Shown;
use crate::verify::{refusal, words};

/// How long nothing is accepted after the system could not: it may have no more files to give.
const PAUSE: Duration = Duration::from_millis(100);

/// The connections that come to a listener, each when it is known who it is. Nothing is accepted any more when the
/// stream is dropped.
pub fn accept(listener: Listener, security: Security) -> ReceiverStream<io::Result<Connection>> {
    let (ready, connections) = mpsc::channel(WAITING);
    let refusals = security.refusals();
    let doors = Doors::For(security);
    tokio::spawn(Accepting { doors, refusals, ready, handshakes: JoinSet::new() }.go_on(listener));
    ReceiverStream::new(connections)
}

/// The connections of whoever comes to a listener, who is shown a certificate and shows none.
pub fn accept_anybody(listener: Listener, shown: &Shown) -> ReceiverStream<io::Result<Connection>> {
    let (ready, connections) = mpsc::channel(WAITING);
    let (doors, refusals) = (Doors::Open(shown.follow()), Refusals::default());
    tokio::spawn(Accepting { doors, refusals, ready, handshakes: JoinSet::new() }.go_on(listener));
    ReceiverStream::new(connections)
}

/// For whom they are.
#[derive(Clone)]
enum Doors {
    For(Security),
    Open(watch::Receiver<Arc<ServerConfig>>),
}

struct Accepting {
    doors: Doors,
    refusals: Refusals,
    ready: mpsc::Sender<io::Result<Connection>>,
    handshakes: JoinSet<()>,
}

impl Accepting {
    async fn go_on(mut self, mut listener: Listener) {
        loop {
            tokio::select! {
                () = self.ready.closed() => return,
                Some(_) = self.handshakes.join_next() => {}
                accepted = listener.accept() => match accepted {
                    Ok(Arrived::Machine(stream, address)) => self.begin(stream, address),
                    Ok(Arrived::Within(link, address)) => self.hand_on(Connection::within(link, Some(address))),
                    Err(error) => {
                        tracing::warn!(%error, "a connection cannot be accepted");
                        sleep(PAUSE).await;
                    }
                },
            }
        }
    }

    fn hand_on(&mut self, connection: Connection) {
        let ready = self.ready.clone();
        self.handshakes.spawn(async move {
            if ready.send(Ok(connection)).await.is_err() {
                tracing::debug!("a caller came when nobody serves any more");
            }
        });
    }

    fn begin(&mut self, stream: TcpStream, address: SocketAddr) {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%address, %error, "a caller has left at once");
            return;
        }
        if self.handshakes.len() >= HANDSHAKES {
            let why = format_args!("{HANDSHAKES} are doing so");
            self.refusals.note(Refusal::Crowded, Some(address), &why);
            return;
        }
        let (doors, refusals, ready) = (self.doors.clone(), self.refusals.clone(), self.ready.clone());
        self.handshakes.spawn(async move {
            let connection = match doors {
                Doors::For(Security::Plaintext | Security::Within(_)) => Some(Connection::plain(stream)),
                Doors::For(Security::Mutual(credentials)) => {
                    let server = credentials.now().server();
                    greet(stream, address, server, &refusals).await.and_then(named)
                }
                Doors::Open(shown) => {
                    let server = Arc::clone(&shown.borrow());
                    greet(stream, address, server, &refusals).await.map(Connection::unnamed)
                }
            };
            if let Some(connection) = connection
                && ready.send(Ok(connection)).await.is_err()
            {
                tracing::debug!(%address, "a caller came when nobody serves any more");
            }
        });
    }
}

/// Lets a caller show who it is, if that is wanted; none if it is refused.
async fn greet(
    stream: TcpStream,
    address: SocketAddr,
    server: Arc<ServerConfig>,
    refusals: &Refusals,
) -> Option<TlsStream<TcpStream>> {
    match timeout(HANDSHAKE, TlsAcceptor::from(server).accept(stream)).await {
        Ok(Ok(stream)) => return Some(TlsStream::Server(stream)),
        Ok(Err(error)) => {
            let cause = error.get_ref().and_then(|cause| cause.downcast_ref::<rustls::Error>());
            match cause.and_then(|cause| Some((refusal(cause)?, words(cause)))) {
                Some((refusal, why)) => refusals.note(refusal, Some(address), &why),
                None => tracing::debug!(%address, %error, "a caller has left before it showed who it is"),
            }
        }
        Err(_) => refusals.note(Refusal::Slow, Some(address), &format_args!("{HANDSHAKE:?} are over")),
    }
    None
}

/// The connection of one who has shown who he is.
fn named(stream: TlsStream<TcpStream>) -> Option<Connection> {
    let (certified, address) = (certified(&stream)?, stream.get_ref().0.peer_addr().ok());
    tracing::debug!(?address, identity = %certified.identity, serial = certified.serial, "a caller is known");
    Some(Connection::encrypted(stream, certified, Vec::new()))
}

/// Whom the certificate names that the other side has shown, and that was verified.
pub(crate) fn certified(stream: &TlsStream<TcpStream>) -> Option<Certified> {
    let shown: &CertificateDer<'_> = stream.get_ref().1.peer_certificates()?.first()?;
    Certified::of(shown).ok()
}
