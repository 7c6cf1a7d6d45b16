//! Putting an image together with buildah, from files alone: no registry and no running engine is asked for anything.

use crate::process::run;
use anyhow::{Context, Result};
use std::fs;
use std::path::Path;
use std::process::Command;

/// What is made: an image of this name, in an archive of the OCI's form.
pub(crate) struct Built<'a> {
    pub(crate) name: &'a str,
    pub(crate) archive: &'a Path,
}

/// Builds a target of a Dockerfile.
///
/// The same files give the same layers, byte for byte: of an image that is built again only that layer differs whose
/// files do.
pub(crate) fn archive(dockerfile: &Path, target: Option<&str>, context: &Path, built: &Built) -> Result<()> {
    let folder = built.archive.parent().context("an archive lies in a folder")?;
    let storage = tempfile::Builder::new().prefix(".storage").tempdir_in(folder)?;
    let buildah = |arguments: &[&str]| {
        let mut command = Command::new("buildah");
        command.arg("--root").arg(storage.path().join("images"));
        command.arg("--runroot").arg(storage.path().join("run")).arg("--storage-driver=vfs");
        command.args(arguments);
        command
    };
    let mut build = buildah(&["build", "--quiet", "--isolation=chroot", "--layers", "--timestamp=0"]);
    build.args(target.map(|target| format!("--target={target}")));
    build.arg("--file").arg(dockerfile).arg("--tag").arg(built.name).arg(context);
    run(&mut build)?;
    if built.archive.exists() {
        fs::remove_file(built.archive)?;
    }
    let place = format!("oci-archive:{}:{}", built.archive.display(), built.name);
    run(&mut buildah(&["push", "--quiet", built.name, &place]))
}
