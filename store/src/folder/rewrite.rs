//! Other records in the place of a log that is there.
//!
//! The new log is one segment, which is written whole as `rewritten` and named [`REWRITTEN`] then. From that name
//! on it is the log, whatever other segments stand beside it: they are removed, with the blobs that only they
//! named, and last the segment takes its usual name. A crash leaves the old log or the new one, and who opens the
//! run the next time to write clears up behind the crash.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

use super::{FolderRuns, NOTE, blobs_of, disk, history, listed, lock::Lock, segment_path};
use crate::{
    Blobs, Digest, Record, RunName, StoreError,
    frame::{self, Chain, Draft},
    segment,
    spill::Encoded,
};

/// The name of a segment that is the whole log, until what it replaces is gone.
pub(super) const REWRITTEN: &str = "rewritten.log";
/// A frame of a new log is closed when its records have this many bytes.
const FRAME_BYTES: usize = 1 << 20;

impl FolderRuns {
    /// As [`Store::rewrite`](crate::Store::rewrite).
    pub(crate) fn rewrite<R: Record, E: From<StoreError>>(
        &self,
        run: &RunName,
        owner: &str,
        change: impl FnOnce(Vec<R>) -> Result<Option<Vec<R>>, E>,
    ) -> Result<bool, E> {
        let folder = self.folder(run);
        history::segments(&folder, run)?;
        let lock = Lock::take(&folder, run, owner)?;
        let rewritten = replace(&folder, run, change);
        lock.release();
        rewritten
    }
}

fn replace<R: Record, E: From<StoreError>>(
    folder: &Path,
    run: &RunName,
    change: impl FnOnce(Vec<R>) -> Result<Option<Vec<R>>, E>,
) -> Result<bool, E> {
    clear_up::<R>(folder, run)?;
    let (history, last) = history::read::<R>(folder, run, 0)?;
    let Some(records) = change(history.records)? else { return Ok(false) };
    write(folder, &last, &records)?;
    clear_up::<R>(folder, run)?;
    Ok(true)
}

/// Writes the new log beside the old one, and makes it the log. It is as old as `last`, the last segment of the
/// old one: nothing was appended.
fn write<R: Record>(folder: &Path, last: &Path, records: &[R]) -> Result<(), StoreError> {
    let look_at = || disk::error("look at", last);
    let modified = fs::metadata(last).and_then(|metadata| metadata.modified()).map_err(look_at())?;
    let blobs = Blobs::folder(blobs_of(folder));
    let head = segment::Head { record_format: R::FORMAT, first: 0, chain: Chain::GENESIS };
    let mut file = Frames { bytes: head.encode().to_vec(), chain: head.chain, draft: Draft::new() };
    let mut frame = Encoded::default();
    let mut count = 0;
    for record in records {
        frame.push(record)?;
        count += 1;
        for (_, bytes) in std::mem::take(&mut frame.blobs) {
            blobs.put(&bytes)?;
        }
        if frame.records.len() >= FRAME_BYTES {
            file.push(&std::mem::take(&mut frame).records, std::mem::take(&mut count));
        }
    }
    if count > 0 {
        file.push(&frame.records, count);
    }
    // What is noted of a run is known by the length and the time of its log, and this log has the same time.
    remove(&folder.join(NOTE))?;
    disk::write_whole_of(&folder.join(REWRITTEN), &file.bytes, modified)
}

/// A segment in the making.
struct Frames {
    bytes: Vec<u8>,
    chain: Chain,
    draft: Draft,
}

impl Frames {
    fn push(&mut self, encoded: &[u8], records: u32) {
        let start = frame::start_after(self.bytes.len() as u64);
        self.bytes.resize(usize::try_from(start).expect("a segment in memory fits"), 0);
        self.draft.push(encoded, records);
        self.bytes.extend_from_slice(self.draft.finish(start, &mut self.chain));
        self.draft.clear();
    }
}

/// One step of clearing up. Whatever steps were taken before a crash, the log is the new one.
#[derive(Debug)]
enum Step {
    Remove(PathBuf),
    SyncFolder,
    Name,
}

/// Removes what a rewritten log has replaced, if there is one that has not its usual name yet. The lock is held.
pub(super) fn clear_up<R: Record>(folder: &Path, run: &RunName) -> Result<(), StoreError> {
    steps::<R>(folder, run)?.into_iter().try_for_each(|step| take(folder, step))
}

fn steps<R: Record>(folder: &Path, run: &RunName) -> Result<Vec<Step>, StoreError> {
    let rewritten = folder.join(REWRITTEN);
    if !rewritten.try_exists().map_err(disk::error("look for", &rewritten))? {
        return Ok(Vec::new());
    }
    let mut steps: Vec<Step> = history::segment_files(folder, run)?
        .into_iter()
        .filter(|file| file.path != rewritten)
        .map(|file| Step::Remove(file.path))
        .collect();
    steps.extend(unnamed::<R>(folder, run)?.into_iter().map(Step::Remove));
    // An old segment that came back behind the new first one would look like damage.
    steps.extend([Step::SyncFolder, Step::Name, Step::SyncFolder]);
    Ok(steps)
}

fn take(folder: &Path, step: Step) -> Result<(), StoreError> {
    match step {
        Step::Remove(path) => remove(&path),
        Step::SyncFolder => disk::sync_folder(folder),
        Step::Name => {
            let rewritten = folder.join(REWRITTEN);
            fs::rename(&rewritten, segment_path(folder, 0)).map_err(disk::error("name", &rewritten))
        }
    }
}

/// The files of the blobs that no record of the log names.
fn unnamed<R: Record>(folder: &Path, run: &RunName) -> Result<Vec<PathBuf>, StoreError> {
    let shelves = listed(&blobs_of(folder))?;
    if shelves.is_empty() {
        return Ok(Vec::new());
    }
    let mut named: BTreeSet<Digest> = BTreeSet::new();
    for record in &history::read::<R>(folder, run, 0)?.0.records {
        let mut encoded = Encoded::default();
        encoded.push(record)?;
        named.extend(encoded.blobs.into_iter().map(|(digest, _)| digest));
    }
    let mut found = Vec::new();
    for shelf in shelves {
        for blob in listed(&shelf.path())? {
            let name = (shelf.file_name().into_string(), blob.file_name().into_string());
            let digest = match name {
                (Ok(shelf), Ok(rest)) => format!("{shelf}{rest}").parse().ok(),
                (Err(_), _) | (_, Err(_)) => None,
            };
            if digest.is_none_or(|digest| !named.contains(&digest)) {
                found.push(blob.path());
            }
        }
    }
    Ok(found)
}

fn remove(path: &Path) -> Result<(), StoreError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(disk::error("remove", path)(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests;
