//! A store of objects in memory that fails as it is told.

use std::{
    fmt,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use async_trait::async_trait;
use futures::stream::BoxStream;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMode,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, memory::InMemory, path::Path,
};

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    None,
    /// No request is answered, and none is done.
    Away,
    /// So many creations are done and not answered.
    LostAnswers(u32),
    /// So many creations are answered as if another one held the name.
    Busy(u32),
    /// Nothing may be written.
    Denied,
    /// One creation is done and not answered, and then nothing may be written.
    LostThenDenied,
    /// A creation writes over what is there, and says that it created.
    Overwrites,
    /// A creation is done and told to have failed.
    Denies,
}

#[derive(Debug)]
pub(super) struct Faulty {
    inner: InMemory,
    fault: Mutex<Fault>,
    /// Creations that were asked for.
    pub(super) creations: AtomicU64,
}

impl Faulty {
    pub(super) fn new() -> Self {
        Self { inner: InMemory::new(), fault: Mutex::new(Fault::None), creations: AtomicU64::new(0) }
    }

    pub(super) fn set(&self, fault: Fault) {
        *self.fault.lock().unwrap() = fault;
    }

    /// The store itself, without its faults.
    pub(super) fn sound(&self) -> &InMemory {
        &self.inner
    }

    /// The fault of this request; one that is counted is one less.
    fn next(&self) -> Fault {
        let mut fault = self.fault.lock().unwrap();
        let found = *fault;
        *fault = match found {
            Fault::LostAnswers(1) | Fault::Busy(1) => Fault::None,
            Fault::LostAnswers(left) => Fault::LostAnswers(left - 1),
            Fault::Busy(left) => Fault::Busy(left - 1),
            Fault::LostThenDenied => Fault::Denied,
            Fault::None | Fault::Away | Fault::Denied | Fault::Overwrites | Fault::Denies => found,
        };
        found
    }

    fn demand_presence(&self) -> Result<()> {
        if *self.fault.lock().unwrap() == Fault::Away { Err(unanswered()) } else { Ok(()) }
    }
}

fn unanswered() -> Error {
    Error::Generic { store: "test", source: "connection reset".into() }
}

fn denied(path: &Path) -> Error {
    Error::PermissionDenied { path: path.to_string(), source: "read only".into() }
}

fn taken(path: &Path) -> Error {
    Error::AlreadyExists { path: path.to_string(), source: "conflict".into() }
}

impl fmt::Display for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a faulty store")
    }
}

#[async_trait]
impl ObjectStore for Faulty {
    async fn put_opts(&self, path: &Path, payload: PutPayload, mut options: PutOptions) -> Result<PutResult> {
        self.creations.fetch_add(1, Ordering::Relaxed);
        let fault = self.next();
        match fault {
            Fault::Away => return Err(unanswered()),
            Fault::Denied => return Err(denied(path)),
            Fault::Busy(_) => return Err(taken(path)),
            Fault::Overwrites => options.mode = PutMode::Overwrite,
            Fault::None | Fault::LostAnswers(_) | Fault::LostThenDenied | Fault::Denies => {}
        }
        // Others come between.
        tokio::task::yield_now().await;
        let done = self.inner.put_opts(path, payload, options).await;
        match fault {
            Fault::LostAnswers(_) | Fault::LostThenDenied => Err(unanswered()),
            Fault::Denies => Err(taken(path)),
            Fault::None | Fault::Away | Fault::Busy(_) | Fault::Denied | Fault::Overwrites => done,
        }
    }

    async fn put_multipart_opts(
        &self,
        path: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(path, options).await
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        self.demand_presence()?;
        self.inner.get_opts(path, options).await
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(paths)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.demand_presence()?;
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}
