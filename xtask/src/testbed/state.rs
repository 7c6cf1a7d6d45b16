//! The folder that holds all that a cluster writes, and how everything goes when the cluster does.

use super::keeper::Keeper;
use super::{cgroups, network, settings};
use crate::machine;
use anyhow::{Context, Result, bail};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// On a disk: images and volumes of pods are in it.
pub(super) fn folder() -> &'static Path {
    Path::new("/var/lib/superstep-testbed")
}

/// One file for each server.
pub(super) fn logs() -> PathBuf {
    folder().join("logs")
}

/// What kubelet, users and tests identify themselves with.
pub(super) fn identities() -> PathBuf {
    folder().join("identities")
}

/// The administrator's kubeconfig of a cluster that is up.
pub(super) fn kubeconfig() -> Result<PathBuf> {
    let path = finished();
    if !path.is_file() {
        bail!("the testbed is not up; `cargo xtask testbed up` starts it");
    }
    Ok(path)
}

/// The file whose presence says that the cluster is up.
pub(super) fn finished() -> PathBuf {
    folder().join("kubeconfig")
}

/// Ends the cluster, whatever state it is in, and takes away what it made.
pub(super) fn clear() -> Result<()> {
    machine::require_root()?;
    if !folder().exists() {
        return Ok(());
    }
    if let Some(keeper) = Keeper::find()? {
        keeper.end()?;
    }
    network::remove()?;
    cgroups::remove()?;
    settings::restore(&folder().join(settings::FILE), Path::new("/proc/sys"))?;
    match fs::remove_dir_all(folder()) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", folder().display()))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}
