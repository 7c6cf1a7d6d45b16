//! The objects of a store: what it does with them, tried again while the store is away.

use std::{
    error::Error as StdError,
    fs::File,
    future::Future,
    io,
    path::{Path as FilePath, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use object_store::{Error, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutPayload, path::Path};

use super::absence::{Absence, pause};
use crate::StoreError;

/// How long a caller who waits is made to wait for a store that is away.
const PATIENCE: Duration = Duration::from_secs(5);
/// Requests that are under way at once where many are made.
const ABREAST: usize = 16;

/// The objects of a store. Clones are the same objects.
#[derive(Clone, Debug)]
pub(crate) struct Bucket {
    objects: Arc<dyn ObjectStore>,
    /// What every name begins with.
    root: Path,
    /// The store, as people name it.
    place: Arc<str>,
    /// Where the root is, if it is a folder.
    folder: Option<Arc<FilePath>>,
    absence: Absence,
}

/// How long a store that is away is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Patience {
    /// Until it is back.
    Endless,
    /// As long as one who waits may be made to.
    Short,
}

/// What came of creating an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Created {
    /// It is there, and durable.
    New,
    /// An object of that name was there already, or is being made at this instant.
    Taken,
}

/// Whose object has a name that was claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Claim {
    /// The one that was to be created. It is durable.
    Own,
    /// Another one, which was there before.
    Others,
}

/// Why a request has no answer.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) why: StoreError,
    /// Whether an earlier try may have done it all the same.
    pub(super) in_doubt: bool,
}

impl From<Failed> for StoreError {
    fn from(failed: Failed) -> Self {
        failed.why
    }
}

impl Bucket {
    pub(super) fn new(objects: Arc<dyn ObjectStore>, root: Path, place: &str) -> Self {
        let place: Arc<str> = place.into();
        Self { objects, root, absence: Absence::new(Arc::clone(&place)), place, folder: None }
    }

    /// The same objects, which are files of the folder `path`.
    pub(super) fn in_folder(self, path: &FilePath) -> Self {
        Self { folder: Some(path.into()), ..self }
    }

    pub(super) fn place(&self) -> &str {
        &self.place
    }

    pub(super) fn absence(&self) -> &Absence {
        &self.absence
    }

    /// The name of an object by what follows the root.
    pub(super) fn path(&self, name: &str) -> Path {
        self.root.parts().chain(Path::from(name).parts()).collect()
    }

    /// An object as errors name it.
    pub(super) fn shown(&self, path: &Path) -> PathBuf {
        PathBuf::from(format!("{}/{}", self.place, self.inner(path)))
    }

