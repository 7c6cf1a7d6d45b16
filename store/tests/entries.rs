//! The record that the tests keep, and folders that hold logs of it.

use std::{
    fs::{self, File},
    ops::Range,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use superstep_store::{Record, RunName, Store};
use tempfile::TempDir;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    number: u64,
    text: String,
}

impl Record for Entry {
    const FORMAT: u16 = 1;
}

impl Entry {
    /// The entry of a number, `width` bytes wide and neither zero nor repetitive.
    pub(crate) fn wide(number: u64, width: usize) -> Self {
        let text = (0..width).map(|at| char::from(b'a' + ((at as u64 * 7 + number) % 26) as u8)).collect();
        Self { number, text }
    }

    /// The entry of a number with `width` zero bytes.
    pub(crate) fn blank(number: u64, width: usize) -> Self {
        Self { number, text: "\0".repeat(width) }
    }
}

pub(crate) fn entries(numbers: Range<u64>) -> Vec<Entry> {
    numbers.map(|number| Entry::wide(number, 20)).collect()
}

/// A store of objects in a folder of `root`.
pub(crate) fn shared_folder(root: &Path) -> Store<Entry> {
    let place = format!("file://{}/objects", root.display());
    Store::object(&place.parse().unwrap()).unwrap()
}

/// A folder store whose only run is `run`.
pub(crate) struct Disk {
    root: TempDir,
    pub(crate) run: RunName,
}

impl Disk {
    /// A log of these batches, each one frame, closed cleanly.
    pub(crate) fn with(batches: &[Vec<Entry>]) -> Self {
        let disk = Self { root: TempDir::new().unwrap(), run: "run".parse().unwrap() };
        let mut log = disk.store().create(&disk.run, "test").unwrap();
        for batch in batches {
            log.append(batch.clone()).wait().unwrap();
        }
        drop(log);
        disk
    }

    pub(crate) fn store(&self) -> Store<Entry> {
        self.store_of()
    }

    pub(crate) fn store_of<R: Record>(&self) -> Store<R> {
        Store::folder(self.root.path()).unwrap()
    }

    pub(crate) fn path(&self) -> &Path {
        self.root.path()
    }

    /// The file of the first segment.
    pub(crate) fn segment(&self) -> PathBuf {
        self.root.path().join("runs/run/0000000000000000.log")
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        fs::read(self.segment()).unwrap()
    }

    pub(crate) fn replace(&self, bytes: &[u8]) {
        // Cutting a file to nothing first makes some file systems sync it.
        let file = File::options().write(true).open(self.segment()).unwrap();
        file.write_all_at(bytes, 0).unwrap();
        file.set_len(bytes.len() as u64).unwrap();
    }
}
