//! The arguments of `superstep models`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use superstep_provision::HubFile;

use super::runs::ShowProgress;
use crate::output::OutputFormat;

/// Arguments of `models`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  superstep models pull -f models.yaml
  superstep models list

Models of a hub are kept in superstep/models of the XDG cache folder. HF_TOKEN is sent to the hub where
it is set, and HF_ENDPOINT names another hub than https://huggingface.co.")]
pub(crate) struct ModelsArgs {
    /// What to do with models.
    #[command(subcommand)]
    pub(crate) command: ModelsCommand,
}

/// What to do with models.
#[derive(Debug, Subcommand)]
pub(crate) enum ModelsCommand {
    /// Fetch models.
    Pull(PullArgs),
    /// List the models that were fetched.
    List(ListArgs),
    /// Tell how much memory a model takes.
    Size(SizeArgs),
}

/// Arguments of `models pull`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  superstep models pull -f models.yaml
  superstep models pull hf:OWNER/NAME/model.Q4_K_M.gguf@main

Of each ModelServer the first source is taken that gives a file. A download that was interrupted goes on
where it stopped, a digest that the files pin is checked, and a damaged file is fetched again. A branch
that has moved on is not: name its commit, or remove the file.")]
pub(crate) struct PullArgs {
    /// Files of hubs: hf:OWNER/NAME/FILE, or hf:OWNER/NAME/FILE@REVISION.
    #[arg(value_name = "MODEL", required_unless_present = "files", value_parser = hub_file)]
    pub(crate) models: Vec<HubFile>,
    /// Files with ModelServers: YAML or JSON, a folder, or - for stdin.
    #[arg(short = 'f', long = "file", value_name = "FILE", num_args = 1..)]
    pub(crate) files: Vec<PathBuf>,
    /// How the list of the models is written.
    #[arg(long, value_enum, default_value_t = OutputFormat::Table)]
    pub(crate) output: OutputFormat,
    /// When a bar is shown on stderr; it needs a terminal.
    #[arg(long, value_enum, default_value_t = ShowProgress::Auto)]
    pub(crate) progress: ShowProgress,
}

/// Arguments of `models list`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  superstep models list
  superstep models list --output json")]
pub(crate) struct ListArgs {
    /// How the list is written.
    #[arg(long, value_enum, default_value_t = OutputFormat::Table)]
    pub(crate) output: OutputFormat,
}

/// Arguments of `models size`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  superstep models size model.Q4_K_M.gguf --context-length 8192 --concurrency 4
  superstep models size -f models.yaml

Only the header of the file is read. Weights are counted as they are held in memory, with the tiles that the
kernels make of them and without what is let go then; the cache of keys and values as it is when every request
has filled its context. The total is what the process takes at most, and the rule of thumb the file and 3 GB.")]
pub(crate) struct SizeArgs {
    /// A GGUF file, or one that was fetched: hf:OWNER/NAME/FILE.
    #[arg(value_name = "MODEL", required_unless_present = "files")]
    pub(crate) models: Vec<String>,
    /// Files with ModelServers: YAML or JSON, a folder, or - for stdin.
    #[arg(short = 'f', long = "file", value_name = "FILE", num_args = 1..)]
    pub(crate) files: Vec<PathBuf>,
    /// Tokens of prompt and answer together; default what the ModelServer says, or else 4096.
    #[arg(long, value_name = "TOKENS", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) context_length: Option<u32>,
    /// Requests at the same time; default what the ModelServer says, or else 8.
    #[arg(long, value_name = "REQUESTS", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) concurrency: Option<u32>,
    /// How the sizes are written.
    #[arg(long, value_enum, default_value_t = OutputFormat::Table)]
    pub(crate) output: OutputFormat,
}

fn hub_file(text: &str) -> Result<HubFile, String> {
    HubFile::parse(text).ok_or_else(|| "write hf:OWNER/NAME/FILE or hf:OWNER/NAME/FILE@REVISION".to_owned())
}
