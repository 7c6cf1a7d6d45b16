//! Commands as the README prints them, typed into a shell.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, absolute};
use std::process::Command;

use anyhow::{Context as _, Result};
use serde_json::Value;
use tempfile::TempDir;

use crate::bench::Bench;
use crate::process;

const README: &str = "README.md";
/// The line before the block of those that are tried on a cluster.
const TRIED: &str = "<!-- tried on a cluster -->";
/// The document that names a model of the hub, which not every cluster reaches.
const MODEL: &str = "manifests/kubernetes/model.yaml";

/// The commands for a cluster, in their order.
fn lines(readme: &str) -> Result<Vec<String>> {
    let block = readme.split_once(TRIED).and_then(|(_, rest)| rest.trim_start().strip_prefix("```sh\n"));
    let block = block.and_then(|rest| rest.split_once("```")).map(|(block, _)| block);
    let lines = block.with_context(|| format!("there is no block of the shell behind {TRIED}"))?;
    Ok(lines.lines().map(str::to_owned).collect())
}

/// Those commands, and a folder that has what they name as the repository has it.
pub(crate) struct Printed {
    lines: Vec<String>,
    folder: TempDir,
}

impl Printed {
    /// The README of this checkout. `model` stands in place of the model of the hub.
    pub(crate) fn read(model: &Value) -> Result<Self> {
        let lines = lines(&fs::read_to_string(README)?)?;
        let folder = tempfile::tempdir()?;
        link(Path::new("."), folder.path(), &["manifests"])?;
        link(Path::new("manifests"), &folder.path().join("manifests"), &["kubernetes"])?;
        link(
            Path::new("manifests/kubernetes"),
            &folder.path().join("manifests/kubernetes"),
            &["model.yaml"],
        )?;
        fs::write(folder.path().join(MODEL), model.to_string())?;
        Ok(Self { lines, folder })
    }

    /// Types those that come next, up to and with the one that begins so, or all that are left. What they print.
    pub(crate) fn until(&mut self, bench: &Bench, last: Option<&str>) -> Result<String> {
        let count = match last {
            Some(last) => {
                let at = self.lines.iter().position(|line| line.starts_with(last));
                at.with_context(|| format!("{README} has no further line `{last} …` behind {TRIED}"))? + 1
            }
            None => self.lines.len(),
        };
        let script: Vec<String> = self.lines.drain(..count).collect();
        let mut shell = Command::new("bash");
        shell.args(["-e", "-o", "pipefail", "-c", &script.join("\n")]);
        process::capture(shell.env("PATH", bench.path()?).current_dir(self.folder.path()))
    }
}

/// Makes a folder that has all that another one has but for some.
fn link(from: &Path, to: &Path, without: &[&str]) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let name = entry?.file_name();
        if !without.iter().any(|left_out| name == *left_out) {
            symlink(absolute(from.join(&name))?, to.join(&name))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_readme_says_how_to_install_and_run_on_a_cluster() {
        let lines = lines(&fs::read_to_string("../../README.md").unwrap()).unwrap();
        for begin in ["helm install ", "kubectl create namespace ", "kubectl apply ", "kubectl superstep "] {
            assert!(lines.iter().any(|line| line.starts_with(begin)), "{begin} {lines:?}");
        }
        assert!(lines.iter().any(|line| line.contains(MODEL)), "{lines:?}");
    }

    #[test]
    fn a_block_is_that_behind_its_mark() {
        let page =
            format!("```sh\nfirst\n```\n{TRIED}\n```sh\nsecond  # x\nthird\n```\n```sh\nfourth\n```\n");
        assert_eq!(lines(&page).unwrap(), ["second  # x", "third"]);
        assert!(lines("```sh\nfirst\n```\n").is_err());
        assert!(lines(&format!("{TRIED}\nno block")).is_err());
    }
}
