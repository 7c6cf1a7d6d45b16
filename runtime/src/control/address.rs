//! Where the socket of a run is, and where that is written down.
//!
//! The path of a socket may have about a hundred bytes, and not every file system has sockets. So a socket lies in
//! the runtime folder of the user, under a name made from the folder of the run, and the file `control` beside
//! the run's log says where. Whoever has the log owns the path: what is found there was left by a process that
//! was killed.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::ControlError;

/// A path of a socket may have so many bytes on every system, its end included: 104 on BSDs.
const LONGEST_PATH: usize = 103;
/// The file beside the log.
const NOTE: &str = "control";
/// More than that is no note.
const LONGEST_NOTE: u64 = 4_096;

/// The folders that may have the sockets of runs.
#[derive(Clone, Debug)]
pub struct SocketFolder {
    candidates: Vec<PathBuf>,
}

impl SocketFolder {
    /// This one alone. It is made if its parent is there, and must belong to this user.
    pub fn at(folder: impl Into<PathBuf>) -> Self {
        Self { candidates: vec![folder.into()] }
    }

    /// `superstep` in `XDG_RUNTIME_DIR`; where there is none, `superstep-UID` in the folder for temporary files,
    /// and where that has too long a path, in `/tmp`.
    pub fn from_environment() -> Self {
        let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
        let own = format!("superstep-{}", user());
        let runtime = runtime.filter(|folder| folder.is_absolute()).map(|folder| folder.join("superstep"));
        let temporary = [std::env::temp_dir(), PathBuf::from("/tmp")].map(|folder| folder.join(&own));
        Self { candidates: runtime.into_iter().chain(temporary).collect() }
    }

    /// The path of the socket of the run in `folder`, in the first of these folders that can have it.
    ///
    /// # Errors
    /// None can.
    pub(super) fn socket_of(&self, folder: &Path) -> Result<PathBuf, ControlError> {
        let folder = fs::canonicalize(folder).map_err(|source| ControlError::Io {
            doing: "find",
            path: folder.to_owned(),
            source,
        })?;
        let name = blake3::hash(folder.as_os_str().as_encoded_bytes()).to_hex();
        let name = format!("{}.sock", &name[..16]);
        let mut tried = Vec::new();
        for candidate in &self.candidates {
            let path = candidate.join(&name);
            match prepare(candidate, &path) {
                Ok(()) => return Ok(path),
                Err(why) => tried.push(format!("{} {why}", candidate.display())),
            }
        }
        Err(ControlError::NoFolder { tried })
    }
}

/// Makes a folder for sockets ready, or tells why it cannot have this one.
fn prepare(folder: &Path, socket: &Path) -> Result<(), String> {
    if socket.as_os_str().len() > LONGEST_PATH {
        return Err("has too long a path".to_owned());
    }
    make_private(folder).map_err(|error| format!("cannot be made: {error}"))?;
    let found = fs::symlink_metadata(folder).map_err(|error| error.to_string())?;
    if !found.is_dir() {
        return Err("is no folder".to_owned());
    }
    keep_private(folder, &found)
}

#[cfg(unix)]
fn make_private(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    match fs::DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// In a folder that everybody may write to, another user may have made it first.
#[cfg(unix)]
fn keep_private(folder: &Path, found: &fs::Metadata) -> Result<(), String> {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    if found.uid() != user() {
        return Err("belongs to another user".to_owned());
    }
    if found.mode() & 0o077 != 0 {
        let closed = fs::set_permissions(folder, fs::Permissions::from_mode(0o700));
        return closed.map_err(|error| format!("is open to others: {error}"));
    }
    Ok(())
}

#[cfg(unix)]
fn user() -> u32 {
    rustix::process::getuid().as_raw()
}

#[cfg(not(unix))]
fn make_private(_: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(not(unix))]
fn keep_private(_: &Path, _: &fs::Metadata) -> Result<(), String> {
    Err("cannot be closed to others".to_owned())
}

#[cfg(not(unix))]
fn user() -> u32 {
    0
}

/// What stands in the file `control`.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Note {
    /// The version of the protocol that is spoken.
    pub(super) version: u32,
    /// The socket.
    pub(super) socket: PathBuf,
    /// Who listens, for people.
    pub(super) process: u32,
}

