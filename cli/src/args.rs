//! The arguments.

pub(crate) mod cluster;
pub(crate) mod conformance;
pub(crate) mod models;
pub(crate) mod reach;
pub(crate) mod reference;
pub(crate) mod runs;
pub(crate) mod travel;

use std::path::PathBuf;

use clap::{ArgGroup, Args, Parser, Subcommand, ValueEnum};

use crate::exit::EXIT_CODES;
use crate::log::LogFormat;
use cluster::ClusterArgs;
use conformance::ConformanceArgs;
use models::ModelsArgs;
use reach::{ApproveArgs, CancelArgs, PatchArgs, SuspendArgs, WatchArgs};
use reference::{CompletionsArgs, ManArgs, SchemaArgs};
use runs::{AnswerArgs, DiffArgs, InspectArgs, ResumeArgs, RunArgs, RunsArgs, Store, WhyArgs};
use superstep_serving::ServeArguments;
use travel::{ForkArgs, ReplayArgs};

/// Runs agent graphs as Pregel programs.
#[derive(Debug, Parser)]
#[command(name = "superstep", version, after_help = EXIT_CODES, disable_help_subcommand = true)]
pub(crate) struct Cli {
    /// How log lines are written to stderr; with json the progress of runs is among them.
    #[arg(long, global = true, value_enum, value_name = "FORMAT", env = "SUPERSTEP_LOG", hide_env_values = true,
        default_value_t = LogFormat::Text)]
    pub(crate) log: LogFormat,
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
    /// Show what happens in a run, until it ends.
    Watch(WatchArgs),
    /// Answer a question of a run.
    Answer(AnswerArgs),
    /// Approve or deny what a vertex of a run proposes.
    Approve(ApproveArgs),
    /// Change the graph of a run.
    Patch(PatchArgs),
    /// Let a run stand still at its next barrier, or go on.
    Suspend(SuspendArgs),
    /// End a run with what it has.
    Cancel(CancelArgs),
    /// Run what a run did again, and compare.
    Replay(ReplayArgs),
    /// Begin a run with a part of another one.
    Fork(ForkArgs),
    /// List the runs.
    Runs(RunsArgs),
    /// Show what happened in a run.
    Inspect(InspectArgs),
    /// Show what led to an activation.
    Why(WhyArgs),
    /// Show how two runs differ.
    Diff(DiffArgs),
    /// Check files and show every mistake.
    Validate(ValidateArgs),
    /// Draw a graph, or the graph of a run.
    Render(RenderArgs),
    /// Fetch, list and measure models.
    Models(ModelsArgs),
    /// Serve a model by OpenAI's protocol.
    #[command(after_help = crate::serve::EXAMPLES)]
    Serve(ServeArguments),
    /// Start workers on this machine, or show those of a cluster.
    Cluster(ClusterArgs),
    /// Run graphs and compare what they do with what cases expect.
    Conformance(ConformanceArgs),
    /// Print the JSON schema of the files, for editors.
    Schema(SchemaArgs),
    /// Print the completions of a shell.
    Completions(CompletionsArgs),
    /// Print a manual page, or write all of them.
    Man(ManArgs),
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
  superstep validate -f manifests/examples/chain/graph.yaml manifests/examples/models/openai.yaml
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
#[command(group(ArgGroup::new("drawn").required(true).args(["files", "run"])), after_help = "\
Examples:
  superstep render -f graph.yaml --format mermaid
  superstep render -f manifests/examples/sub-graph --graph translate --format dot > translate.dot
  superstep render triage-k3v9q2 --superstep 3
  superstep render triage-k3v9q2 --format gexf > triage.gexf
  superstep render triage-k3v9q2 --costs --format svg > triage.svg

With -f a graph is drawn as written, with RUN as its run has changed it. Passive edges are dashed; a
join is written into its vertex where it is not any. Formats svg and png need the command dot of
Graphviz. For a run gexf has every superstep, and Gephi plays them.")]
pub(crate) struct RenderArgs {
    /// The run whose graph is drawn, with all mutations so far.
    #[arg(value_name = "RUN", conflicts_with = "graph")]
    pub(crate) run: Option<String>,
    /// A YAML or JSON file, a folder, or - for stdin.
    #[arg(short = 'f', long = "file", value_name = "FILE", num_args = 1..)]
    pub(crate) files: Vec<PathBuf>,
    /// The graph, if the files have several.
    #[arg(long, value_name = "NAME")]
    pub(crate) graph: Option<String>,
    /// The run's graph as it was in this superstep.
    #[arg(long, value_name = "N", conflicts_with = "files")]
    pub(crate) superstep: Option<u64>,
    /// Write what it costs beside each edge, as routers see it.
    #[arg(long, conflicts_with = "files")]
    pub(crate) costs: bool,
    /// Where the run is kept.
    #[command(flatten)]
    pub(crate) store: Store,
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
    /// GraphML, which yEd, networkx and igraph read.
    Graphml,
    /// GEXF 1.3, which Gephi reads; of a run with its supersteps as time.
    Gexf,
    /// An image, by Graphviz.
    Svg,
    /// An image, by Graphviz.
    Png,
}
