//! The table of examples: what each of them says of itself at the head of its graph.

use crate::workspace::Workspace;
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::Path;

/// The folder with one folder for each example.
const EXAMPLES: &str = "manifests/examples";

/// An example, as the comment at the head of its `graph.yaml` describes it: a paragraph, and the lines of commands,
/// which are indented by three.
#[derive(Debug, PartialEq, Eq)]
struct Example {
    name: String,
    shows: String,
    commands: Vec<String>,
}

/// The table, a row for each folder that has a graph, in the order of their names.
pub(super) fn table(workspace: &Workspace) -> Result<String> {
    let folder = workspace.root.join(EXAMPLES);
    let entries = fs::read_dir(&folder).with_context(|| format!("cannot read {EXAMPLES}"))?;
    let mut examples = Vec::new();
    for entry in entries {
        let entry = entry?;
        let graph = entry.path().join("graph.yaml");
        if graph.is_file() {
            examples.push(read(&graph, &entry.file_name().to_string_lossy())?);
        }
    }
    examples.sort_by(|one, other| one.name.cmp(&other.name));
    let rows: Vec<String> = examples.iter().map(Example::row).collect();
    Ok(format!("| example | what it shows | commands |\n|---|---|---|\n{}", rows.join("\n")))
}

fn read(graph: &Path, name: &str) -> Result<Example> {
    let text = fs::read_to_string(graph).with_context(|| format!("cannot read {}", graph.display()))?;
    Example::parse(name, &text)
}

impl Example {
    fn parse(name: &str, text: &str) -> Result<Self> {
        let head: Vec<&str> = text.lines().map_while(|line| line.strip_prefix('#')).collect();
        let paragraph = head.iter().map(|line| line.trim()).take_while(|line| !line.is_empty());
        let shows = paragraph.collect::<Vec<_>>().join(" ");
        let commands: Vec<String> = head
            .iter()
            .filter_map(|line| line.strip_prefix("   "))
            .map(|line| line.trim().to_owned())
            .collect();
        if shows.is_empty() || commands.is_empty() {
            bail!(
                "{EXAMPLES}/{name}/graph.yaml begins with no comment that says what it shows and how it is run"
            );
        }
        Ok(Self { name: name.to_owned(), shows, commands })
    }

    fn row(&self) -> String {
        let Self { name, shows, commands } = self;
        let commands: Vec<String> = commands.iter().map(|command| format!("`{command}`")).collect();
        format!("| [{name}]({EXAMPLES}/{name}/graph.yaml) | {shows} | {} |", commands.join("<br>"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_of_a_graph_is_its_row() {
        let head =
            "# One thing,\n# and another.\n#\n#   superstep run -f a\n#   superstep runs\n#\n# More.\n";
        let text = format!("{head}apiVersion: x\n#   superstep no\n");
        let row = Example::parse("a", &text).unwrap().row();
        let shown = "| [a](manifests/examples/a/graph.yaml) | One thing, and another. |";
        assert_eq!(row, format!("{shown} `superstep run -f a`<br>`superstep runs` |"));
    }

    #[test]
    fn an_example_without_a_command_is_named() {
        for text in ["apiVersion: x\n", "# What it shows.\napiVersion: x\n", "#\n#   superstep run\n"] {
            let error = Example::parse("dumb", text).unwrap_err().to_string();
            assert!(error.contains("examples/dumb/graph.yaml"), "{error}");
        }
    }
}
