//! Reading on in a log that its writer adds to.

use std::{
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use super::{blobs_of, disk, history, segment_path};
use crate::{Blobs, Record, RunName, StoreError, frame::SECTOR, segment::History};

/// A reader that stands somewhere in the log of a run in a folder.
#[derive(Debug)]
pub(crate) struct FolderFollower<R> {
    run: RunName,
    folder: PathBuf,
    segment: PathBuf,
    /// Whether the head of the segment was read.
    entered: bool,
    /// Whether that is the first segment which is read.
    first: bool,
    history: History<R>,
}

impl<R: Record> FolderFollower<R> {
    pub(crate) fn new(folder: PathBuf, run: RunName, from: u64) -> Result<Self, StoreError> {
        let mut files = history::segments(&folder, &run)?;
        let begin = files.iter().rposition(|segment| segment.first <= from).unwrap_or(0);
        let segment = files.swap_remove(begin).path;
        let history = History::new(from, Blobs::folder(blobs_of(&folder)));
        Ok(Self { run, folder, segment, entered: false, first: true, history })
    }

    pub(crate) fn next(&self) -> u64 {
        self.history.next
    }

    /// A frame that is just being written can look damaged; what is damaged three times is damaged.
    pub(crate) fn read(&mut self) -> Result<Vec<R>, StoreError> {
        for _ in 0..2 {
            match self.advance() {
                Err(StoreError::Corrupt { .. }) => {}
                other => return other,
            }
        }
        self.advance()
    }

    fn advance(&mut self) -> Result<Vec<R>, StoreError> {
        loop {
            let before = self.history.next;
            self.take_in()?;
            if self.history.next > before {
                // What the writer has not synced yet is made durable before anybody is told of it.
                let synced = File::open(&self.segment).and_then(|file| file.sync_data());
                synced.map_err(disk::error("sync", &self.segment))?;
            }
            let following = segment_path(&self.folder, self.history.next);
            if following == self.segment || !following.exists() {
                return Ok(self.history.take_records());
            }
            (self.segment, self.entered, self.first) = (following, false, false);
        }
    }

    /// Takes in the whole frames that stand in the segment behind those that were taken in before.
    fn take_in(&mut self) -> Result<(), StoreError> {
        let end = if self.entered { self.history.end } else { 0 };
        // Frames are told apart by where they lie in their sectors.
        let base = end - end % SECTOR as u64;
        let data = self.data(base)?;
        if !self.entered {
            self.history.enter(&self.segment, &data, self.first)?;
            self.entered = true;
        }
        self.history.frames(&self.segment, &data, base).map(drop)
    }

    fn data(&self, base: u64) -> Result<Vec<u8>, StoreError> {
        match read_from(&self.segment, base) {
            Ok(data) => Ok(data),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(StoreError::NotFound { run: self.run.clone() })
            }
            Err(error) => Err(disk::error("read", &self.segment)(error)),
        }
    }
}

fn read_from(path: &Path, base: u64) -> io::Result<Vec<u8>> {
    if base == 0 {
        return fs::read(path);
    }
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(base))?;
    let mut data = Vec::new();
    file.read_to_end(&mut data)?;
    Ok(data)
}
