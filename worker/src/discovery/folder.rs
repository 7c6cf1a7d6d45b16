//! Workers that find each other in a folder.

use std::io;
use std::path::{Path, PathBuf};

use futures::future::{BoxFuture, FutureExt as _, TryFutureExt as _};

use super::{Discovery, DiscoveryError, Member};
use crate::blocking::blocking;

/// A folder with a file for each worker.
#[derive(Clone, Debug)]
pub struct MemberFolder {
    folder: PathBuf,
}

impl MemberFolder {
    /// The workers in `folder`, which is made if it is not there.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn new(folder: impl Into<PathBuf>) -> Result<Self, DiscoveryError> {
        let folder = folder.into();
        std::fs::create_dir_all(&folder).map_err(failed("make", &folder))?;
        Ok(Self { folder })
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.json"))
    }

    fn announce_now(&self, me: &Member) -> Result<(), DiscoveryError> {
        let path = self.file(&me.name);
        let bytes = serde_json::to_vec(me)
            .map_err(|source| DiscoveryError::Damaged { path: path.clone(), source })?;
        let new = path.with_extension("new");
        std::fs::write(&new, bytes).map_err(failed("write", &new))?;
        std::fs::rename(&new, &path).map_err(failed("replace", &path))
    }

    /// The workers, by name.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub async fn members(&self) -> Result<Vec<Member>, DiscoveryError> {
        let folder = self.clone();
        blocking(move || folder.members_now()).await
    }

    fn withdraw_now(&self, me: &Member) -> Result<(), DiscoveryError> {
        if !self.members_now()?.contains(me) {
            return Ok(());
        }
        let path = self.file(&me.name);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("remove", &path)(error)),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    fn members_now(&self) -> Result<Vec<Member>, DiscoveryError> {
        let mut members = Vec::new();
        for entry in std::fs::read_dir(&self.folder).map_err(failed("list", &self.folder))? {
            let path = entry.map_err(failed("list", &self.folder))?.path();
            if path.extension().is_none_or(|end| end != "json") {
                continue;
            }
            match std::fs::read(&path) {
                Ok(bytes) => members.push(
                    serde_json::from_slice(&bytes)
                        .map_err(|source| DiscoveryError::Damaged { path: path.clone(), source })?,
                ),
                // It has just left.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(failed("read", &path)(error)),
            }
        }
        members.sort_by(|one: &Member, two| one.name.cmp(&two.name));
        Ok(members)
    }
}

impl Discovery for MemberFolder {
    fn announce<'a>(&'a self, me: &'a Member) -> BoxFuture<'a, Result<(), DiscoveryError>> {
        let (folder, me) = (self.clone(), me.clone());
        blocking(move || folder.announce_now(&me)).boxed()
    }

    fn withdraw<'a>(&'a self, me: &'a Member) -> BoxFuture<'a, Result<(), DiscoveryError>> {
        let (folder, me) = (self.clone(), me.clone());
        blocking(move || folder.withdraw_now(&me)).boxed()
    }

    fn find<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Option<String>, DiscoveryError>> {
        let found = move |members: Vec<Member>| {
            members.into_iter().find(|member| member.name == name).map(|member| member.address)
        };
        self.members().map_ok(found).boxed()
    }

    fn has_others<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<bool, DiscoveryError>> {
        self.members().map_ok(move |members| members.iter().any(|member| member.name != name)).boxed()
    }
}

fn failed(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> DiscoveryError {
    let path = path.to_owned();
    move |source| DiscoveryError::Folder { what, path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn workers_find_each_other() {
        let folder = tempfile::tempdir().unwrap();
        let members = MemberFolder::new(folder.path().join("members")).unwrap();
        let member = |name: &str, port: u16| Member {
            name: name.to_owned(),
            address: format!("http://127.0.0.1:{port}"),
        };
        for one in [member("b", 1), member("a", 2), member("b", 3)] {
            members.announce(&one).await.unwrap();
        }
        assert_eq!(members.members().await.unwrap(), [member("a", 2), member("b", 3)]);
        assert_eq!(members.find("b").await.unwrap().as_deref(), Some("http://127.0.0.1:3"));
        assert_eq!(members.find("c").await.unwrap(), None);
        assert!(members.has_others("b").await.unwrap());
        // Another process has the name.
        members.withdraw(&member("a", 9)).await.unwrap();
        assert!(members.has_others("b").await.unwrap());
        members.withdraw(&member("a", 2)).await.unwrap();
        members.withdraw(&member("a", 2)).await.unwrap();
        assert_eq!(members.members().await.unwrap(), [member("b", 3)]);
        assert!(!members.has_others("b").await.unwrap());
    }
}
