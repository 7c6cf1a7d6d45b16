//! Fetching a file of a hub into the cache, once, whoever asks for it and however often it is interrupted.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::Duration;

use reqwest::header::{CONTENT_RANGE, ETAG};
use reqwest::{Response, StatusCode};
use sha2::{Digest, Sha256};

use super::cache::{ModelCache, Origin, Place, hex, take_in};
use super::downloads::Downloads;
use super::fetch_error::{FetchError, cache_error};
use super::hub::{Hub, HubFile};

/// How often a hub is asked again that does not answer, and how long after.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// Failures in a row that are borne before the last is told; what brings bytes ends the row.
    pub(crate) failures: u32,
    /// The wait after the first failure; it doubles with each.
    pub(crate) pause: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { failures: 4, pause: Duration::from_secs(1) }
    }
}

/// Who fetches, and where to.
pub(crate) struct Fetcher<'a> {
    /// The hub that is asked.
    pub(crate) hub: &'a Hub,
    /// Where files are kept.
    pub(crate) cache: &'a ModelCache,
    /// Where it is shown.
    pub(crate) downloads: &'a dyn Downloads,
    /// How often it is tried.
    pub(crate) patience: Patience,
}

impl Fetcher<'_> {
    /// The file on this machine: from the cache if it is there with the digest that is asked for, else fetched.
    ///
    /// The cache holds whole files only, whenever this process ends. What came of a file before that is used by the
    /// next that wants it. Of several processes one fetches, and the others wait.
    ///
    /// # Errors
    /// The hub does not have it, has another one, or cannot be reached; or the cache cannot be written to.
    pub(crate) async fn fetch(&self, file: &HubFile, sha256: Option<&str>) -> Result<PathBuf, FetchError> {
        let place = self.cache.place(file);
        loop {
            if place.holds(sha256)? {
                return Ok(place.path);
            }
            let Some(mut partial) = Partial::open(&place, file, self.downloads)? else { continue };
            if place.holds(sha256)? {
                partial.discard()?;
                return Ok(place.path);
            }
            if !partial.is(sha256) {
                let fetched = self.complete(file, &mut partial).await;
                self.downloads.clear();
                fetched?;
            }
            partial.keep(file, sha256)?;
            return Ok(place.path);
        }
    }

    async fn complete(&self, file: &HubFile, partial: &mut Partial<'_>) -> Result<(), FetchError> {
        let (mut failures, mut furthest) = (0, partial.received);
        loop {
            let Err(error) = self.transfer(file, partial).await else { return Ok(()) };
            failures = if partial.received > furthest { 1 } else { failures + 1 };
            furthest = furthest.max(partial.received);
            let is_away = furthest == 0
                && matches!(&error, FetchError::Unreachable { source, .. } if source.is_connect());
            if is_away || !error.may_pass() || failures > self.patience.failures {
                return Err(error);
            }
            let pause = self.patience.pause * (1 << (failures - 1));
            tracing::debug!(%error, ?pause, "a download is tried again");
            tokio::time::sleep(pause).await;
        }
    }

    async fn transfer(&self, file: &HubFile, partial: &mut Partial<'_>) -> Result<(), FetchError> {
        self.downloads.say(file.to_string());
        let etag = partial.etag.clone();
        let from = etag.as_deref().filter(|_| partial.received > 0).map(|etag| (partial.received, etag));
        let mut answer = match self.hub.ask(file, from).await {
            Err(FetchError::Refused { status: StatusCode::RANGE_NOT_SATISFIABLE, .. }) => {
                partial.begin(None)?;
                self.hub.ask(file, None).await?
            }
            answer => answer?,
        };
        if !goes_on(&answer, partial.received) {
            partial.begin(strong_tag(&answer))?;
        }
        let total = answer.content_length().map(|rest| partial.received + rest);
        self.downloads.begin(partial.received);
        loop {
            match answer.chunk().await {
                Ok(Some(bytes)) => partial.put(&bytes)?,
                Ok(None) => return Ok(()),
                Err(source) => {
                    let (file, received) = (file.to_string(), partial.received);
                    return Err(FetchError::Interrupted {
                        file,
                        received,
                        total,
                        source: source.without_url(),
                    });
                }
            }
            self.downloads.stand(partial.received, total);
        }
    }
}

