//! Superstep as Helm installs it.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use crate::{kubectl, process};

pub(crate) const RELEASE: &str = "superstep";
pub(crate) const NAMESPACE: &str = "superstep-system";
/// What the account, the roles and their bindings of the operator are called.
pub(crate) const OPERATOR: &str = "superstep-operator";
/// How long Helm waits until everything is ready.
const PATIENCE: &str = "--timeout=10m";

/// The chart and the images.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) chart: PathBuf,
    pub(crate) operator_image: String,
    pub(crate) worker_image: String,
    pub(crate) tag: String,
}

impl Settings {
    /// Whether they are those that documents name: the chart as it stands here, and images that were built here.
    pub(crate) fn are_usual(&self) -> bool {
        let images = (self.operator_image.as_str(), self.worker_image.as_str(), self.tag.as_str());
        self.chart.as_os_str() == "charts/superstep"
            && images == ("localhost/superstep-operator", "localhost/superstep-worker", "dev")
    }
}

/// Fails if somebody else has Superstep on the cluster, whose release would be taken from him.
pub(crate) fn demand_absent() -> Result<()> {
    let mut helm = Command::new("helm");
    let found = process::capture(helm.args(["list", "--all", "--short", "--namespace", NAMESPACE]))?;
    if !found.trim().is_empty() {
        anyhow::bail!("Superstep is installed: helm uninstall {RELEASE} --namespace {NAMESPACE}");
    }
    Ok(())
}

/// An installed chart.
pub(crate) struct Release;

impl Release {
    /// `helm install` with these values beside those of the images, until the operator is ready.
    pub(crate) fn install(settings: &Settings, values: &[&str]) -> Result<Self> {
        kubectl::apply(
            NAMESPACE,
            &[serde_json::json!({
                "apiVersion": "v1",
                "kind": "Namespace",
                "metadata": {"name": NAMESPACE, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}},
            })],
        )?;
        helm("install", settings, values)?;
        Ok(Self)
    }

    /// `helm upgrade` to other images or values.
    pub(crate) fn upgrade(&self, settings: &Settings, values: &[&str]) -> Result<()> {
        helm("upgrade", settings, values)
    }

    /// `helm test`.
    pub(crate) fn test(&self) -> Result<String> {
        process::capture(Command::new("helm").args(["test", RELEASE, "--namespace", NAMESPACE, PATIENCE]))
    }

    /// What somebody else has installed under this name.
    pub(crate) fn found() -> Self {
        Self
    }

    /// `helm uninstall`, and the namespace goes, in which nothing of anybody else is.
    pub(crate) fn uninstall(self) -> Result<()> {
        process::capture(Command::new("helm").args([
            "uninstall",
            RELEASE,
            "--namespace",
            NAMESPACE,
            "--wait",
            PATIENCE,
        ]))?;
        kubectl::run(&["delete", "namespace", NAMESPACE, "--timeout=300s"]).map(drop)
    }
}

fn helm(verb: &str, settings: &Settings, values: &[&str]) -> Result<()> {
    let Settings { chart, operator_image, worker_image, tag } = settings;
    let mut command = Command::new("helm");
    command.args([verb, RELEASE]).arg(chart).args(["--namespace", NAMESPACE, "--wait", PATIENCE]);
    let images = [
        format!("image.repository={operator_image}"),
        format!("image.tag={tag}"),
        format!("worker.image.repository={worker_image}"),
    ];
    let values = images.iter().map(String::as_str).chain(values.iter().copied());
    command.args(values.flat_map(|value| ["--set", value]));
    process::capture(&mut command).map(drop)
}
