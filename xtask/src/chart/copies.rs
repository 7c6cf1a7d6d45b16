//! Copies of files: what the chart has to contain, since Helm reads nothing outside its folder, and the quickstart's graph
//! for clusters.

use super::{CHART, read, yaml};
use crate::generate::CRDS;
use crate::workspace::Workspace;
use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::fs;

/// The folders, and what they are called in the chart.
const FOLDERS: [(&str, &str); 2] = [(CRDS, "crds"), ("manifests/admission", "admission")];

/// The quickstart's documents, the second of which is the graph, and where a cluster is given it alone: models lie
/// elsewhere there.
const QUICKSTART: &str = "manifests/quickstart/graph.yaml";
const GRAPH: &str = "manifests/kubernetes/graph.yaml";
const HEAD: &str = "# The graph of ../quickstart/graph.yaml, generated. model.yaml has its model.\n";

/// The copies, as they should be.
pub(super) fn files(workspace: &Workspace) -> Result<BTreeMap<String, String>> {
    let mut copies = BTreeMap::new();
    let quickstart = read(&workspace.root, QUICKSTART)?;
    for (source, folder) in FOLDERS {
        for name in names(workspace, source)? {
            let text = read(&workspace.root, &format!("{source}/{name}"))?;
            copies.insert(format!("{CHART}/files/{folder}/{name}"), text);
        }
    }
    let graph = yaml::texts(&quickstart).last().context("the quickstart has documents")?;
    copies.insert(GRAPH.to_owned(), format!("{HEAD}{graph}"));
    Ok(copies)
}

/// What is in the folders of copies and is none of these.
pub(super) fn strangers(workspace: &Workspace, copies: &BTreeMap<String, String>) -> Result<Vec<String>> {
    let mut strangers = Vec::new();
    for (_, folder) in FOLDERS {
        let folder = format!("{CHART}/files/{folder}");
        let paths = names(workspace, &folder)?.into_iter().map(|name| format!("{folder}/{name}"));
        strangers.extend(paths.filter(|path| !copies.contains_key(path)));
    }
    Ok(strangers)
}

fn names(workspace: &Workspace, folder: &str) -> Result<Vec<String>> {
    let entries =
        fs::read_dir(workspace.root.join(folder)).with_context(|| format!("cannot read {folder}"))?;
    let mut names: Vec<String> =
        entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect::<Result<_>>()?;
    names.sort();
    Ok(names)
}