/// Whether what comes is the rest of a file of which `received` bytes are there.
fn goes_on(answer: &Response, received: u64) -> bool {
    let range = answer.headers().get(CONTENT_RANGE).and_then(|range| range.to_str().ok());
    answer.status() == StatusCode::PARTIAL_CONTENT
        && range.is_some_and(|range| range.starts_with(&format!("bytes {received}-")))
}

/// The tag by which exactly these bytes are known; a weak one stands for others as well.
fn strong_tag(answer: &Response) -> Option<String> {
    let tag = answer.headers().get(ETAG)?.to_str().ok()?;
    (!tag.starts_with("W/")).then(|| tag.to_owned())
}

/// What has come of a file, locked against other processes.
struct Partial<'a> {
    place: &'a Place,
    file: File,
    name: String,
    etag: Option<String>,
    received: u64,
    hasher: Sha256,
}

impl<'a> Partial<'a> {
    /// Waits for the lock, blocking the thread. Nothing if another process finished the file meanwhile.
    fn open(place: &'a Place, name: &HubFile, downloads: &dyn Downloads) -> Result<Option<Self>, FetchError> {
        let path = place.partial();
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(cache_error(folder))?;
        }
        let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = open.map_err(cache_error(&path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                downloads.say(format!("another process fetches {name}"));
                file.lock().map_err(cache_error(&path))?;
                downloads.clear();
            }
            Err(TryLockError::Error(error)) => return Err(cache_error(&path)(error)),
        }
        // Who held the lock may have moved the file to its place, and then the lock is on that.
        let locked = file.metadata().map_err(cache_error(&path))?;
        match fs::metadata(&path) {
            Ok(named) if (named.dev(), named.ino()) == (locked.dev(), locked.ino()) => {}
            Ok(_) => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(cache_error(&path)(error)),
        }
        let etag = place.origin()?.etag;
        let mut hasher = Sha256::new();
        let received = take_in(&mut hasher, &mut file).map_err(cache_error(&path))?;
        Ok(Some(Self { place, file, name: name.to_string(), etag, received, hasher }))
    }

    /// Empties the file, for the bytes that `etag` stands for.
    fn begin(&mut self, etag: Option<String>) -> Result<(), FetchError> {
        let path = self.place.partial();
        self.file.set_len(0).map_err(cache_error(&path))?;
        self.file.seek(SeekFrom::Start(0)).map_err(cache_error(&path))?;
        self.received = 0;
        self.hasher = Sha256::new();
        self.etag = etag;
        self.record(None)
    }

    fn record(&self, sha256: Option<String>) -> Result<(), FetchError> {
        self.place.put_origin(&Origin { name: self.name.clone(), etag: self.etag.clone(), sha256 })
    }

    /// Whether it is whole already, which only a digest tells.
    fn is(&self, sha256: Option<&str>) -> bool {
        sha256.is_some_and(|expected| hex(self.hasher.clone()).eq_ignore_ascii_case(expected))
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), FetchError> {
        self.file.write_all(bytes).map_err(cache_error(&self.place.partial()))?;
        self.hasher.update(bytes);
        self.received += bytes.len() as u64;
        Ok(())
    }

    /// Moves the whole file to its place, if its digest is the one that was asked for.
    fn keep(mut self, file: &HubFile, sha256: Option<&str>) -> Result<(), FetchError> {
        let found = hex(std::mem::take(&mut self.hasher));
        if let Some(expected) = sha256.filter(|expected| !found.eq_ignore_ascii_case(expected)) {
            let expected = expected.to_owned();
            self.discard()?;
            return Err(FetchError::Digest { file: file.to_string(), expected, found });
        }
        let path = self.place.partial();
        self.file.sync_all().map_err(cache_error(&path))?;
        fs::rename(&path, &self.place.path).map_err(cache_error(&self.place.path))?;
        // In this order: a record of a file that is not there yet would be taken for one of what it replaces.
        self.record(Some(found))
    }

    fn discard(self) -> Result<(), FetchError> {
        let path = self.place.partial();
        fs::remove_file(&path).map_err(cache_error(&path))
    }
}

#[cfg(test)]
mod tests;
