//! The installation without Helm, `manifests/install`, and the examples that install the chart.

use super::helm::Helm;
use super::{read, yaml};
use crate::workspace::Workspace;
use anyhow::{Context, Result};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;

const FOLDER: &str = "manifests/install";
/// What is Helm's in an object, a line each.
const OF_HELM: [&str; 3] =
    ["app.kubernetes.io/managed-by: Helm", "helm.sh/chart: ", "annotations: {helm.sh/"];

/// Examples, and where the values of the chart are in one of their documents.
const EXAMPLES: [(&str, &str); 2] = [
    ("manifests/gitops/argocd/applications.yaml", "/spec/source/helm/valuesObject"),
    ("manifests/gitops/flux/superstep.yaml", "/spec/values"),
];

/// What a rendered chart is without Helm: the definitions, and all else.
pub(super) fn files(rendered: &str) -> BTreeMap<String, String> {
    let (mut definitions, mut others) = (String::new(), String::new());
    for document in yaml::texts(rendered).filter(|document| !document.contains("helm.sh/hook")) {
        let into = if document.contains("\nkind: CustomResourceDefinition\n") {
            &mut definitions
        } else {
            &mut others
        };
        into.push_str("---\n");
        for line in document.lines().filter(|line| !line.starts_with("# Source: ") && !is_of_helm(line)) {
            into.push_str(line);
            into.push('\n');
        }
    }
    let name = |file: &str| format!("{FOLDER}/{file}");
    BTreeMap::from([(name("crds.yaml"), definitions), (name("superstep.yaml"), others)])
}

fn is_of_helm(line: &str) -> bool {
    OF_HELM.iter().any(|own| line.trim_start().starts_with(own))
}

/// Renders the chart with the values of each example.
pub(super) fn check_examples(workspace: &Workspace, helm: &Helm) -> Result<()> {
    for (file, pointer) in EXAMPLES {
        let documents = yaml::values(&read(&workspace.root, file)?)?;
        let values = documents.iter().find_map(|document| document.pointer(pointer));
        let values: &Value = values.with_context(|| format!("{file} has no {pointer}"))?;
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("values.json");
        fs::write(&path, values.to_string())?;
        helm.render(Some(&path)).with_context(|| format!("rendered with the values of {file}"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_helm_is_left() {
        let rendered = "---\n# Source: superstep/templates/a.yaml\nkind: A\nmetadata:\n  labels:\n    \
            app.kubernetes.io/managed-by: Helm\n    helm.sh/chart: superstep-0.1.0\n    x: y\n---\n\
            # Source: b\napiVersion: v1\nkind: CustomResourceDefinition\nmetadata:\n  \
            annotations: {helm.sh/resource-policy: keep}\n---\nkind: Pod\nmetadata: {annotations: {helm.sh/hook: test}}\n";
        let files = files(rendered);
        assert_eq!(
            files["manifests/install/superstep.yaml"],
            "---\nkind: A\nmetadata:\n  labels:\n    x: y\n"
        );
        assert_eq!(
            files["manifests/install/crds.yaml"],
            "---\napiVersion: v1\nkind: CustomResourceDefinition\nmetadata:\n"
        );
    }
}
