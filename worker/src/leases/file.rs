//! A lease in a file, for workers of one machine or with a shared folder.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use futures::future::{BoxFuture, FutureExt as _};
use rustix::fs::{FlockOperation, flock};

use super::{Lease, LeaseError, Leases};
use crate::blocking::blocking;

/// A lease in a file; a lock on the file beside it makes each change one step.
#[derive(Clone, Debug)]
pub struct FileLease {
    path: PathBuf,
}

impl FileLease {
    /// The lease in `path`, which need not be there yet, in a folder that is.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    fn read_now(&self) -> Result<Option<Lease>, LeaseError> {
        match std::fs::read(&self.path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map(Some)
                .map_err(|source| LeaseError::Damaged { path: self.path.clone(), source }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(failed("read", &self.path)(source)),
        }
    }

    fn replace_now(&self, seen: Option<&Lease>, next: &Lease) -> Result<bool, LeaseError> {
        let _locked = self.lock()?;
        if self.read_now()?.as_ref() != seen {
            return Ok(false);
        }
        let bytes = serde_json::to_vec(next)
            .map_err(|source| LeaseError::Damaged { path: self.path.clone(), source })?;
        let new = self.path.with_extension("new");
        let write = |path: &Path| -> io::Result<()> {
            let mut file = File::create(path)?;
            file.write_all(&bytes)?;
            file.sync_data()
        };
        write(&new).map_err(failed("write", &new))?;
        std::fs::rename(&new, &self.path).map_err(failed("replace", &self.path))?;
        Ok(true)
    }

    /// The lock, until the file is dropped.
    fn lock(&self) -> Result<File, LeaseError> {
        let path = self.path.with_extension("lock");
        let mut options = OpenOptions::new();
        let file = options.create(true).truncate(false).write(true).open(&path);
        let file = file.map_err(failed("open", &path))?;
        flock(&file, FlockOperation::LockExclusive)
            .map_err(io::Error::from)
            .map_err(failed("lock", &path))?;
        Ok(file)
    }
}

impl Leases for FileLease {
    fn read(&self) -> BoxFuture<'_, Result<Option<Lease>, LeaseError>> {
        let lease = self.clone();
        blocking(move || lease.read_now()).boxed()
    }

    fn replace(&self, seen: Option<Lease>, next: Lease) -> BoxFuture<'_, Result<bool, LeaseError>> {
        let lease = self.clone();
        blocking(move || lease.replace_now(seen.as_ref(), &next)).boxed()
    }
}

fn failed(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> LeaseError {
    let path = path.to_owned();
    move |source| LeaseError::File { what, path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(holder: &str, renewals: u64) -> Lease {
        Lease { holder: Some(holder.to_owned()), renewals }
    }

    #[test]
    fn only_one_of_many_replaces_what_all_have_seen() {
        let folder = tempfile::tempdir().unwrap();
        let file = FileLease::new(folder.path().join("lease"));
        assert_eq!(file.read_now().unwrap(), None);
        for round in 0..20 {
            let seen = file.read_now().unwrap();
            let winners: Vec<usize> = std::thread::scope(|scope| {
                let threads: Vec<_> = (0..8)
                    .map(|number| {
                        let (file, seen) = (file.clone(), seen.clone());
                        scope.spawn(move || {
                            file.replace_now(seen.as_ref(), &lease(&number.to_string(), round + 1)).unwrap()
                        })
                    })
                    .collect();
                let won = threads.into_iter().map(|thread| thread.join().unwrap()).enumerate();
                won.filter(|(_, won)| *won).map(|(number, _)| number).collect()
            });
            assert_eq!(winners.len(), 1, "round {round}");
            assert_eq!(file.read_now().unwrap(), Some(lease(&winners[0].to_string(), round + 1)));
        }
    }

    #[test]
    fn a_damaged_lease_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lease");
        std::fs::write(&path, "{").unwrap();
        assert!(matches!(FileLease::new(path).read_now(), Err(LeaseError::Damaged { .. })));
    }
}
