//! A namespace of a scenario, with the volumes that its pods share.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use crate::bench::Volumes;
use crate::kubectl;

/// The claim in which runs are kept.
pub(crate) const RUNS: &str = "runs";
/// The claim with files of models.
pub(crate) const MODELS: &str = "models";

/// A namespace, which admits only pods that keep to the strictest policy unless somebody else has made it. It goes when this is
/// dropped.
pub(crate) struct Space {
    pub(crate) name: String,
    volumes: Vec<String>,
    folder: Option<PathBuf>,
}

impl Space {
    pub(crate) fn new(name: &str) -> Result<Self> {
        let name = format!("e2e-{name}");
        let space = Self { name: name.clone(), volumes: Vec::new(), folder: None };
        let labels = json!({"pod-security.kubernetes.io/enforce": "restricted"});
        let namespace =
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}});
        kubectl::feed(&["create"], &[namespace])?;
        Ok(space)
    }

    /// One that somebody else has made.
    pub(crate) fn of(name: &str) -> Self {
        Self { name: name.to_owned(), volumes: Vec::new(), folder: None }
    }

    /// Adds a claim to a folder that every pod may write, and is the same on each; where it is on this machine.
    pub(crate) fn share(&mut self, volumes: &Volumes, claim: &str) -> Result<PathBuf> {
        let volume = format!("{}-{claim}", self.name);
        let own = volumes.here.join(&self.name);
        let here = own.join(claim);
        fs::create_dir_all(&here).with_context(|| format!("cannot make {}", here.display()))?;
        fs::set_permissions(&here, Permissions::from_mode(0o777))?;
        self.folder = Some(own);
        self.volumes.push(volume.clone());
        let there = volumes.there.join(&self.name).join(claim);
        kubectl::apply(&self.name, &claimed(&volume, claim, &there))?;
        Ok(here)
    }

    /// Deletes the namespace, and waits until nothing of it is there.
    pub(crate) fn delete(&mut self) -> Result<()> {
        kubectl::run(&["delete", "namespace", &self.name, "--ignore-not-found", "--timeout=300s"])?;
        for volume in std::mem::take(&mut self.volumes) {
            kubectl::run(&["delete", "persistentvolume", &volume, "--ignore-not-found", "--timeout=300s"])?;
        }
        match self.folder.take() {
            Some(folder) => {
                fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))
            }
            None => Ok(()),
        }
    }
}

impl Drop for Space {
    fn drop(&mut self) {
        if let Err(error) = self.delete() {
            crate::say(&format!("the namespace {} stays: {error:#}", self.name));
        }
    }
}

/// A volume in a folder of the node, and the claim to it.
fn claimed(volume: &str, claim: &str, there: &Path) -> [Value; 2] {
    let size = json!({"storage": "1Gi"});
    let volume_spec = json!({
        "capacity": size, "accessModes": ["ReadWriteMany"], "persistentVolumeReclaimPolicy": "Retain",
        "storageClassName": "", "hostPath": {"path": there, "type": "Directory"},
    });
    let claim_spec = json!({
        "accessModes": ["ReadWriteMany"], "storageClassName": "", "volumeName": volume,
        "resources": {"requests": size},
    });
    [
        json!({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": volume}, "spec": volume_spec}),
        json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": claim}, "spec": claim_spec}),
    ]
}
