//! Where programs are.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};

/// The file that the system will run for `program`: itself if it has a slash, else the first of that
/// name in the folders of `path`.
///
/// # Errors
/// There is none, or it must not be run.
pub(super) fn find(program: &str, path: Option<&OsStr>) -> io::Result<PathBuf> {
    if program.contains('/') {
        return runnable(Path::new(program));
    }
    let missing = || io::Error::new(io::ErrorKind::NotFound, "no folder of PATH has it");
    let folders = path.map(std::env::split_paths).into_iter().flatten();
    let mut found = folders.map(|folder| runnable(&folder.join(program)));
    found.find(Result::is_ok).unwrap_or_else(|| Err(missing()))
}

fn runnable(file: &Path) -> io::Result<PathBuf> {
    if std::fs::metadata(file)?.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    access(file, Access::EXEC_OK)?;
    Ok(file.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_as_the_system_finds_them() {
        let path = std::env::var_os("PATH");
        assert!(find("sh", path.as_deref()).unwrap().ends_with("sh"));
        assert!(find("/bin/sh", None).is_ok());
        for (program, kind) in [
            ("no-such-program", io::ErrorKind::NotFound),
            ("/no/such/program", io::ErrorKind::NotFound),
            ("/etc/passwd", io::ErrorKind::PermissionDenied),
            ("/etc", io::ErrorKind::IsADirectory),
        ] {
            assert_eq!(find(program, path.as_deref()).unwrap_err().kind(), kind, "{program}");
        }
        assert!(find("sh", None).is_err());
    }
}
