//! A lease in files, for those on one machine or with a shared folder.

use std::fs::File;
use std::hash::{BuildHasher as _, RandomState};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use futures::future::{BoxFuture, FutureExt as _};

use crate::lease::{Lease, LeaseError, Leases};

/// How many of the last files are kept, for those who are about to read one.
const KEPT: u64 = 4;

/// A lease in numbered files, of which the highest counts: whoever changes the lease makes the next one, which only
/// one of several can. Nothing is locked, so a process that is stopped holds nobody up.
#[derive(Clone, Debug)]
pub struct FileLease {
    path: PathBuf,
}

impl FileLease {
    /// The lease whose files begin with `path`, in a folder that is there.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("."))
    }

    fn file(&self, ending: &str) -> PathBuf {
        let mut name = self.path.file_name().unwrap_or_default().to_owned();
        name.push(".");
        name.push(ending);
        self.folder().join(name)
    }

    fn numbered(&self, number: u64) -> PathBuf {
        self.file(&format!("{number:020}"))
    }

    /// The numbers of the files that are there.
    fn numbers(&self) -> Result<Vec<u64>, LeaseError> {
        let stem = self.path.file_name().unwrap_or_default().to_string_lossy();
        let listed = || -> io::Result<Vec<u64>> {
            let mut numbers = Vec::new();
            for entry in std::fs::read_dir(self.folder())? {
                let name = entry?.file_name();
                let number: Option<u64> =
                    name.to_str().and_then(|name| name.strip_prefix(&*stem)?.strip_prefix('.')?.parse().ok());
                numbers.extend(number);
            }
            Ok(numbers)
        };
        listed().map_err(failed("list the folder of", &self.path))
    }

    fn read_now(&self) -> Result<Option<Lease>, LeaseError> {
        loop {
            let Some(last) = self.numbers()?.into_iter().max() else { return Ok(None) };
            let path = self.numbered(last);
            match std::fs::read(&path) {
                Ok(bytes) => {
                    return serde_json::from_slice(&bytes)
                        .map(Some)
                        .map_err(|source| LeaseError::Damaged { path, source });
                }
                // Many were made since, and this one was removed.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(source) => return Err(failed("read", &path)(source)),
            }
        }
    }

    fn replace_now(&self, seen: Option<&Lease>, next: &Lease) -> Result<bool, LeaseError> {
        if self.read_now()?.as_ref() == seen { self.make(next) } else { Ok(false) }
    }

    /// Makes the file of `next`, unless it or a later one was made already; whether it did.
    fn make(&self, next: &Lease) -> Result<bool, LeaseError> {
        let path = self.numbered(next.renewals);
        let bytes =
            serde_json::to_vec(next).map_err(|source| LeaseError::Damaged { path: path.clone(), source })?;
        // It has its name only when it is whole.
        let new = self.file(&format!("new-{:016x}", RandomState::new().hash_one(std::process::id())));
        let write = |path: &Path| -> io::Result<()> {
            let mut file = File::create(path)?;
            file.write_all(&bytes)?;
            file.sync_data()
        };
        write(&new).map_err(failed("write", &new))?;
        let linked = std::fs::hard_link(&new, &path);
        std::fs::remove_file(&new).map_err(failed("remove", &new))?;
        match linked {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(false),
            Err(source) => return Err(failed("make", &path)(source)),
        }
        // One who has slept since he looked may have made again what others had made and removed.
        let numbers = self.numbers()?;
        if numbers.iter().any(|number| *number > next.renewals) {
            self.remove(next.renewals)?;
            return Ok(false);
        }
        for old in numbers.into_iter().filter(|number| number + KEPT <= next.renewals) {
            self.remove(old)?;
        }
        Ok(true)
    }

    fn remove(&self, number: u64) -> Result<(), LeaseError> {
        let path = self.numbered(number);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("remove", &path)(error)),
            Ok(()) | Err(_) => Ok(()),
        }
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

/// Does the work on a thread that may block.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.expect("what reads and writes files does not panic")
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
    fn who_has_slept_makes_nothing_again_that_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let file = FileLease::new(folder.path().join("lease"));
        let mut seen = None;
        for number in 1..=10 {
            let next = lease("one", number);
            assert!(file.replace_now(seen.as_ref(), &next).unwrap());
            seen = Some(next);
        }
        assert_eq!(file.numbers().unwrap().len() as u64, KEPT);
        // He looked when there were two, and then slept.
        assert!(!file.make(&lease("two", 3)).unwrap());
        assert_eq!(file.numbers().unwrap().len() as u64, KEPT);
        assert_eq!(file.read_now().unwrap(), seen);
    }

    #[test]
    fn a_damaged_lease_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let file = FileLease::new(folder.path().join("lease"));
        std::fs::write(file.numbered(7), "{").unwrap();
        assert!(matches!(file.read_now(), Err(LeaseError::Damaged { .. })));
    }
}