    /// The name of an object without the root.
    pub(super) fn inner<'a>(&self, path: &'a Path) -> &'a str {
        path.as_ref().strip_prefix(self.root.as_ref()).unwrap_or(path.as_ref()).trim_start_matches('/')
    }

    /// The folder of a shared folder store that has the objects whose names begin with `prefix`.
    pub(super) fn folder(&self, prefix: &Path) -> Option<PathBuf> {
        self.folder.as_ref().map(|folder| folder.join(self.inner(prefix)))
    }

    /// Creates an object if there is none of its name.
    pub(super) async fn create(
        &self,
        path: &Path,
        bytes: &Bytes,
        patience: Patience,
    ) -> Result<Created, Failed> {
        let attempt = || async {
            match self.objects.put_opts(path, PutPayload::from(bytes.clone()), PutMode::Create.into()).await {
                Ok(_) => Ok(Created::New),
                Err(Error::AlreadyExists { .. }) => Ok(Created::Taken),
                Err(error) => Err(error),
            }
        };
        self.persist("create", path, patience, attempt).await
    }

    /// Creates an object if there is none of its name, and looks whose is there if there is one: it is its own where
    /// a try had created it and the answer was lost.
    pub(super) async fn claim(
        &self,
        path: &Path,
        bytes: &Bytes,
        patience: Patience,
    ) -> Result<Claim, Failed> {
        let in_doubt = |why| Failed { why, in_doubt: true };
        loop {
            match self.create(path, bytes, patience).await? {
                Created::New => return Ok(Claim::Own),
                Created::Taken => {}
            }
            match self.read(path, patience).await.map_err(|failed| in_doubt(failed.why))? {
                Some(found) if found == *bytes => {
                    return self.settle(path).await.map(|()| Claim::Own).map_err(in_doubt);
                }
                Some(_) => return Ok(Claim::Others),
                // A creation that is under way holds the name.
                None => tokio::time::sleep(pause(1)).await,
            }
        }
    }

    /// Writes an object in place of the one before.
    pub(super) async fn replace(&self, path: &Path, bytes: &Bytes) -> Result<(), StoreError> {
        let attempt = || async { self.objects.put(path, PutPayload::from(bytes.clone())).await.map(drop) };
        Ok(self.persist("write", path, Patience::Short, attempt).await?)
    }

    /// The content of an object; none if it is not there.
    pub(super) async fn read(&self, path: &Path, patience: Patience) -> Result<Option<Bytes>, Failed> {
        let attempt = || async {
            match self.objects.get(path).await {
                Ok(found) => found.bytes().await.map(Some),
                Err(Error::NotFound { .. }) => Ok(None),
                Err(error) => Err(error),
            }
        };
        self.persist("read", path, patience, attempt).await
    }

    /// Whether an object is there.
    pub(super) async fn contains(&self, path: &Path) -> Result<bool, StoreError> {
        let attempt = || async {
            match self.objects.head(path).await {
                Ok(_) => Ok(true),
                Err(Error::NotFound { .. }) => Ok(false),
                Err(error) => Err(error),
            }
        };
        Ok(self.persist("look for", path, Patience::Short, attempt).await?)
    }

    /// The objects whose names begin with the folder `prefix`.
    pub(super) async fn list(&self, prefix: &Path) -> Result<Vec<ObjectMeta>, StoreError> {
        let attempt = || self.objects.list(Some(prefix)).try_collect();
        Ok(self.persist("list", prefix, Patience::Short, attempt).await?)
    }

    /// Whether there are objects in the folder of `path` whose names come after it.
    pub(super) async fn continues(&self, path: &Path) -> Result<bool, StoreError> {
        let folder = path.parent();
        let attempt = || async {
            let mut later = self.objects.list_with_offset(folder.as_ref(), path);
            later.try_next().await.map(|found| found.is_some())
        };
        Ok(self.persist("list", path, Patience::Short, attempt).await?)
    }

    /// The last parts of the folders right below `prefix`.
    pub(super) async fn folders(&self, prefix: &Path) -> Result<Vec<String>, StoreError> {
        let attempt = || self.objects.list_with_delimiter(Some(prefix));
        let listed = self.persist("list", prefix, Patience::Short, attempt).await?;
        Ok(listed.common_prefixes.iter().filter_map(|path| path.filename().map(str::to_owned)).collect())
    }

    /// Removes objects. One that is not there is as good as removed.
    pub(super) async fn delete(&self, paths: Vec<Path>, patience: Patience) -> Result<(), StoreError> {
        let deletions = paths.into_iter().map(|path| async move {
            let attempt = || async {
                match self.objects.delete(&path).await {
                    Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
                    Err(error) => Err(error),
                }
            };
            Ok(self.persist("remove", &path, patience, attempt).await?)
        });
        futures::stream::iter(deletions).buffer_unordered(ABREAST).try_collect().await
    }

    /// Makes the names in the folder of the object `path` durable, where the one who created it may not have come
    /// to it yet. An object store has done so before an object can be seen.
    pub(super) async fn settle(&self, path: &Path) -> Result<(), StoreError> {
        let Some(file) = self.folder(path) else { return Ok(()) };
        let folder = file.parent().map_or_else(|| file.clone(), FilePath::to_owned);
        let sync = || File::open(&folder).and_then(|folder| folder.sync_all()).map_err(|e| (e, folder));
        let synced = tokio::task::spawn_blocking(sync).await.map_err(|_| StoreError::CommitterGone)?;
        synced.map_err(|(source, path)| StoreError::Io { doing: "sync folder", path, source })
    }

    /// Makes a request until it is answered or `patience` ends.
    async fn persist<T, A>(
        &self,
        doing: &'static str,
        path: &Path,
        patience: Patience,
        attempt: impl Fn() -> A,
    ) -> Result<T, Failed>
    where
        A: Future<Output = Result<T, Error>>,
    {
        let (began, mut misses) = (Instant::now(), 0);
        loop {
            let error = match attempt().await {
                Ok(answer) => {
                    self.absence.answered();
                    return Ok(answer);
                }
                Err(error) => error,
            };
            let object = || self.shown(path).display().to_string();
            if !may_pass(&error) {
                self.absence.answered();
                let why = StoreError::Object { doing, object: object(), source: error.into() };
                return Err(Failed { why, in_doubt: misses > 0 });
            }
            misses += 1;
            self.absence.missed(&error);
            if patience == Patience::Short && began.elapsed() >= PATIENCE {
                let why = StoreError::Away { doing, object: object(), source: error.into() };
                return Err(Failed { why, in_doubt: true });
            }
            tokio::time::sleep(pause(misses)).await;
        }
    }
}

