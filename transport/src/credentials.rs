//! Certificates that are followed, or replaced: when they change, what begins after that uses them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::UnixTime;
use tokio::sync::watch;

use crate::files::{CHAIN, CredentialsError, Files};
use crate::identity::Identity;
#[cfg(feature = "request")]
use crate::issued::Issued;
use crate::material::Material;
use crate::refusals::Refusals;
use crate::verify::words;

/// How often the files are looked at.
pub const LOOK: Duration = Duration::from_secs(2);

/// Who a process is, and whom it trusts: the files `ca.crt`, `tls.crt` and `tls.key` of a folder, or the same in memory.
pub struct Credentials {
    identity: Identity,
    current: watch::Receiver<Arc<Material>>,
    refusals: Refusals,
}

impl Credentials {
    /// Reads the files of a folder, and follows them on the present tokio runtime for as long as the credentials are
    /// used: they are looked at every `look`. What cannot be used, such as a certificate whose key is not there yet,
    /// is warned of, and what was there before is used on.
    ///
    /// # Errors
    /// The files are not there, do not belong together, or would be refused by whoever trusts the same authorities.
    pub fn open(folder: impl Into<PathBuf>, look: Duration) -> Result<Arc<Self>, CredentialsError> {
        let folder = folder.into();
        let files = Files::read(&folder)?;
        let material = Material::of(&files, &folder)?;
        let identity = material.me.identity.clone();
        tracing::info!(%identity, serial = material.me.serial, "this process shows a certificate");
        let (sender, current) = watch::channel(Arc::new(material));
        tokio::spawn(Follower { folder, files, sender, warned: String::new() }.follow(look));
        Ok(Arc::new(Self { identity, current, refusals: Refusals::default() }))
    }

    /// Those of a certificate that was issued to this process, until it is replaced by what is given back with them.
    ///
    /// # Errors
    /// Its parts do not belong together, or would be refused by whoever trusts the same authorities.
    #[cfg(feature = "request")]
    pub fn held(issued: &Issued) -> Result<(Arc<Self>, Held), CredentialsError> {
        let material = Material::of(&issued.files(), Path::new(""))?;
        let identity = material.me.identity.clone();
        let (sender, current) = watch::channel(Arc::new(material));
        Ok((Arc::new(Self { identity, current, refusals: Refusals::default() }), Held(sender)))
    }

    /// Who the process is, as long as it lives.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The number of the certificate that is shown at present.
    #[must_use]
    pub fn serial(&self) -> String {
        self.current.borrow().me.serial.clone()
    }

    /// Who was refused.
    #[must_use]
    pub fn refusals(&self) -> &Refusals {
        &self.refusals
    }

    /// Whether others who trust the same authorities accept the certificate at this time.
    #[must_use]
    pub fn are_valid(&self) -> bool {
        self.current.borrow().check(UnixTime::now()).is_ok()
    }

    pub(crate) fn now(&self) -> Arc<Material> {
        Arc::clone(&self.current.borrow())
    }
}

/// Replaces credentials that are held in memory.
#[cfg(feature = "request")]
pub struct Held(watch::Sender<Arc<Material>>);

#[cfg(feature = "request")]
impl Held {
    /// What begins after this uses another certificate, which names the same.
    ///
    /// # Errors
    /// It names another, or cannot be used. Those before it are used on.
    pub fn replace(&self, issued: &Issued) -> Result<(), CredentialsError> {
        let material = Material::of(&issued.files(), Path::new(""))?;
        let material = is_the_same(&self.0.borrow(), material, Path::new(CHAIN))?;
        self.0.send_replace(Arc::new(material));
        Ok(())
    }
}

/// Looks at the files.
struct Follower {
    folder: PathBuf,
    /// What was read last, of use or not.
    files: Files,
    sender: watch::Sender<Arc<Material>>,
    /// What was warned of last: the same is not told again at each look.
    warned: String,
}

impl Follower {
    async fn follow(mut self, every: Duration) {
        loop {
            tokio::select! {
                () = self.sender.closed() => return,
                () = tokio::time::sleep(every) => {}
            }
            let folder = self.folder.clone();
            let read = tokio::task::spawn_blocking(move || Files::read(&folder));
            match read.await.expect("reading files does not panic") {
                Ok(files) => self.take(files),
                Err(error) => self.warn(&error),
            }
        }
    }

    fn take(&mut self, files: Files) {
        if files == self.files {
            self.check();
            return;
        }
        let before = Arc::clone(&self.sender.borrow());
        let same = |material| is_the_same(&before, material, &self.folder.join(CHAIN));
        match Material::of(&files, &self.folder).and_then(same) {
            Ok(material) => {
                let (serial, before) = (&material.me.serial, &before.me.serial);
                tracing::info!(serial, before, "the certificates were replaced");
                self.sender.send_replace(Arc::new(material));
                self.files = files;
                self.warned.clear();
            }
            Err(error) => self.warn(&error),
        }
    }

    /// What was not replaced in time is told; whoever is asked refuses it from then on.
    fn check(&mut self) {
        let material = Arc::clone(&self.sender.borrow());
        if let Err(error) = material.check(UnixTime::now()) {
            let path = self.folder.join(CHAIN);
            self.warn(&CredentialsError::Refused { path, why: words(&error) });
        }
    }

    fn warn(&mut self, error: &CredentialsError) {
        let why = with_causes(error);
        if why != self.warned {
            tracing::warn!(%why, "the certificates cannot be used; those before them are");
            self.warned = why;
        }
    }
}

/// The material, if it is of whom it was before.
fn is_the_same(before: &Material, material: Material, path: &Path) -> Result<Material, CredentialsError> {
    let (was, is) = (before.me.identity.clone(), material.me.identity.clone());
    if was == is {
        return Ok(material);
    }
    Err(CredentialsError::Another { path: path.to_owned(), was: Box::new(was), is: Box::new(is) })
}

/// An error with what has led to it.
pub(crate) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        text = format!("{text}: {source}");
        cause = source.source();
    }
    text
}
