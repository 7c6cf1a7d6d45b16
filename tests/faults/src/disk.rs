//! A small disk that can be filled.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::machine::run;

const BYTES: u64 = 64 << 20;

/// A file system of 64 MiB in a folder, in a process that has mounts of its own.
pub(crate) struct Disk {
    folder: PathBuf,
    /// What it is.
    pub(crate) kind: &'static str,
}

impl Disk {
    /// ext4 on a loop device in `folder`, which must be there; in memory where no such device can be had.
    pub(crate) fn mount(folder: &Path) -> Result<Self> {
        let image = folder.with_extension("image");
        let shown = (folder.display(), image.display());
        // What it is on must have all of its space from the beginning.
        let ext4 = File::create(&image)
            .and_then(|mut file| io::copy(&mut io::repeat(0).take(BYTES), &mut file))
            .map_err(anyhow::Error::from)
            .and_then(|_| run(&format!("mkfs.ext4 -q -m 0 {}", shown.1)))
            .and_then(|()| run(&format!("mount -o loop {} {}", shown.1, shown.0)));
        let kind = match ext4 {
            Ok(()) => "ext4 on a loop device",
            Err(error) => {
                crate::say(&format!("the small disk is in memory, for there is no loop device: {error}"));
                run(&format!("mount -t tmpfs -o size={BYTES} tmpfs {}", shown.0))?;
                "tmpfs"
            }
        };
        Ok(Self { folder: folder.to_owned(), kind })
    }

    fn filler(&self) -> PathBuf {
        self.folder.join("filler")
    }

    /// Fills it to the last byte; with how many.
    pub(crate) fn fill(&self) -> Result<u64> {
        let mut file = File::create(self.filler())?;
        let (bytes, mut filled) = (vec![7u8; 1 << 20], 0);
        let mut size = bytes.len();
        while size > 0 {
            match file.write(&bytes[..size]) {
                Ok(written) => filled += written as u64,
                Err(error) if error.kind() == io::ErrorKind::StorageFull => size /= 2,
                Err(error) => return Err(error).context("the disk cannot be filled"),
            }
        }
        Ok(filled)
    }

    /// Frees what was filled.
    pub(crate) fn free(&self) -> Result<()> {
        fs::remove_file(self.filler()).context("the disk cannot be freed")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: whoever reads there yet is let.
        if let Err(error) = run(&format!("umount -l {}", self.folder.display())) {
            crate::say(&format!("the small disk stays: {error}"));
        }
    }
}
