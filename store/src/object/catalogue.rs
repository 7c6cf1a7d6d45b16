//! The runs of an object store, their notes, and their removal.

use std::{collections::BTreeMap, fs, io, time::SystemTime};

use bytes::Bytes;
use object_store::{ObjectMeta, path::Path};

use super::{
    ObjectRuns,
    bucket::{Bucket, Created, Patience},
    envelope::{self, Writer},
    reader::object,
};
use crate::{RunEntry, RunName, StoreError, folder::disk, folder::notes};

impl ObjectRuns {
    pub(crate) fn runs(&self) -> Result<Vec<RunEntry>, StoreError> {
        let (bucket, folder) = (self.bucket.clone(), self.bucket.path("runs"));
        let objects = self.thread.wait(async move { bucket.list(&folder).await })?;
        let mut runs: BTreeMap<RunName, Vec<&ObjectMeta>> = BTreeMap::new();
        for found in &objects {
            let name = self.bucket.inner(&found.location).split('/').nth(1);
            if let Some(name) = name.and_then(|name| name.parse().ok()) {
                runs.entry(name).or_default().push(found);
            }
        }
        Ok(runs.into_iter().filter_map(|(name, objects)| self.summary(name, objects)).collect())
    }

    pub(crate) fn names(&self) -> Result<Vec<RunName>, StoreError> {
        let (bucket, folder) = (self.bucket.clone(), self.bucket.path("runs"));
        let folders = self.thread.wait(async move { bucket.folders(&folder).await })?;
        let mut names: Vec<RunName> = folders.iter().filter_map(|name| name.parse().ok()).collect();
        names.sort();
        Ok(names)
    }

    pub(crate) fn entry(&self, run: &RunName) -> Result<RunEntry, StoreError> {
        let (bucket, folder) = (self.bucket.clone(), self.folder(run));
        let objects = self.thread.wait(async move { bucket.list(&folder).await })?;
        let found = self.summary(run.clone(), &objects);
        found.ok_or_else(|| StoreError::NotFound { run: run.clone() })
    }

    /// What the objects of a run say of it; none if there is no first one of a log.
    fn summary<'a>(
        &self,
        name: RunName,
        objects: impl IntoIterator<Item = &'a ObjectMeta>,
    ) -> Option<RunEntry> {
        let (folder, first) = (self.folder(&name), object(&self.log_folder(&name), 0));
        let (blobs, note) = (folder.clone().join("blobs"), folder.join("note"));
        let (mut created, mut modified, mut bytes) = (None, SystemTime::UNIX_EPOCH, 0);
        for found in objects.into_iter().filter(|found| found.location != note) {
            bytes += found.size;
            if !found.location.prefix_matches(&blobs) {
                modified = modified.max(found.last_modified.into());
            }
            if found.location == first {
                created = Some(found.last_modified.into());
            }
        }
        created.map(|created| RunEntry { name, bytes, created, modified })
    }

    /// Removes a run: ends its log and its journals, so that whoever writes them is fenced, and then removes all.
    /// What another one left of a removal is removed, too.
    pub(crate) fn remove(&self, run: &RunName) -> Result<(), StoreError> {
        let (bucket, folder) = (self.bucket.clone(), self.folder(run));
        let listed = self.thread.wait(async move { bucket.list(&folder).await })?;
        if listed.is_empty() {
            return Err(StoreError::NotFound { run: run.clone() });
        }
        let mut ends = Vec::new();
        for log in self.logs_among(run, &listed) {
            let (bucket, objects) = (self.bucket.clone(), listed.clone());
            ends.push(self.thread.wait(async move { end(&bucket, &log, &objects).await })?);
        }
        let first = object(&self.log_folder(run), 0);
        let rest = listed.into_iter().map(|found| found.location).filter(|path| *path != first).collect();
        let (bucket, last) = (self.bucket.clone(), ends);
        self.thread.wait(async move {
            // Without its first object the run is gone; what fences its writers goes last.
            bucket.delete(vec![first], Patience::Short).await?;
            bucket.delete(rest, Patience::Short).await?;
            bucket.delete(last, Patience::Short).await
        })?;
        self.remove_folder(run)
    }

    /// The folders of the log and of the journals that have objects.
    fn logs_among(&self, run: &RunName, objects: &[ObjectMeta]) -> Vec<Path> {
        let (log, calls) = (self.log_folder(run), self.folder(run).join("calls"));
        let folders = objects.iter().filter_map(|found| found.location.parent());
        let mut logs: Vec<Path> =
            folders.filter(|folder| *folder == log || folder.prefix_matches(&calls)).collect();
        logs.sort();
        logs.dedup();
        logs
    }

    /// Where objects are files, folders stay behind them, and what a crash left of a file that was being written.
    fn remove_folder(&self, run: &RunName) -> Result<(), StoreError> {
        let Some(path) = self.bucket.folder(&self.folder(run)) else { return Ok(()) };
        match fs::remove_dir_all(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(disk::error("remove", &path)(error)),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    pub(crate) fn note(&self, run: &RunName) -> Result<Option<Vec<u8>>, StoreError> {
        self.read_note(self.folder(run).join("note"))
    }

    pub(crate) fn keep_note(&self, run: &RunName, note: &[u8]) -> Result<(), StoreError> {
        self.demand(run)?;
        self.write_note(self.folder(run).join("note"), note)
    }

    pub(crate) fn shared_note(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.read_note(self.bucket.path("notes").join(notes::file_name(name)))
    }

    pub(crate) fn keep_shared_note(&self, name: &str, note: &[u8]) -> Result<(), StoreError> {
        self.write_note(self.bucket.path("notes").join(notes::file_name(name)), note)
    }

    fn read_note(&self, path: Path) -> Result<Option<Vec<u8>>, StoreError> {
        let bucket = self.bucket.clone();
        let found = self.thread.wait(async move { Ok(bucket.read(&path, Patience::Short).await?) })?;
        Ok(found.map(|bytes| bytes.to_vec()))
    }

    fn write_note(&self, path: Path, note: &[u8]) -> Result<(), StoreError> {
        let (bucket, note) = (self.bucket.clone(), Bytes::copy_from_slice(note));
        self.thread.wait(async move { bucket.replace(&path, &note).await })
    }
}

/// Puts an end behind the last object of the log in `folder`, which nobody can write behind; its name.
async fn end(bucket: &Bucket, folder: &Path, objects: &[ObjectMeta]) -> Result<Path, StoreError> {
    let numbers = objects
        .iter()
        .filter(|found| found.location.parent().as_ref() == Some(folder))
        .filter_map(|found| found.location.filename()?.parse::<u64>().ok());
    let mut number = numbers.max().map_or(0, |last| last + 1);
    let bytes = envelope::of_removal(Writer::draw());
    loop {
        let path = object(folder, number);
        match bucket.create(&path, &bytes, Patience::Short).await? {
            Created::New => return Ok(path),
            Created::Taken => number += 1,
        }
    }
}
