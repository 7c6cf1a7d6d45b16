//! What is noted beside all runs of a folder: a file per name in `notes/`.

use std::{
    fmt::Write as _,
    fs, io,
    path::{Path, PathBuf},
};

use super::disk;
use crate::StoreError;

/// The notes of a folder store.
#[derive(Debug)]
pub(crate) struct Notes {
    folder: PathBuf,
}

impl Notes {
    /// Those of the store at `path`. The folder is made with the first note.
    pub(super) fn of(path: &Path) -> Self {
        Self { folder: path.join("notes") }
    }

    pub(super) fn read(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let path = self.folder.join(file_name(name));
        match fs::read(&path) {
            Ok(note) => Ok(Some(note)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(disk::error("read", &path)(error)),
        }
    }

    pub(super) fn keep(&self, name: &str, note: &[u8]) -> Result<(), StoreError> {
        disk::create_folder(&self.folder)?;
        disk::write_loosely(&self.folder.join(file_name(name)), note)
    }
}

/// A name as that of a file, which leaves no folder and clashes with no file that is being written: what is
/// no letter, digit, `-` or `_` is written as `%` and two hexadecimal digits.
pub(crate) fn file_name(name: &str) -> String {
    let mut file = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_') {
            file.push(char::from(byte));
        } else {
            write!(file, "%{byte:02x}").expect("a String takes every text");
        }
    }
    file
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_lies_in_its_folder_whatever_its_name() {
        for (name, file) in
            [("costs-a_1", "costs-a_1"), ("../x", "%2e%2e%2fx"), ("é", "%c3%a9"), ("A.b", "A%2eb")]
        {
            assert_eq!(file_name(name), file);
        }
    }
}
