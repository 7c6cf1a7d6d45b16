//! Where an object store is.

use std::{fmt, path::PathBuf, str::FromStr};

use url::Url;

use crate::StoreError;

/// The place of an object store: a URL, and settings of its client.
///
/// - `file:///absolute/folder`: a folder that all share. Its file system has hard links, and creates a name for
///   exactly one of several who do so at once.
/// - `s3://bucket/prefix` (feature `s3`), with the variables `AWS_…` of the environment: `AWS_ENDPOINT`,
///   `AWS_REGION`, `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, …; plain HTTP needs `AWS_ALLOW_HTTP=true`.
/// - `gs://bucket/prefix` (feature `gcs`), with `GOOGLE_…`.
/// - `az://container/prefix` (feature `azure`), with `AZURE_…`.
///
/// The names and meanings of the variables are those of the crate `object_store`.
#[derive(Clone, PartialEq, Eq)]
pub struct ObjectPlace {
    url: String,
    pub(super) kind: Kind,
    pub(super) settings: Vec<(String, String)>,
}

/// What kind of store is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Folder(PathBuf),
    S3(Cloud),
    Gcs(Cloud),
    Azure(Cloud),
}

/// A place in a cloud.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cloud {
    pub(super) bucket: String,
    pub(super) prefix: String,
}

impl ObjectPlace {
    /// The same place, of which the variable `name` has `value` whatever the environment says.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }
}

impl FromStr for ObjectPlace {
    type Err = StoreError;

    fn from_str(text: &str) -> Result<Self, StoreError> {
        let url = Url::parse(text).map_err(|error| bad(text, &error.to_string()))?;
        if !url.username().is_empty() || url.password().is_some() {
            // Without the text, which may hold a secret.
            return Err(bad(url.scheme(), "credentials belong into the environment"));
        }
        if !text.get(url.scheme().len()..).is_some_and(|rest| rest.starts_with("://")) {
            return Err(bad(text, "it is a URL with ://"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(bad(text, "it takes no query and no fragment"));
        }
        let kind = Kind::of(&url).map_err(|why| bad(text, why))?;
        Ok(Self { url: text.trim_end_matches('/').to_owned(), kind, settings: Vec::new() })
    }
}

impl Kind {
    fn of(url: &Url) -> Result<Self, &'static str> {
        match url.scheme() {
            "file" => match url.to_file_path() {
                Ok(path) if path.parent().is_some() => Ok(Self::Folder(path)),
                Ok(_) => Err("the root of the file system is no folder for runs"),
                Err(()) => Err("it takes an absolute path and no host: file:///folder"),
            },
            "s3" => Cloud::of(url).map(Self::S3),
            "gs" => Cloud::of(url).map(Self::Gcs),
            "az" => Cloud::of(url).map(Self::Azure),
            _ => Err("it begins with file://, s3://, gs:// or az://"),
        }
    }
}

impl Cloud {
    fn of(url: &Url) -> Result<Self, &'static str> {
        let bucket = url.host_str().filter(|host| !host.is_empty()).ok_or("it names no bucket")?;
        if url.port().is_some() {
            return Err("it takes no port: where the service is belongs into the environment");
        }
        Ok(Self { bucket: bucket.to_owned(), prefix: url.path().trim_matches('/').to_owned() })
    }
}

fn bad(place: &str, why: &str) -> StoreError {
    StoreError::BadPlace { place: place.to_owned(), why: why.to_owned() }
}

impl fmt::Display for ObjectPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url)
    }
}

/// Shows the names of settings only: a value may be a secret.
impl fmt::Debug for ObjectPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.settings.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("ObjectPlace").field("url", &self.url).field("settings", &names).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places() {
        let cloud =
            |bucket: &str, prefix: &str| Cloud { bucket: bucket.to_owned(), prefix: prefix.to_owned() };
        for (text, kind) in [
            ("file:///a/b", Kind::Folder("/a/b".into())),
            ("file:///a%20b/", Kind::Folder("/a b/".into())),
            ("s3://bucket", Kind::S3(cloud("bucket", ""))),
            ("s3://bucket/a/b/", Kind::S3(cloud("bucket", "a/b"))),
            ("gs://bucket/a", Kind::Gcs(cloud("bucket", "a"))),
            ("az://container/a", Kind::Azure(cloud("container", "a"))),
        ] {
            assert_eq!(text.parse::<ObjectPlace>().unwrap().kind, kind, "{text}");
        }
    }

    #[test]
    fn what_is_no_place_says_why() {
        for text in [
            "",
            "a",
            "/a/b",
            "file://a/b",
            "file:///",
            "file:a",
            "s3://",
            "s3:///a",
            "s3://b:1/a",
            "http://a/b",
            "s3://bucket/a?x=1",
            "s3://bucket/a#x",
            "memory:///",
        ] {
            let refused = text.parse::<ObjectPlace>();
            assert!(matches!(refused, Err(StoreError::BadPlace { .. })), "{text}: {refused:?}");
        }
    }

    #[test]
    fn no_secret_is_shown() {
        let refused = "s3://key:hunter2@bucket/a".parse::<ObjectPlace>().unwrap_err();
        let place = "s3://bucket/a".parse::<ObjectPlace>().unwrap().with("AWS_SECRET_ACCESS_KEY", "hunter2");
        for shown in [refused.to_string(), format!("{refused:?}"), format!("{place:?}"), place.to_string()] {
            assert!(!shown.contains("hunter2"), "{shown}");
        }
    }
}
