//! The blobs of a run in an object store.

use std::sync::Arc;

use bytes::Bytes;
use object_store::path::Path;

use super::{
    bucket::{Bucket, Created, Patience},
    thread::ObjectThread,
};
use crate::{Digest, StoreError};

/// The blobs of one run. Clones are the same blobs.
#[derive(Clone, Debug)]
pub(crate) struct ObjectBlobs {
    pub(super) thread: ObjectThread,
    pub(super) bucket: Bucket,
    pub(super) folder: Path,
}

impl ObjectBlobs {
    pub(crate) fn put(&self, digest: Digest, bytes: &[u8]) -> Result<(), StoreError> {
        let (bucket, folder, bytes) =
            (self.bucket.clone(), self.folder.clone(), Bytes::copy_from_slice(bytes));
        self.thread.wait(async move { keep(&bucket, &folder, digest, bytes, Patience::Short).await })
    }

    pub(crate) fn get(&self, digest: Digest) -> Result<Arc<[u8]>, StoreError> {
        let (bucket, path) = (self.bucket.clone(), object(&self.folder, digest));
        let found = self.thread.wait(async move { Ok(bucket.read(&path, Patience::Short).await?) })?;
        let bytes = found.ok_or(StoreError::NoBlob { digest })?;
        if Digest::of(&bytes) == digest {
            Ok(bytes.as_ref().into())
        } else {
            let file = self.bucket.shown(&object(&self.folder, digest));
            Err(StoreError::CorruptBlob { file, digest })
        }
    }

    pub(crate) fn contains(&self, digest: Digest) -> Result<bool, StoreError> {
        let (bucket, path) = (self.bucket.clone(), object(&self.folder, digest));
        self.thread.wait(async move { bucket.contains(&path).await })
    }

    pub(crate) fn delete(&self, digest: Digest) -> Result<bool, StoreError> {
        let (bucket, path) = (self.bucket.clone(), object(&self.folder, digest));
        self.thread.wait(async move {
            let is_there = bucket.contains(&path).await?;
            if is_there {
                bucket.delete(vec![path], Patience::Short).await?;
            }
            Ok(is_there)
        })
    }
}

/// The object of a blob.
fn object(folder: &Path, digest: Digest) -> Path {
    let name = digest.to_string();
    let (shelf, rest) = name.split_at(2);
    folder.clone().join(shelf).join(rest)
}

/// Keeps the blob `bytes` in `folder`; it is durable when this returns.
pub(super) async fn keep(
    bucket: &Bucket,
    folder: &Path,
    digest: Digest,
    bytes: Bytes,
    patience: Patience,
) -> Result<(), StoreError> {
    let path = object(folder, digest);
    loop {
        match bucket.create(&path, &bytes, patience).await? {
            Created::New => return Ok(()),
            Created::Taken => {}
        }
        match bucket.read(&path, patience).await? {
            Some(found) if found == bytes => return bucket.settle(&path).await,
            // Nothing else can make it whole again.
            Some(_) => bucket.delete(vec![path.clone()], patience).await?,
            None => tokio::time::sleep(super::absence::pause(1)).await,
        }
    }
}
