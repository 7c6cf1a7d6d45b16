//! `cargo xtask generate`: the parts of the documents that are written by the `superstep` command itself, or follow from
//! other files; the CustomResourceDefinitions; what the chart renders to; and the baseline of the services.

mod definitions;
mod gallery;

use crate::binary::{self, Profile};
use crate::chart;
use crate::process::capture;
use crate::protocol;
use crate::quickstart::MANIFESTS;
use crate::workspace::Workspace;
use anyhow::{Context, Result, bail};
use clap::Args;
use std::fs;
use std::path::Path;
use std::process::Command;

pub(crate) use definitions::FOLDER as CRDS;

/// Options of `cargo xtask generate`.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Write nothing; fail with the list of the files that are stale.
    #[arg(long)]
    pub(crate) check: bool,
    /// Write the baseline of the services even if those who speak the old one are not understood by it.
    #[arg(long, conflicts_with = "check")]
    pub(crate) break_protocol: bool,
}

/// One generated part: the file it stands in, the name in its markers, and what belongs there.
struct Part {
    file: &'static str,
    name: &'static str,
    text: String,
}

/// Writes every generated part, or with `check` compares it.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    let mut stale = Vec::new();
    if !arguments.check {
        protocol::renew(workspace, arguments.break_protocol)?;
    } else if !protocol::is_fresh(workspace)? {
        stale.push(protocol::BASELINE);
    }
    let superstep = binary::build(workspace, Profile::Dev)?;
    let parts = [
        Part { file: "README.md", name: "quickstart graph", text: graph(workspace, &superstep)? },
        Part { file: "README.md", name: "gallery", text: gallery::table(workspace)? },
        Part { file: "docs/cli.md", name: "help", text: help(&superstep)? },
    ];
    for part in &parts {
        let path = workspace.root.join(part.file);
        let old = fs::read_to_string(&path).with_context(|| format!("cannot read {}", part.file))?;
        let new = replaced(&old, part)?;
        if old == new {
            continue;
        }
        if arguments.check {
            stale.push(part.file);
        } else {
            fs::write(&path, new).with_context(|| format!("cannot write {}", part.file))?;
            println!("wrote {}", part.file);
        }
    }
    let crds = definitions::files(&superstep.with_file_name("superstep-operator"))?;
    let mut unlike = definitions::write(workspace, &crds, arguments.check)?;
    unlike.extend(chart::stale(workspace, !arguments.check)?);
    if !stale.is_empty() || !unlike.is_empty() {
        let stale: Vec<&str> = stale.into_iter().chain(unlike.iter().map(String::as_str)).collect();
        bail!("stale, write them again with `cargo xtask generate`: {}", stale.join(", "));
    }
    Ok(())
}

fn graph(workspace: &Workspace, superstep: &Path) -> Result<String> {
    let mut command = superstep_command(superstep);
    command.current_dir(&workspace.root).args(["render", "-f", MANIFESTS, "--format", "mermaid"]);
    command.env("SUPERSTEP_MODEL", "/model.gguf").env("SUPERSTEP_MODEL_SHA256", "0".repeat(64));
    Ok(format!("```mermaid\n{}\n```", capture(&mut command)?.trim_end()))
}

fn help(superstep: &Path) -> Result<String> {
    let mut text = section("superstep", superstep, &["--help"])?;
    // Commands whose sections are still to be written, the next one last.
    let mut work: Vec<Vec<String>> = commands(&text, &[]);
    while let Some(command) = work.pop() {
        let words: Vec<&str> = command.iter().map(String::as_str).chain(["--help"]).collect();
        let own = section(&format!("superstep {}", command.join(" ")), superstep, &words)?;
        work.extend(commands(&own, &command));
        text.push_str("\n\n");
        text.push_str(&own);
    }
    Ok(text)
}

/// The commands that a help lists, in reverse order.
fn commands(help: &str, parent: &[String]) -> Vec<Vec<String>> {
    let list =
        help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let names =
        list.filter_map(|line| line.strip_prefix("  ")?.split(' ').next()).filter(|name| !name.is_empty());
    let mut found: Vec<Vec<String>> =
        names.filter(|name| *name != "help").map(|name| [parent, &[name.to_owned()]].concat()).collect();
    found.reverse();
    found
}

fn section(title: &str, superstep: &Path, arguments: &[&str]) -> Result<String> {
    let help = capture(superstep_command(superstep).args(arguments))?;
    let lines: Vec<&str> = help.trim_end().lines().map(str::trim_end).collect();
    Ok(format!("## `{title}`\n\n```text\n{}\n```", lines.join("\n")))
}

/// Variables of the person who generates would show in the help text, which names them with their values.
fn superstep_command(superstep: &Path) -> Command {
    let mut command = Command::new(superstep);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("SUPERSTEP_") {
            command.env_remove(name);
        }
    }
    command.env("NO_COLOR", "1");
    command
}

fn replaced(old: &str, part: &Part) -> Result<String> {
    let begin = format!("<!-- generated: {} -->", part.name);
    let end = "<!-- /generated -->";
    let Some((before, rest)) = old.split_once(&begin) else {
        bail!("{} has no marker `{begin}`", part.file);
    };
    let Some((_, after)) = rest.split_once(end) else {
        bail!("{} has no `{end}` after `{begin}`", part.file);
    };
    Ok(format!("{before}{begin}\n{}\n{end}{after}", part.text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(text: &str) -> Part {
        Part { file: "F.md", name: "x", text: text.to_owned() }
    }

    #[test]
    fn only_the_part_between_the_markers_changes() {
        let old = "a\n<!-- generated: x -->\nold\n<!-- /generated -->\nb\n";
        let new = replaced(old, &part("new")).unwrap();
        assert_eq!(new, "a\n<!-- generated: x -->\nnew\n<!-- /generated -->\nb\n");
        assert_eq!(replaced(&new, &part("new")).unwrap(), new);
    }

    #[test]
    fn a_missing_marker_names_the_file() {
        for old in ["a", "<!-- generated: x -->\nno end"] {
            let error = replaced(old, &part("new")).unwrap_err().to_string();
            assert!(error.contains("F.md"), "{error}");
        }
    }
}
