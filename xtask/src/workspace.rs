//! Where things lie: the root, the build folder, our packages and the files of the tree.

use crate::process::{capture, cargo};
use anyhow::{Context, Result};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

/// Folders that hold no source of ours, by name, wherever they lie.
const SKIPPED_FOLDERS: [&str; 4] = [".git", "target", "__pycache__", "node_modules"];

/// The workspace as `cargo metadata` describes it.
pub(crate) struct Workspace {
    pub(crate) root: PathBuf,
    /// Cargo's build folder, which `CARGO_TARGET_DIR` may have moved.
    pub(crate) target: PathBuf,
    pub(crate) packages: Vec<Package>,
}

/// One of our packages.
#[derive(Debug, Clone)]
pub(crate) struct Package {
    pub(crate) name: String,
    /// Its `Cargo.toml`, relative to the root.
    pub(crate) manifest: PathBuf,
    pub(crate) dependencies: Vec<Dependency>,
    /// Names of its binaries.
    pub(crate) binaries: Vec<String>,
    /// Names of its features.
    pub(crate) features: Vec<String>,
}

/// What a package names in one of its dependency tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    pub(crate) kind: DependencyKind,
}

/// The table that a dependency stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DependencyKind {
    Normal,
    Build,
    Development,
}

impl Workspace {
    /// Asks cargo about the workspace that the current folder belongs to.
    pub(crate) fn load() -> Result<Self> {
        let text = capture(cargo().args(["metadata", "--no-deps", "--format-version", "1"]))?;
        let metadata: Value = serde_json::from_str(&text).context("cargo metadata gave no JSON")?;
        Self::from_metadata(&metadata)
    }

    fn from_metadata(metadata: &Value) -> Result<Self> {
        let root = PathBuf::from(text(metadata, "workspace_root")?);
        let target = PathBuf::from(text(metadata, "target_directory")?);
        let packages = list(metadata, "packages").iter().map(|package| Package::read(package, &root));
        let packages = packages.collect::<Result<_>>()?;
        Ok(Self { root, target, packages })
    }

    /// Every file of the tree outside build folders, relative to the root, sorted.
    pub(crate) fn files(&self) -> Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        collect(&self.root, Path::new(""), &mut files)?;
        files.sort();
        Ok(files)
    }

    pub(crate) fn has_binary(&self, name: &str) -> bool {
        self.packages.iter().any(|package| package.binaries.iter().any(|binary| binary == name))
    }
}

impl Package {
    fn read(package: &Value, root: &Path) -> Result<Self> {
        let manifest = Path::new(text(package, "manifest_path")?);
        let targets = list(package, "targets").iter();
        let binaries = targets.filter(|target| list(target, "kind").iter().any(|kind| kind == "bin"));
        Ok(Self {
            name: text(package, "name")?.to_owned(),
            manifest: manifest.strip_prefix(root).unwrap_or(manifest).to_owned(),
            dependencies: list(package, "dependencies")
                .iter()
                .map(Dependency::read)
                .collect::<Result<_>>()?,
            binaries: binaries.map(|target| Ok(text(target, "name")?.to_owned())).collect::<Result<_>>()?,
            features: package
                .get("features")
                .and_then(Value::as_object)
                .map(|features| features.keys().cloned().collect())
                .unwrap_or_default(),
        })
    }
}

impl Dependency {
    fn read(dependency: &Value) -> Result<Self> {
        let kind = match dependency.get("kind").and_then(Value::as_str) {
            Some("dev") => DependencyKind::Development,
            Some("build") => DependencyKind::Build,
            Some(_) | None => DependencyKind::Normal,
        };
        Ok(Self { name: text(dependency, "name")?.to_owned(), kind })
    }
}

fn text<'a>(value: &'a Value, key: &str) -> Result<&'a str> {
    value.get(key).and_then(Value::as_str).with_context(|| format!("cargo metadata has no `{key}`"))
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn collect(root: &Path, folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let shown = root.join(folder);
    for entry in fs::read_dir(&shown).with_context(|| format!("cannot list {}", shown.display()))? {
        let entry = entry?;
        let path = folder.join(entry.file_name());
        let kind = entry.file_type()?;
        if kind.is_dir() {
            let skipped = SKIPPED_FOLDERS.iter().any(|name| entry.file_name() == *name);
            if !skipped && path != Path::new("bench/out") {
                collect(root, &path, files)?;
            }
        } else if kind.is_file() {
            files.push(path);
        }
    }
    Ok(())
}
