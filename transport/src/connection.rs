//! A connection, encrypted or not.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsStream;
use tonic::transport::server::Connected;

use crate::caller::{Caller, Certified};
use crate::network::Link;

/// A connection whose other end is known.
#[derive(Debug)]
pub struct Connection {
    io: Io,
    /// What was read before anybody wanted it, from `read` on.
    first: Vec<u8>,
    read: usize,
    caller: Caller,
}

#[derive(Debug)]
enum Io {
    Plain(TcpStream),
    Encrypted(Box<TlsStream<TcpStream>>),
    Within(Box<dyn Link>),
}

impl Connection {
    pub(crate) fn plain(stream: TcpStream) -> Self {
        let caller = Caller { address: stream.peer_addr().ok(), certified: None };
        Self { io: Io::Plain(stream), first: Vec::new(), read: 0, caller }
    }

    pub(crate) fn within(link: Box<dyn Link>, address: Option<SocketAddr>) -> Self {
        let caller = Caller { address, certified: None };
        Self { io: Io::Within(link), first: Vec::new(), read: 0, caller }
    }

    pub(crate) fn encrypted(stream: TlsStream<TcpStream>, certified: Certified, first: Vec<u8>) -> Self {
        let address = stream.get_ref().0.peer_addr().ok();
        let caller = Caller { address, certified: Some(Arc::new(certified)) };
        Self { io: Io::Encrypted(Box::new(stream)), first, read: 0, caller }
    }

    /// The other end shows nothing of who it is, or only its name.
    pub(crate) fn unnamed(stream: TlsStream<TcpStream>) -> Self {
        let caller = Caller { address: stream.get_ref().0.peer_addr().ok(), certified: None };
        Self { io: Io::Encrypted(Box::new(stream)), first: Vec::new(), read: 0, caller }
    }

    /// Who is at the other end.
    #[must_use]
    pub fn other(&self) -> &Caller {
        &self.caller
    }
}

impl Connected for Connection {
    type ConnectInfo = Caller;

    fn connect_info(&self) -> Caller {
        self.caller.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let waiting = &this.first[this.read..];
        if !waiting.is_empty() {
            let count = waiting.len().min(buffer.remaining());
            buffer.put_slice(&waiting[..count]);
            this.read += count;
            return Poll::Ready(Ok(()));
        }
        match &mut this.io {
            Io::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Io::Encrypted(stream) => Pin::new(stream).poll_read(context, buffer),
            Io::Within(link) => Pin::new(link).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.io {
            Io::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Io::Encrypted(stream) => Pin::new(stream).poll_write(context, bytes),
            Io::Within(link) => Pin::new(link).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.io {
            Io::Plain(stream) => Pin::new(stream).poll_write_vectored(context, parts),
            Io::Encrypted(stream) => Pin::new(stream).poll_write_vectored(context, parts),
            Io::Within(link) => Pin::new(link).poll_write_vectored(context, parts),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.io {
            Io::Plain(stream) => stream.is_write_vectored(),
            Io::Encrypted(stream) => stream.is_write_vectored(),
            Io::Within(link) => link.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.io {
            Io::Plain(stream) => Pin::new(stream).poll_flush(context),
            Io::Encrypted(stream) => Pin::new(stream).poll_flush(context),
            Io::Within(link) => Pin::new(link).poll_flush(context),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.io {
            Io::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Io::Encrypted(stream) => Pin::new(stream).poll_shutdown(context),
            Io::Within(link) => Pin::new(link).poll_shutdown(context),
        }
    }
}
