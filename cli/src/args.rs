//! The arguments.

pub(crate) mod runs;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::exit::EXIT_CODES;
use runs::{AnswerArgs, InspectArgs, ResumeArgs, RunArgs, RunsArgs};

/// Runs agent graphs as Pregel programs.
#[derive(Debug, Parser)]
#[command(name = "superstep", version, after_help = EXIT_CODES, disable_help_subcommand = true)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a graph.
    Run(RunArgs),
    /// Go on with a run that was interrupted.
    Resume(ResumeArgs),
    /// Answer a question of a run that was left open.
    Answer(AnswerArgs),
    /// List the runs.
    Runs(RunsArgs),
    /// Show what happened in a run.
    Inspect(InspectArgs),
    /// Check files and show every mistake.
    Validate(ValidateArgs),
    /// Draw a graph.
    Render(RenderArgs),
}

/// The files of graphs, models and patches.
#[derive(Args, Debug)]
pub(crate) struct Files {
    /// A YAML or JSON file, a folder, or - for stdin.
    #[arg(short = 'f', long = "file", value_name = "FILE", required = true, num_args = 1..)]
    pub(crate) files: Vec<PathBuf>,
}

/// Arguments of `validate`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  superstep validate -f graph.yaml
  superstep validate -f manifests/ models.yaml
  helm template chart/ | superstep validate -f -

Every mistake is shown with file, line and column on stderr; the exit code is 2 if there is one.
Each good graph is listed on stdout.")]
pub(crate) struct ValidateArgs {
    /// What to check.
    #[command(flatten)]
    pub(crate) files: Files,
}

/// Arguments of `render`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  superstep render -f graph.yaml --format mermaid
  superstep render -f manifests/ --graph triage --format dot | dot -Tsvg > triage.svg

Passive edges are dashed; a join is written into its vertex where it is not any.")]
pub(crate) struct RenderArgs {
    /// Where the graph is.
    #[command(flatten)]
    pub(crate) files: Files,
    /// The graph, if the files have several.
    #[arg(long, value_name = "NAME")]
    pub(crate) graph: Option<String>,
    /// The language to draw in.
    #[arg(long, value_enum, default_value_t = DrawingFormat::Mermaid)]
    pub(crate) format: DrawingFormat,
}

/// Languages to draw in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DrawingFormat {
    /// Mermaid, which GitHub and many editors show.
    Mermaid,
    /// The language of Graphviz.
    Dot,
}