impl Note {
    /// Writes the note beside the log of the run in `folder`, whole or not at all.
    pub(super) fn keep(&self, folder: &Path) -> io::Result<()> {
        let path = folder.join(NOTE);
        let temporary = path.with_extension(format!("{}.tmp", self.process));
        fs::write(&temporary, serde_json::to_vec(self)?)?;
        fs::rename(&temporary, path)
    }

    /// The note beside the log of the run in `folder`. Whatever is no note is as good as none.
    pub(super) fn read(folder: &Path) -> Option<Self> {
        let file = fs::File::open(folder.join(NOTE)).ok()?;
        let mut text = Vec::new();
        file.take(LONGEST_NOTE).read_to_end(&mut text).ok()?;
        serde_json::from_slice(&text).ok()
    }

    /// Removes the note beside the log of the run in `folder`.
    pub(super) fn remove(folder: &Path) -> io::Result<()> {
        super::socket::remove(&folder.join(NOTE))
    }
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_socket_has_a_short_path_of_its_own_in_a_closed_folder() {
        let home = tempfile::tempdir().unwrap();
        let run = |name: &str| {
            let folder = home.path().join(name);
            fs::create_dir(&folder).unwrap();
            folder
        };
        let (one, two) = (run(&"long".repeat(60)), run("two"));
        let sockets = SocketFolder::at(home.path().join("sockets"));
        let first = sockets.socket_of(&one).unwrap();
        assert_eq!(sockets.socket_of(&one.join(".")).unwrap(), first, "it is the same folder");
        assert_ne!(sockets.socket_of(&two).unwrap(), first);
        assert!(first.as_os_str().len() <= LONGEST_PATH);
        assert_eq!(mode(&home.path().join("sockets")), 0o700);
        fs::set_permissions(home.path().join("sockets"), fs::Permissions::from_mode(0o755)).unwrap();
        sockets.socket_of(&one).unwrap();
        assert_eq!(mode(&home.path().join("sockets")), 0o700, "it was open to others");
    }

    #[test]
    fn a_folder_that_cannot_have_the_socket_is_passed_over() {
        let home = tempfile::tempdir().unwrap();
        let good = home.path().join("good");
        let link = home.path().join("link");
        symlink(home.path(), &link).unwrap();
        let long = home.path().join("x".repeat(100));
        let absent = home.path().join("absent/sockets");
        let candidates = vec![long, absent, link, good.clone()];
        let socket = SocketFolder { candidates: candidates.clone() }.socket_of(home.path()).unwrap();
        assert_eq!(socket.parent(), Some(good.as_path()));
        let none = SocketFolder { candidates: candidates[..3].to_vec() }.socket_of(home.path());
        let text = none.unwrap_err().to_string();
        for why in ["too long a path", "cannot be made", "is no folder"] {
            assert!(text.contains(why), "{text}");
        }
        // Of the root's folders none may be taken over.
        if user() != 0 {
            let foreign = SocketFolder::at("/").socket_of(home.path()).unwrap_err().to_string();
            assert!(foreign.contains("belongs to another user"), "{foreign}");
        }
    }

    #[test]
    fn what_is_no_note_is_as_good_as_none() {
        let home = tempfile::tempdir().unwrap();
        assert_eq!(Note::read(home.path()), None);
        let note = Note { version: 1, socket: "/run/x.sock".into(), process: 7 };
        note.keep(home.path()).unwrap();
        assert_eq!(Note::read(home.path()), Some(note));
        for text in ["", "{\"version\": 1, \"soc", &"x".repeat(1 << 20)] {
            fs::write(home.path().join(NOTE), text).unwrap();
            assert_eq!(Note::read(home.path()), None);
        }
        Note::remove(home.path()).unwrap();
        Note::remove(home.path()).unwrap();
    }
}
