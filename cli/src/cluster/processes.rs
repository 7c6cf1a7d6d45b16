//! Workers as processes of this machine.

use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use superstep_transport::IssueError;
use tokio::process::{Child, Command};

/// Why workers cannot be started.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProcessError {
    /// The program cannot be started.
    #[error("cannot start {program}; it is built beside superstep, or found in PATH")]
    Start {
        /// What.
        program: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Its log cannot be written.
    #[error("cannot write {path}")]
    Log {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There are no certificates for them.
    #[error(transparent)]
    Certificates(#[from] IssueError),
    /// A worker has ended that should work.
    #[error("{text}")]
    Ended {
        /// Which, and what its log says.
        text: String,
    },
}

/// Workers that share a folder.
pub(crate) struct Processes {
    folder: PathBuf,
    store: String,
    program: PathBuf,
    workers: Vec<Worker>,
}

struct Worker {
    name: String,
    log: PathBuf,
    child: Child,
}

impl Processes {
    /// Workers in `folder` with the runs in `store`.
    ///
    /// # Errors
    /// The folder of the group cannot be made.
    pub(crate) fn new(folder: &Path, store: &str) -> io::Result<Self> {
        std::fs::create_dir_all(folder.join("group"))?;
        let beside = std::env::current_exe()?.with_file_name("superstep-worker");
        let program = if beside.is_file() { beside } else { PathBuf::from("superstep-worker") };
        Ok(Self { folder: folder.to_owned(), store: store.to_owned(), program, workers: Vec::new() })
    }

    /// Starts a worker, with the certificates of a folder or without encryption.
    ///
    /// # Errors
    /// The program is not there, or its log cannot be written.
    pub(crate) fn start(
        &mut self,
        name: &str,
        listen: SocketAddr,
        tls: Option<&Path>,
    ) -> Result<(), ProcessError> {
        let log = self.folder.join(format!("{name}.log"));
        let file = File::create(&log).map_err(|source| ProcessError::Log { path: log.clone(), source })?;
        let mut command = Command::new(&self.program);
        command.args(["--name", name, "--listen", &listen.to_string(), "--store", &self.store, "--group"]);
        command.arg(self.folder.join("group")).stdin(Stdio::null()).stdout(Stdio::null()).stderr(file);
        // What this command shows to workers is not what they show.
        command.env_remove("SUPERSTEP_TLS");
        match tls {
            Some(folder) => command.arg("--tls").arg(folder),
            None => command.arg("--plaintext"),
        };
        // Ctrl-C goes to this process, which tells the workers in its own way.
        let child = command.process_group(0).kill_on_drop(true).spawn();
        let child = child.map_err(|source| ProcessError::Start { program: self.program.clone(), source })?;
        self.workers.push(Worker { name: name.to_owned(), log, child });
        Ok(())
    }

    /// What is to be said of a worker that has ended, if one has.
    pub(crate) fn look(&mut self) -> Option<String> {
        for at in 0..self.workers.len() {
            if let Ok(Some(status)) = self.workers[at].child.try_wait() {
                return Some(self.workers.remove(at).obituary(status));
            }
        }
        None
    }

    /// Waits until a worker ends, and tells what is to be said of it; none if no worker is left.
    pub(crate) async fn gone(&mut self) -> Option<String> {
        loop {
            if self.workers.is_empty() {
                return None;
            }
            if let Some(text) = self.look() {
                return Some(text);
            }
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        }
    }

    /// Lets the workers leave.
    pub(crate) fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Stops the workers at once.
    pub(crate) fn kill(&self) {
        self.signal(Signal::KILL);
    }

    fn signal(&self, signal: Signal) {
        for worker in &self.workers {
            let pid = worker.child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
            if let Some(pid) = pid
                && let Err(error) = kill_process(pid, signal)
            {
                tracing::debug!(worker = worker.name, %error, "a worker is gone already");
            }
        }
    }

    /// Waits until no worker is left.
    pub(crate) async fn all_gone(&mut self) {
        while self.gone().await.is_some() {}
    }
}

impl Worker {
    fn obituary(self, status: ExitStatus) -> String {
        let (name, log) = (self.name, self.log.display());
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let last = text.lines().last().map(|line| format!(": {line}")).unwrap_or_default();
        format!("{name} has ended ({status}); its log is {log}{last}")
    }
}
