//! The server: what it listens to, and whether it is well.

mod hall;
mod routes;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use superstep_engine::Failure;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::offered::Offered;
use hall::Hall;
pub(crate) use hall::UNIT;

/// How a server is set up.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Where it listens.
    pub listen: SocketAddr,
    /// The most requests that wait for a place.
    pub queue: usize,
}

/// A model server that listens.
pub struct Server {
    address: SocketAddr,
    hall: Arc<Hall>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<io::Result<()>>,
}

impl Server {
    /// Listens, and tells that it lives and has no model yet.
    ///
    /// # Errors
    /// The address cannot be listened to.
    pub async fn bind(settings: Settings) -> io::Result<Self> {
        let listener = TcpListener::bind(settings.listen).await?;
        let address = listener.local_addr()?;
        let hall = Arc::new(Hall::new(settings.queue));
        let (stop, stopped) = oneshot::channel::<()>();
        let routes = routes::routes(Arc::clone(&hall));
        let task = tokio::spawn(async move {
            // Whoever drops the server stops it, too.
            let stopped = async { drop(stopped.await) };
            axum::serve(listener, routes).with_graceful_shutdown(stopped).await
        });
        Ok(Self { address, hall, stop, task })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers requests for what is offered from now on. A model of this process makes a first token before.
    ///
    /// # Errors
    /// The model does not make one.
    pub async fn open(&self, offered: Offered) -> Result<(), Failure> {
        self.hall.open(offered).await
    }

    /// Tells that it is not to be asked any more, while it still answers.
    pub fn retire(&self) {
        self.hall.retire();
    }

    /// Takes no connection any more, and waits until all requests have been answered, at most so long. Whether they
    /// have.
    pub async fn close(self, most: Duration) -> bool {
        let Self { hall, stop, mut task, .. } = self;
        hall.retire();
        drop(stop);
        match timeout(most, &mut task).await {
            Ok(Ok(Ok(()))) => true,
            Ok(Ok(Err(error))) => {
                tracing::error!(%error, "the server has ended");
                false
            }
            Ok(Err(error)) => {
                tracing::error!(%error, "the server broke off");
                false
            }
            Err(_) => {
                task.abort();
                false
            }
        }
    }
}
