//! Sockets with paths, where the system has them.

use std::io;
use std::path::Path;

#[cfg(unix)]
mod system {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt as _;

    use tokio::net::UnixListener;

    use super::{Path, io};

    pub(in super::super) type Stream = tokio::net::UnixStream;

    /// Where others connect.
    #[derive(Debug)]
    pub(in super::super) struct Listener(UnixListener);

    impl Listener {
        /// Takes the path, which is in a folder that nobody else may enter, from whatever is there.
        pub(in super::super) fn bind(path: &Path) -> io::Result<Self> {
            super::remove(path)?;
            let listener = UnixListener::bind(path)?;
            std::fs::set_permissions(path, Permissions::from_mode(0o600))?;
            Ok(Self(listener))
        }

        pub(in super::super) async fn accept(&self) -> io::Result<Stream> {
            self.0.accept().await.map(|(stream, _)| stream)
        }
    }

    pub(in super::super) async fn connect(path: &Path) -> io::Result<Stream> {
        Stream::connect(path).await
    }
}

#[cfg(not(unix))]
mod system {
    use super::{Path, io};

    pub(in super::super) type Stream = tokio::io::DuplexStream;

    /// There is none.
    #[derive(Debug)]
    pub(in super::super) enum Listener {}

    impl Listener {
        pub(in super::super) fn bind(_: &Path) -> io::Result<Self> {
            Err(io::ErrorKind::Unsupported.into())
        }

        pub(in super::super) async fn accept(&self) -> io::Result<Stream> {
            match *self {}
        }
    }

    pub(in super::super) async fn connect(_: &Path) -> io::Result<Stream> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

pub(super) use system::{Listener, Stream, connect};

/// Removes the file of a socket, if it is there.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}
