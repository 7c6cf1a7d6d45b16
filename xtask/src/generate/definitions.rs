//! The CustomResourceDefinitions, as the operator's command prints them, a file for each.

use crate::process::capture;
use crate::workspace::Workspace;
use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

/// The folder that has them, and nothing else.
pub(crate) const FOLDER: &str = "crds";

/// What belongs into the folder, by the names of files.
pub(super) fn files(operator: &Path) -> Result<BTreeMap<String, String>> {
    let text = capture(Command::new(operator).arg("crds"))?;
    let documents = text.split("---\n").filter(|document| !document.trim().is_empty());
    documents.map(|document| Ok((format!("{}.yaml", name(document)?), document.to_owned()))).collect()
}

/// The plural of the kind that a definition defines, which is the begin of its name.
fn name(document: &str) -> Result<&str> {
    let name = document.lines().find_map(|line| line.strip_prefix("  name: "));
    let plural = name.and_then(|name| name.split_once('.')).map(|(plural, _)| plural);
    plural.with_context(|| format!("a definition has no name: {document}"))
}

/// Makes the folder hold these files alone; with `check` the names of those that it does not hold so.
pub(super) fn write(
    workspace: &Workspace,
    files: &BTreeMap<String, String>,
    check: bool,
) -> Result<Vec<String>> {
    let folder = workspace.root.join(FOLDER);
    let mut stale = Vec::new();
    let mut there = existing(&folder)?;
    for (name, text) in files {
        let old = there.remove(name);
        if old.as_ref() == Some(text) {
            continue;
        }
        stale.push(format!("{FOLDER}/{name}"));
        if !check {
            fs::create_dir_all(&folder).with_context(|| format!("cannot make {FOLDER}"))?;
            fs::write(folder.join(name), text).with_context(|| format!("cannot write {FOLDER}/{name}"))?;
            println!("wrote {FOLDER}/{name}");
        }
    }
    if let Some(name) = there.keys().next() {
        bail!("{FOLDER}/{name} is of no kind that there is: remove it");
    }
    Ok(if check { stale } else { Vec::new() })
}

fn existing(folder: &Path) -> Result<BTreeMap<String, String>> {
    if !folder.is_dir() {
        return Ok(BTreeMap::new());
    }
    let entries = fs::read_dir(folder).with_context(|| format!("cannot read {FOLDER}"))?;
    entries
        .map(|entry| {
            let path = entry?.path();
            let text =
                fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
            Ok((path.file_name().unwrap_or_default().to_string_lossy().into_owned(), text))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_definition_is_named_after_its_plural() {
        let document = "apiVersion: v1\nkind: K\nmetadata:\n  name: graphs.superstep.dev\nspec: {}\n";
        assert_eq!(name(document).unwrap(), "graphs");
        assert!(name("kind: K\n").is_err());
    }
}
