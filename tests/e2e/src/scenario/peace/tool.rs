//! Tools that apply the manifest of a graph.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Result;
use serde_json::Value;

use super::GRAPH;
use crate::{kubectl, process};

/// Who applies the manifest.
#[derive(Clone, Copy, Debug)]
pub(super) enum Tool {
    ClientSide,
    ServerSide,
    Helm,
    Force,
}

impl Tool {
    pub(super) fn apply(self, namespace: &str, folder: &Path, graph: &Value) -> Result<()> {
        let documents = std::slice::from_ref(graph);
        match self {
            Self::ClientSide => kubectl::apply(namespace, documents).map(drop),
            Self::ServerSide => {
                let words = ["apply", "--server-side", "--field-manager=gitops", "--namespace", namespace];
                kubectl::feed(&words, documents).map(drop)
            }
            Self::Force => {
                let words = [
                    "apply",
                    "--server-side",
                    "--force-conflicts",
                    "--field-manager=gitops",
                    "--namespace",
                    namespace,
                ];
                kubectl::feed(&words, documents).map(drop)
            }
            Self::Helm => {
                fs::create_dir_all(folder.join("templates"))?;
                fs::write(folder.join("Chart.yaml"), "apiVersion: v2\nname: graphs\nversion: 0.1.0\n")?;
                fs::write(folder.join("templates/graph.yaml"), graph.to_string())?;
                let mut helm = Command::new("helm");
                helm.args(["upgrade", "--install", "graphs", "--namespace", namespace]).arg(folder);
                process::capture(&mut helm).map(drop)
            }
        }
    }

    pub(super) fn remove(self, namespace: &str) -> Result<()> {
        match self {
            Self::Helm => {
                let mut helm = Command::new("helm");
                process::capture(helm.args(["uninstall", "graphs", "--namespace", namespace, "--wait"]))
                    .map(drop)
            }
            Self::ClientSide | Self::ServerSide | Self::Force => {
                kubectl::run(&["delete", "agentgraph", GRAPH, "--namespace", namespace]).map(drop)
            }
        }
    }
}
