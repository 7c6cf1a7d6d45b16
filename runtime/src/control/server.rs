//! The driver's end of the channel.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use superstep_engine::Record;
use superstep_store::{RunName, Store};
use tokio::io::{AsyncWriteExt as _, ReadHalf, WriteHalf};
use tokio::sync::Semaphore;
use tokio::task::AbortHandle;
use tokio::time::timeout;

use super::address::{Note, SocketFolder};
use super::line::Lines;
use super::protocol::{self, Refusal, Reply, Request, VERSION};
use super::socket::{self, Listener, Stream};
use super::{ControlError, Told};
use crate::events::RunEvent;
use crate::runner::{AnswerError, PatchError, RunHandle};

/// So many may be connected at once.
const MOST_CONNECTED: usize = 64;
/// Whoever has connected says within this what he wants.
const ASKING: Duration = Duration::from_secs(10);
/// Whoever is sent something takes it within this.
const TAKING: Duration = Duration::from_secs(30);
/// When nobody can be let in, for want of files perhaps, so long passes before it is tried again.
const PAUSE: Duration = Duration::from_millis(100);

/// A run that listens, until this is dropped. Those who are connected then are served to the end of what the
/// run has to say.
#[derive(Debug)]
pub(crate) struct Listening {
    accepting: AbortHandle,
    socket: PathBuf,
    /// The folder of the run.
    folder: PathBuf,
}

impl Listening {
    /// Listens for a run whose log the caller has.
    ///
    /// # Errors
    /// The run is in memory, no folder can have the socket, or the system refuses.
    pub(crate) fn begin(
        store: &Store<Record>,
        run: &RunName,
        sockets: &SocketFolder,
        handle: RunHandle,
    ) -> Result<Self, ControlError> {
        if !cfg!(unix) {
            return Err(ControlError::Unsupported);
        }
        let folder = store.folder_of(run).ok_or(ControlError::InMemory)?;
        let socket = sockets.socket_of(&folder)?;
        let io = |doing, path: &PathBuf| {
            let path = path.clone();
            move |source| ControlError::Io { doing, path, source }
        };
        let listener = Listener::bind(&socket).map_err(io("listen on", &socket))?;
        let served = Arc::new(Served { run: run.to_string(), handle });
        let accepting = tokio::spawn(accept(listener, served)).abort_handle();
        // Dropped on an error, it takes the socket away again.
        let listening = Self { accepting, socket, folder };
        let note = Note { version: VERSION, socket: listening.socket.clone(), process: std::process::id() };
        note.keep(&listening.folder).map_err(io("write a note into", &listening.folder))?;
        Ok(listening)
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.accepting.abort();
        let removed = Note::remove(&self.folder).and_then(|()| socket::remove(&self.socket));
        if let Err(error) = removed {
            tracing::debug!(socket = %self.socket.display(), %error, "the socket is left behind");
        }
    }
}

/// What is served.
struct Served {
    run: String,
    handle: RunHandle,
}

async fn accept(listener: Listener, served: Arc<Served>) {
    let seats = Arc::new(Semaphore::new(MOST_CONNECTED));
    loop {
        let stream = match listener.accept().await {
            Ok(stream) => stream,
            Err(error) => {
                tracing::debug!(run = %served.run, %error, "nobody can be let in");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let seat = Arc::clone(&seats).try_acquire_owned().ok();
        let served = Arc::clone(&served);
        tokio::spawn(async move {
            let (reader, writer) = tokio::io::split(stream);
            let mut visit = Visit { lines: Lines::new(reader), writer };
            let ended = match &seat {
                Some(_) => visit.serve(&served).await,
                None => visit.reply(&Reply::Refused(Refusal::Busy)).await,
            };
            if let Err(error) = ended {
                tracing::debug!(run = %served.run, %error, "a connection broke off");
            }
        });
    }
}

/// One who is connected.
struct Visit {
    lines: Lines<ReadHalf<Stream>>,
    writer: WriteHalf<Stream>,
}

impl Visit {
    async fn serve(&mut self, served: &Served) -> io::Result<()> {
        let asked = match timeout(ASKING, self.lines.next()).await {
            Ok(Ok(Some(line))) => protocol::read_request(line, &served.run),
            Ok(Ok(None)) | Err(_) => return Ok(()),
            Ok(Err(error)) => Err(Refusal::Malformed { why: error.to_string() }),
        };
        let handle = &served.handle;
        let reply = match asked {
            Ok(Request::Watch { from }) => return self.watch(handle, from).await,
            Ok(Request::Get) => handle.state().await.map(Reply::State),
            Ok(Request::Cancel) => handle.cancelled().await.map(|status| Reply::Ended { status }),
            Ok(Request::Suspend(suspended)) => handle.suspend(suspended).await.then_some(Reply::Recorded),
            Ok(Request::Answer { question, answer }) => match handle.answer(question, answer).await {
                Ok(()) => Some(Reply::Recorded),
                Err(AnswerError::Gone) => None,
                Err(why) => Some(Reply::Refused(Refusal::Answer(why))),
            },
            Ok(Request::Patch(patch)) => match handle.patch(patch).await {
                Ok(()) => Some(Reply::Recorded),
                Err(PatchError::Gone) => None,
                Err(why) => Some(Reply::Refused(Refusal::Patch(why))),
            },
            Err(refusal) => Some(Reply::Refused(refusal)),
        };
        // Of a run that is not driven any more nothing is known here: the end of the connection says so.
        match reply {
            Some(reply) => self.reply(&reply).await,
            None => Ok(()),
        }
    }

    /// Tells how far the log comes, and what models write, until the run is not driven any more or the other
    /// one goes away.
    async fn watch(&mut self, handle: &RunHandle, from: u64) -> io::Result<()> {
        let texts = handle.hub().texts();
        loop {
            let told = tokio::select! {
                told = texts.next() => told,
                // Nothing more is expected from there but the end.
                line = self.lines.next() => {
                    line?;
                    return Ok(());
                }
            };
            let reply = match told {
                None => return Ok(()),
                Some(Told::Durable(records)) if records <= from => continue,
                Some(Told::Durable(records)) => Reply::Durable { records },
                Some(Told::Event(RunEvent::Text { activation, text })) => Reply::Text { activation, text },
                Some(Told::Event(RunEvent::Missed { bytes, .. })) => Reply::Missed { bytes },
                // Notices are not asked for.
                Some(Told::Event(RunEvent::Notice(_))) => continue,
            };
            self.reply(&reply).await?;
        }
    }

    async fn reply(&mut self, reply: &Reply) -> io::Result<()> {
        let line = protocol::reply_line(reply);
        timeout(TAKING, self.writer.write_all(&line)).await?
    }
}
