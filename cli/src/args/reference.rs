//! The arguments of commands that tell of the command itself, and of its files.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use clap_complete::Shell;
use superstep_api::{Kind, SchemaKind};

use crate::output::OutputFormat;

/// Arguments of `schema`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  superstep schema > superstep.json
  superstep schema AgentGraph --output yaml
  superstep schema GraphRun > run.json

It is JSON schema 2020-12. An editor with the YAML language server takes it from a first line
  # yaml-language-server: $schema=superstep.json")]
pub(crate) struct SchemaArgs {
    /// The kind of documents; without it the schema is for all kinds.
    #[arg(value_enum, value_name = "KIND", ignore_case = true)]
    pub(crate) kind: Option<KindName>,
    /// How the schema is written.
    #[arg(long, value_enum, default_value_t = OutputFormat::Json)]
    pub(crate) output: OutputFormat,
}

/// A kind, as arguments name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum KindName {
    /// Graphs.
    #[value(name = "AgentGraph", alias = "agraph")]
    AgentGraph,
    /// Served models.
    #[value(name = "ModelServer", alias = "msrv")]
    ModelServer,
    /// Changes to graphs.
    #[value(name = "AgentGraphPatch", alias = "agpatch")]
    AgentGraphPatch,
    /// Runs, which only a cluster has as documents.
    #[value(name = "GraphRun", alias = "grun")]
    GraphRun,
}

impl From<KindName> for SchemaKind {
    fn from(name: KindName) -> Self {
        match name {
            KindName::AgentGraph => Self::Local(Kind::AgentGraph),
            KindName::ModelServer => Self::Local(Kind::ModelServer),
            KindName::AgentGraphPatch => Self::Local(Kind::AgentGraphPatch),
            KindName::GraphRun => Self::GraphRun,
        }
    }
}

/// Arguments of `completions`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  superstep completions bash > ~/.local/share/bash-completion/completions/superstep
  superstep completions zsh > ~/.zfunc/_superstep
  superstep completions fish > ~/.config/fish/completions/superstep.fish")]
pub(crate) struct CompletionsArgs {
    /// The shell.
    #[arg(value_enum, value_name = "SHELL")]
    pub(crate) shell: Shell,
}

/// Arguments of `man`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  superstep man | man -l -
  superstep man render | man -l -
  superstep man --dir ~/.local/share/man/man1

Each command has a page, named as in superstep-render.1.")]
pub(crate) struct ManArgs {
    /// The command whose page is printed; without it the page of superstep.
    #[arg(value_name = "COMMAND")]
    pub(crate) command: Vec<String>,
    /// Write every page into this folder, which is made if it is not there.
    #[arg(long, value_name = "DIR", conflicts_with = "command")]
    pub(crate) dir: Option<PathBuf>,
}
