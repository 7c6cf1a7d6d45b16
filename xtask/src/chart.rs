//! The chart in `charts/superstep`: what it renders to, written down and looked at, and what follows from it.

mod copies;
mod health;
mod helm;
mod plain;
mod rights;
mod yaml;

use crate::workspace::Workspace;
use anyhow::{Context, Result, bail};
use helm::Helm;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// The folder of the chart.
const CHART: &str = "charts/superstep";
/// The folder of values, each with what the chart renders to with them.
const SETS: &str = "charts/testdata";
const VALUES: &str = ".values.yaml";
const GOLDEN: &str = ".golden.yaml";

/// What `cargo xtask test` looks at; what of it could not be looked at here.
pub(crate) fn check(workspace: &Workspace) -> Result<Option<&'static str>> {
    let stale = stale(workspace, false)?;
    if !stale.is_empty() {
        bail!("stale, write them again with `cargo xtask generate`: {}", stale.join(", "));
    }
    let Some(helm) = obtain(workspace) else { return Ok(Some("no helm")) };
    helm.lint()?;
    for (name, text) in rendered(workspace, &helm)? {
        rights::check(&text).with_context(|| format!("rendered with {name}"))?;
    }
    plain::check_examples(workspace, &helm)?;
    Ok((!health::check(workspace)?).then_some("no Lua"))
}

/// The files that follow from others and do not hold what belongs there; with `write` they are written, and none is left.
pub(crate) fn stale(workspace: &Workspace, write: bool) -> Result<Vec<String>> {
    let copies = copies::files(workspace)?;
    let mut stale = copies::strangers(workspace, &copies)?;
    // First the copies: the chart is rendered from them.
    stale.extend(unlike(workspace, copies, write)?);
    if let Some(helm) = obtain(workspace) {
        let mut texts = plain::files(&helm.render(None)?);
        texts.extend(rendered(workspace, &helm)?);
        stale.extend(unlike(workspace, texts, write)?);
    }
    Ok(stale)
}

/// Those of the files that do not hold what belongs there; with `write` they are written, and none is left.
fn unlike(workspace: &Workspace, wanted: BTreeMap<String, String>, write: bool) -> Result<Vec<String>> {
    let mut unlike = Vec::new();
    for (name, text) in wanted {
        let path = workspace.root.join(&name);
        if fs::read_to_string(&path).is_ok_and(|there| there == text) {
            continue;
        }
        if write {
            fs::write(&path, text).with_context(|| format!("cannot write {name}"))?;
            println!("wrote {name}");
        } else {
            unlike.push(name);
        }
    }
    Ok(unlike)
}

/// Helm, or none where it cannot be had, which is said.
fn obtain(workspace: &Workspace) -> Option<Helm> {
    match Helm::obtain(workspace) {
        Ok(helm) => Some(helm),
        Err(error) => {
            println!("the chart is not rendered: {error:#}");
            None
        }
    }
}

/// What the chart renders to with each set of values, by the file that it is written down in.
fn rendered(workspace: &Workspace, helm: &Helm) -> Result<BTreeMap<String, String>> {
    let folder = workspace.root.join(SETS);
    let mut texts = BTreeMap::new();
    for entry in fs::read_dir(&folder).with_context(|| format!("cannot read {SETS}"))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if let Some(set) = name.strip_suffix(VALUES) {
            texts.insert(format!("{SETS}/{set}{GOLDEN}"), helm.render(Some(&path))?);
        } else if !folder.join(name.replace(GOLDEN, VALUES)).is_file() {
            bail!("{SETS}/{name} has no values");
        }
    }
    Ok(texts)
}

fn read(root: &Path, name: &str) -> Result<String> {
    fs::read_to_string(root.join(name)).with_context(|| format!("cannot read {name}"))
}
