//! The models that this machine keeps.
//!
//! A file of a hub lies at `hf/OWNER/NAME/REVISION/FILE` in `superstep/models` of the XDG cache folder, and is there
//! whole or not at all. Beside it, `FILE.origin.json` says what it is, and `FILE.partial` holds what has come of a
//! file that is not whole yet.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::fetch_error::{FetchError, cache_error};
use super::hub::HubFile;

const ORIGIN: &str = ".origin.json";
const PARTIAL: &str = ".partial";

/// The folder of models.
#[derive(Clone, Debug)]
pub struct ModelCache {
    folder: PathBuf,
}

/// Where a file of a hub is kept.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// The file itself.
    pub(crate) path: PathBuf,
}

/// What is known of a file that was fetched, or is being fetched.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Origin {
    /// `hf:OWNER/NAME/FILE@REVISION`.
    pub(crate) name: String,
    /// The strong entity tag by which the hub knows these bytes.
    pub(crate) etag: Option<String>,
    /// The digest, in hex, once the file is whole.
    pub(crate) sha256: Option<String>,
}

/// A model of the cache.
#[derive(Debug, PartialEq, Eq)]
pub struct Cached {
    /// `hf:OWNER/NAME/FILE@REVISION`, or its path in the cache if nobody knows where it came from.
    pub name: String,
    /// Its bytes on this machine.
    pub bytes: u64,
    /// Its digest, in hex, if it was taken.
    pub sha256: Option<String>,
    /// Whether all of it is there.
    pub complete: bool,
    /// The file.
    pub path: PathBuf,
}

impl ModelCache {
    /// The cache of the environment: `superstep/models` in `XDG_CACHE_HOME`, else in `~/.cache`.
    ///
    /// # Errors
    /// There is neither.
    pub fn of(lookup: &dyn Fn(&str) -> Option<String>) -> Result<Self, FetchError> {
        // The XDG specification ignores paths that are not absolute.
        let absolute = |name: &str| lookup(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let home = || absolute("HOME").map(|home| home.join(".cache"));
        let cache = absolute("XDG_CACHE_HOME").or_else(home).ok_or(FetchError::NoCache)?;
        Ok(Self { folder: cache.join("superstep/models") })
    }

    /// The folder for weights that were converted for the kernels of this version. They are no models, and are made
    /// again when they are missing.
    #[cfg(feature = "inference")]
    pub(crate) fn converted(&self) -> PathBuf {
        self.folder.join(".converted")
    }

    /// Where `file` is kept.
    pub(crate) fn place(&self, file: &HubFile) -> Place {
        Place { path: self.folder.join("hf").join(file.path()) }
    }

    /// All models, by their paths; none if there is no cache so far.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn models(&self) -> Result<Vec<Cached>, FetchError> {
        let mut models = Vec::new();
        let mut folders = vec![self.folder.clone()];
        while let Some(folder) = folders.pop() {
            let entries = match fs::read_dir(&folder) {
                Ok(entries) => entries,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(cache_error(&folder)(error)),
            };
            for entry in entries {
                let entry = entry.map_err(cache_error(&folder))?;
                let kind = entry.file_type().map_err(cache_error(&folder))?;
                let name = entry.file_name().to_string_lossy().into_owned();
                if name.starts_with('.') || name.ends_with(ORIGIN) {
                    continue;
                }
                if kind.is_dir() {
                    folders.push(entry.path());
                } else {
                    models.push(self.cached(&entry.path())?);
                }
            }
        }
        models.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(models)
    }

    fn cached(&self, path: &Path) -> Result<Cached, FetchError> {
        let bytes = fs::metadata(path).map_err(cache_error(path))?.len();
        let text = path.to_string_lossy();
        let whole = text.strip_suffix(PARTIAL);
        let place = Place { path: whole.map_or_else(|| path.to_owned(), PathBuf::from) };
        let origin = place.origin()?;
        let inside = place.path.strip_prefix(&self.folder).unwrap_or(&place.path);
        Ok(Cached {
            name: if origin.name.is_empty() { inside.display().to_string() } else { origin.name },
            bytes,
            sha256: origin.sha256.filter(|_| whole.is_none()),
            complete: whole.is_none(),
            path: path.to_owned(),
        })
    }
}

impl Place {
    /// The file that holds what has come so far.
    pub(crate) fn partial(&self) -> PathBuf {
        self.beside(PARTIAL)
    }

    /// What is known of the file: nothing, if there is no record of it or an unreadable one.
    ///
    /// # Errors
    /// The record is there and cannot be read.
    pub(crate) fn origin(&self) -> Result<Origin, FetchError> {
        let path = self.beside(ORIGIN);
        match fs::read(&path) {
            // What cannot be made sense of is not known.
            Ok(bytes) => Ok(serde_json::from_slice(&bytes).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Origin::default()),
            Err(error) => Err(cache_error(&path)(error)),
        }
    }

    /// Keeps what is known of the file.
    pub(crate) fn put_origin(&self, origin: &Origin) -> Result<(), FetchError> {
        let path = self.beside(ORIGIN);
        let bytes = serde_json::to_vec(origin).map_err(io::Error::other).map_err(cache_error(&path))?;
        fs::write(&path, bytes).map_err(cache_error(&path))
    }

    /// Whether the file is there, with the digest that is asked for. It is read only where its digest is not known.
    pub(crate) fn holds(&self, sha256: Option<&str>) -> Result<bool, FetchError> {
        if !self.path.is_file() {
            return Ok(false);
        }
        let Some(expected) = sha256 else { return Ok(true) };
        let found = match self.origin()?.sha256 {
            Some(known) => known,
            None => digest(&self.path)?,
        };
        Ok(found.eq_ignore_ascii_case(expected))
    }

    /// Takes the digest of the file anew, and removes a file that is not as it was fetched.
    pub(crate) fn verify(&self) -> Result<(), FetchError> {
        if !self.path.is_file() {
            return Ok(());
        }
        let found = digest(&self.path)?;
        let origin = self.origin()?;
        match &origin.sha256 {
            Some(known) if *known == found => Ok(()),
            Some(_) => fs::remove_file(&self.path).map_err(cache_error(&self.path)),
            None => self.put_origin(&Origin { sha256: Some(found), ..origin }),
        }
    }

    fn beside(&self, suffix: &str) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(suffix);
        name.into()
    }
}

/// The SHA-256 of a file, in hex.
///
/// # Errors
/// It cannot be read.
pub fn digest(path: &Path) -> Result<String, FetchError> {
    let mut file = File::open(path).map_err(cache_error(path))?;
    let mut hasher = Sha256::new();
    take_in(&mut hasher, &mut file).map_err(cache_error(path))?;
    Ok(hex(hasher))
}

/// Adds all that `from` has left, and gives its length.
pub(crate) fn take_in(hasher: &mut Sha256, from: &mut impl Read) -> io::Result<u64> {
    let mut buffer = vec![0; 1 << 18];
    let mut length = 0;
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(length),
            Ok(count) => {
                hasher.update(&buffer[..count]);
                length += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// A digest, in hex.
pub(crate) fn hex(hasher: Sha256) -> String {
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
