//! Reading the segments of a run.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{blobs_of, disk, rewrite::REWRITTEN};
use crate::{Blobs, Record, RunName, StoreError, segment::History};

/// A segment by its file.
#[derive(Debug)]
pub(super) struct SegmentFile {
    /// The number of its first record, which its name says.
    pub(super) first: u64,
    pub(super) path: PathBuf,
}

/// The segments of the log of a run, in order. A run without any does not exist.
pub(super) fn segments(folder: &Path, run: &RunName) -> Result<Vec<SegmentFile>, StoreError> {
    let mut files = segment_files(folder, run)?;
    if let Some(rewritten) = files.iter().position(|file| file.path.ends_with(REWRITTEN)) {
        files = vec![files.swap_remove(rewritten)];
    }
    Ok(files)
}

/// The segment files of a run, in order, those among them that a rewritten log has replaced.
pub(super) fn segment_files(folder: &Path, run: &RunName) -> Result<Vec<SegmentFile>, StoreError> {
    let missing = || StoreError::NotFound { run: run.clone() };
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(missing()),
        Err(error) => return Err(disk::error("list", folder)(error)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(disk::error("list", folder))?;
        let name = entry.file_name();
        let number = name.to_str().and_then(|name| name.strip_suffix(".log"));
        let first = number.and_then(|digits| u64::from_str_radix(digits, 16).ok());
        if let Some(first) = first.or_else(|| (name == REWRITTEN).then_some(0)) {
            found.push(SegmentFile { first, path: entry.path() });
        }
    }
    found.sort_by_key(|segment| segment.first);
    if found.is_empty() { Err(missing()) } else { Ok(found) }
}

/// The history of a run from record `from` on, and the file of its last segment. No writer may be at work.
pub(super) fn read<R: Record>(
    folder: &Path,
    run: &RunName,
    from: u64,
) -> Result<(History<R>, PathBuf), StoreError> {
    let mut files = segments(folder, run)?;
    let begin = files.iter().rposition(|segment| segment.first <= from).unwrap_or(0);
    let mut history = History::new(from, Blobs::folder(blobs_of(folder)));
    let last = files.len() - 1;
    for (index, segment) in files.iter().enumerate().skip(begin) {
        let data = fs::read(&segment.path).map_err(disk::error("read", &segment.path))?;
        history.scan(&segment.path, &data, index == begin, index == last)?;
    }
    Ok((history, files.swap_remove(last).path))
}

/// The history of a run that a writer may be adding to.
///
/// A frame that is just being written can look damaged, and a segment can be gone that was there, because the log
/// is rewritten. It is whole when the reading begins again, so what is damaged three times is damaged.
pub(super) fn read_beside_writer<R: Record>(
    folder: &Path,
    run: &RunName,
    from: u64,
) -> Result<History<R>, StoreError> {
    for _ in 0..2 {
        match read(folder, run, from) {
            Err(StoreError::Corrupt { .. } | StoreError::NoBlob { .. }) => {}
            Err(StoreError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
            other => return other.map(|(history, _)| history),
        }
    }
    read(folder, run, from).map(|(history, _)| history)
}
