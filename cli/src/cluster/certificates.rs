//! Certificates for workers of this machine, and for whoever talks to them.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use superstep_transport::{Authority, Identity, IssueError, Validity};

use super::ProcessError;
use crate::log;

/// Where the workers are, as their certificates say.
const NAMESPACE: &str = "local";
/// What they work on.
const GRAPH: &str = "cluster";
/// Whom commands are.
const CLIENT: &str = "client";
/// How long a certificate is valid.
const LASTS: Duration = Duration::from_secs(24 * 3_600);
/// After how much of that it is made anew.
const RENEWED_AFTER: Duration = Duration::from_secs(8 * 3_600);
/// How often it is looked whether that is over: a machine may have slept.
const LOOK: Duration = Duration::from_secs(60);

/// The certificates in a folder.
pub(super) struct Certificates {
    folder: PathBuf,
    authority: Authority,
    workers: Vec<String>,
    made: SystemTime,
}

impl Certificates {
    /// Makes them, by the authority that the folder has or that is made there.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub(super) fn make(folder: &Path, workers: &[String]) -> Result<Self, ProcessError> {
        let authority = Authority::kept_in(&folder.join("authority"), "superstep cluster")?;
        let mut made =
            Self { folder: folder.to_owned(), authority, workers: workers.to_vec(), made: SystemTime::now() };
        made.renew()?;
        Ok(made)
    }

    /// The folder that a worker reads.
    pub(super) fn of(&self, worker: &str) -> PathBuf {
        self.folder.join(worker)
    }

    /// The folder that commands read.
    pub(super) fn of_client(&self) -> PathBuf {
        self.folder.join(CLIENT)
    }

    /// Waits until certificates are to be renewed, and does so; for ever if there are none.
    pub(super) async fn keep(certificates: Option<&mut Self>) {
        let Some(certificates) = certificates else { return std::future::pending().await };
        loop {
            tokio::time::sleep(LOOK).await;
            // A clock that was set back tells nothing of their age.
            if certificates.made.elapsed().is_ok_and(|age| age < RENEWED_AFTER) {
                continue;
            }
            match certificates.renew() {
                Ok(()) => return,
                Err(error) => {
                    let why = superstep_provision::with_causes(&error);
                    log::say(&format!("the certificates cannot be renewed: {why}"));
                }
            }
        }
    }

    fn renew(&mut self) -> Result<(), IssueError> {
        let worker = |name: &String| Ok((self.of(name), Identity::worker(NAMESPACE, GRAPH, name)?));
        let mut all = self.workers.iter().map(worker).collect::<Result<Vec<_>, IssueError>>()?;
        all.push((self.of_client(), Identity::client(NAMESPACE, CLIENT)?));
        for (folder, identity) in all {
            self.authority.issue(&identity, Validity::lasting(LASTS))?.write(&folder)?;
        }
        self.made = SystemTime::now();
        Ok(())
    }
}
