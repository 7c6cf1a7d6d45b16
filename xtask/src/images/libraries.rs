//! The shared libraries of a binary that cannot be linked statically, as files of its image.

use crate::process::capture;
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The folder that Debian's loader looks in first.
const FOLDER: &str = "lib/x86_64-linux-gnu";
/// Belongs to the driver: the node's container runtime puts it in.
const DRIVER: &str = "libcuda.so";

/// A library that a binary asks for.
#[derive(Debug, PartialEq, Eq)]
enum Needed {
    /// By this name, found here.
    Library(String, PathBuf),
    /// The loader, which has to lie where the binary says.
    Loader(PathBuf),
    /// By a name that nothing here has.
    Absent(String),
}

/// Copies what the binary asks for, but for the driver, below this folder.
pub(super) fn collect(binary: &Path, root: &Path) -> Result<()> {
    let copy = |from: &Path, to: &Path| {
        let target = root.join(to);
        let parent = target.parent().unwrap_or(root);
        fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
        fs::copy(from, &target).map(drop).with_context(|| format!("cannot copy {}", from.display()))
    };
    for needed in read(&capture(Command::new("ldd").arg(binary))?) {
        match needed {
            Needed::Library(name, _) | Needed::Absent(name) if name.starts_with(DRIVER) => {}
            Needed::Library(name, path) => copy(&path, &Path::new(FOLDER).join(name))?,
            Needed::Loader(path) => copy(&path, path.strip_prefix("/").unwrap_or(&path))?,
            Needed::Absent(name) => {
                bail!(
                    "{} needs {name}, which is not on this machine; is it in LD_LIBRARY_PATH?",
                    binary.display()
                )
            }
        }
    }
    Ok(())
}

/// Reads what ldd says.
fn read(told: &str) -> Vec<Needed> {
    let lines = told.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let needed = lines.filter_map(|words| match words[..] {
        [name, "=>", "not", "found"] => Some(Needed::Absent(name.to_owned())),
        [name, "=>", path, _] => Some(Needed::Library(name.to_owned(), path.into())),
        [path, _] if path.starts_with('/') => Some(Needed::Loader(path.into())),
        _ => None,
    });
    needed.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ldd_says() {
        let told = "\tlinux-vdso.so.1 (0x00007ffc)\n\
            \tlibcublas.so.13 => not found\n\
            \tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f3f)\n\
            \t/lib64/ld-linux-x86-64.so.2 (0x00007f40)\n";
        let library = Needed::Library("libc.so.6".to_owned(), "/lib/x86_64-linux-gnu/libc.so.6".into());
        let loader = Needed::Loader("/lib64/ld-linux-x86-64.so.2".into());
        assert_eq!(read(told), [Needed::Absent("libcublas.so.13".to_owned()), library, loader]);
    }

    #[test]
    fn a_binary_runs_on_its_libraries_alone() {
        let folder = tempfile::tempdir().unwrap();
        let binary = Path::new("/bin/true");
        collect(binary, folder.path()).unwrap();
        let loader = folder.path().join("lib64/ld-linux-x86-64.so.2");
        let libraries = folder.path().join(FOLDER);
        let mut run = Command::new(loader);
        run.arg("--inhibit-cache").arg("--library-path").arg(libraries).arg(binary);
        assert!(run.status().unwrap().success());
    }
}