/// Whether a request that failed so may be answered later: all that is not known to last.
fn may_pass(error: &Error) -> bool {
    let lasts = matches!(
        error,
        Error::NotFound { .. }
            | Error::InvalidPath { .. }
            | Error::NotSupported { .. }
            | Error::AlreadyExists { .. }
            | Error::Precondition { .. }
            | Error::NotModified { .. }
            | Error::NotImplemented { .. }
            | Error::PermissionDenied { .. }
            | Error::Unauthenticated { .. }
            | Error::UnknownConfigurationKey { .. }
    );
    !lasts && !causes(error).any(|cause| is_lasting_io(cause) || is_lasting_status(cause))
}

/// What an error came of, from the outermost cause on.
fn causes(error: &Error) -> impl Iterator<Item = &(dyn StdError + 'static)> {
    std::iter::successors(error.source(), |cause| (*cause).source())
}

/// Whether a file system has refused for a reason that only a person can take away.
fn is_lasting_io(cause: &(dyn StdError + 'static)) -> bool {
    use io::ErrorKind::{
        InvalidFilename, IsADirectory, NotADirectory, PermissionDenied, ReadOnlyFilesystem, Unsupported,
    };
    let lasting =
        [InvalidFilename, IsADirectory, NotADirectory, PermissionDenied, ReadOnlyFilesystem, Unsupported];
    cause.downcast_ref::<io::Error>().is_some_and(|error| lasting.contains(&error.kind()))
}

/// Whether a service has refused what it will always refuse: a bucket that is not there, is elsewhere or is not ours,
/// or a request that it does not know.
///
/// The client tells the status of some requests in its text alone. Of a text that it changes nothing would be known,
/// and the request be made again. 400 is not among them: S3 answers so, too, when it has lost patience.
fn is_lasting_status(cause: &(dyn StdError + 'static)) -> bool {
    let text = cause.to_string();
    let status = text.split_once("status code: ").and_then(|(_, rest)| rest.get(..3));
    status.is_some_and(|status| {
        ["301", "307", "401", "403", "404", "405", "410", "413", "501"].contains(&status)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn generic(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Error {
        Error::Generic { store: "test", source: source.into() }
    }

    #[test]
    fn what_passes_is_waited_for_and_what_lasts_is_told() {
        let path = || "a".to_owned();
        for (error, passes) in [
            (generic("connection refused"), true),
            (generic(io::Error::from(io::ErrorKind::StorageFull)), true),
            (generic(io::Error::from(io::ErrorKind::NotFound)), true),
            (generic(io::Error::from(io::ErrorKind::PermissionDenied)), false),
            (generic(generic(io::Error::from(io::ErrorKind::ReadOnlyFilesystem))), false),
            (generic("Server returned non-2xx status code: 503 Service Unavailable: "), true),
            (generic("Server returned non-2xx status code: 400 Bad Request: "), true),
            (generic("Server returned non-2xx status code: 403 Forbidden: "), false),
            (generic("Server returned non-2xx status code: 404 Not Found: "), false),
            (Error::PermissionDenied { path: path(), source: "".into() }, false),
            (Error::Unauthenticated { path: path(), source: "".into() }, false),
            (Error::NotFound { path: path(), source: "".into() }, false),
            (Error::NotImplemented { operation: path(), implementer: path() }, false),
        ] {
            assert_eq!(may_pass(&error), passes, "{error}");
        }
    }
}
