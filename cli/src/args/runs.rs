//! The arguments of commands that run a graph, or look at runs.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgGroup, Args, Subcommand, ValueEnum};

use super::Files;
use super::cluster::Connect;
use crate::moment::length;
use crate::output::OutputFormat;

/// Where runs are kept.
#[derive(Args, Clone, Debug)]
pub(crate) struct Store {
    /// The folder of runs; default SUPERSTEP_STORE, or else superstep in the XDG state folder.
    #[arg(long = "store", value_name = "DIR")]
    pub(crate) folder: Option<PathBuf>,
}

impl Store {
    /// The folder: as given, else `SUPERSTEP_STORE`, else `superstep` in the XDG state folder; none if
    /// there is no home.
    ///
    /// The variable is looked up here because it gives way to `--ephemeral`, which the argument does not.
    pub(crate) fn folder(&self, lookup: &dyn Fn(&str) -> Option<String>) -> Option<PathBuf> {
        // The XDG specification ignores paths that are not absolute.
        let absolute = |name: &str| lookup(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let state =
            || absolute("XDG_STATE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".local/state")));
        let named = || lookup("SUPERSTEP_STORE").filter(|path| !path.is_empty()).map(PathBuf::from);
        self.folder.clone().or_else(named).or_else(|| state().map(|state| state.join("superstep")))
    }
}

/// Arguments of `run`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  superstep run -f graph.yaml --input '{\"text\": \"My invoice is wrong\"}'
  superstep run -f manifests/examples/one-vertex --input @manifests/examples/one-vertex/input.txt
  superstep run -f graphs/ models.yaml --graph triage --input - --output yaml < mail.json
  superstep run -f chat.yaml --continue-from chat-k3v9q2 --input '{\"text\": \"And tomorrow?\"}'
  superstep run --connect http://127.0.0.1:7101 -f graph.yaml --input @mail.txt

An input @FILE is read as JSON (.json), YAML (.yaml, .yml), or else becomes {\"text\": …}. Progress is
shown on stderr if that is a terminal; the result is written to stdout. A run that was interrupted
goes on with superstep resume.")]
pub(crate) struct RunArgs {
    /// Where the graph and its models are.
    #[command(flatten)]
    pub(crate) files: Files,
    /// The input: JSON, @FILE, or - for stdin.
    #[arg(long, value_name = "INPUT")]
    pub(crate) input: Option<String>,
    /// The parameters of the graph, beside those that it has by default: JSON or @FILE.
    #[arg(long, value_name = "PARAMETERS")]
    pub(crate) parameters: Option<String>,
    /// The graph, if the files have several.
    #[arg(long, value_name = "NAME")]
    pub(crate) graph: Option<String>,
    /// A run that has ended, of the same graph: begin with the values that its vertices had.
    #[arg(long, value_name = "RUN")]
    pub(crate) continue_from: Option<String>,
    /// The name of the run; default the graph's name and a random ending.
    #[arg(long, value_name = "NAME")]
    pub(crate) run_id: Option<String>,
    /// Keep the run in memory only: it cannot be resumed.
    #[arg(long, conflicts_with_all = ["folder", "connect"])]
    pub(crate) ephemeral: bool,
    /// Where the run is kept.
    #[command(flatten)]
    pub(crate) store: Store,
    /// Who works on it, if not this process.
    #[command(flatten)]
    pub(crate) connect: Connect,
    /// How the result is written.
    #[arg(long, value_enum, default_value_t = OutputFormat::Json)]
    pub(crate) output: OutputFormat,
    /// When progress is shown on stderr.
    #[arg(long, value_enum, default_value_t = ShowProgress::Auto)]
    pub(crate) progress: ShowProgress,
    /// Ask nothing on the terminal: a run with a question is left open for superstep answer.
    #[arg(long)]
    pub(crate) no_input: bool,
    /// Where its trace goes.
    #[command(flatten)]
    pub(crate) trace: TraceArgs,
}

/// Where the trace of a run goes.
#[derive(Args, Clone, Debug)]
pub(crate) struct TraceArgs {
    /// Send a trace of the run to this collector, by OTLP over HTTP; default OTEL_EXPORTER_OTLP_ENDPOINT.
    #[cfg(feature = "otlp")]
    #[arg(long, value_name = "URL")]
    pub(crate) otlp: Option<String>,
    /// Write prompts, answers, the arguments and results of tools, and the words of failures into the trace.
    #[cfg(feature = "otlp")]
    #[arg(long)]
    pub(crate) trace_content: bool,
}

/// When progress is shown on stderr.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ShowProgress {
    /// If stderr is a terminal.
    Auto,
    /// Always; without a line that changes where stderr is no terminal.
    Always,
    /// Never.
    Never,
}

/// Arguments of `resume`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  superstep resume triage-k3v9q2

The run goes on from its log: completed calls of models are not made again.")]
pub(crate) struct ResumeArgs {
    /// The run.
    #[arg(value_name = "RUN")]
    pub(crate) run: String,
    /// Where the run is kept.
    #[command(flatten)]
    pub(crate) store: Store,
    /// How the result is written.
    #[arg(long, value_enum, default_value_t = OutputFormat::Json)]
    pub(crate) output: OutputFormat,
    /// When progress is shown on stderr.
    #[arg(long, value_enum, default_value_t = ShowProgress::Auto)]
    pub(crate) progress: ShowProgress,
    /// Ask nothing on the terminal: a run with a question is left open for superstep answer.
    #[arg(long)]
    pub(crate) no_input: bool,
    /// Where its trace goes.
    #[command(flatten)]
    pub(crate) trace: TraceArgs,
}

/// Arguments of `answer`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  superstep answer refund-k3v9q2 '{\"approved\": true}'
  superstep answer refund-k3v9q2 --vertex approve @answer.json
  superstep answer refund-k3v9q2 yes --connect http://127.0.0.1:7101

A run that a process drives goes on from the answer there; into the log of another one it is put, and
superstep resume goes on from it. An answer that is no JSON is taken as a text where the question takes
one. Without an answer the open questions are shown. A call of which nobody knows whether it took effect
is answered by {\"retry\": true}, or by {\"result\": …} with what it gave.")]
pub(crate) struct AnswerArgs {
    /// The run.
    #[arg(value_name = "RUN")]
    pub(crate) run: String,
    /// The answer: JSON, a text, @FILE, or - for stdin.
    #[arg(value_name = "ANSWER")]
    pub(crate) answer: Option<String>,
    /// The vertex that asks, if several do.
    #[arg(long, value_name = "NAME")]
    pub(crate) vertex: Option<String>,
    /// Where the run is kept.
    #[command(flatten)]
    pub(crate) store: Store,
    /// Who works on it, if not a process of this machine's store.
    #[command(flatten)]
    pub(crate) connect: Connect,
    /// How the questions are written.
    #[arg(long, value_enum, default_value_t = OutputFormat::Json)]
    pub(crate) output: OutputFormat,
}

/// Arguments of `runs`.
#[derive(Args, Debug)]
#[command(
    args_conflicts_with_subcommands = true,
    disable_help_subcommand = true,
    after_help = "\
Examples:
  superstep runs
  superstep runs --status unfinished,failed --limit 10
  superstep runs --output json
  superstep runs --connect http://127.0.0.1:7101
  superstep runs gc --older-than 30d

The newest stand first."
)]
pub(crate) struct RunsArgs {
    /// What to do with runs, if not list them.
    #[command(subcommand)]
    pub(crate) command: Option<RunsCommand>,
    /// Only runs that came to this.
    #[arg(long, value_enum, value_delimiter = ',', value_name = "STATUS")]
    pub(crate) status: Vec<PhaseName>,
    /// Only so many.
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<usize>,
    /// Where the runs are kept.
    #[command(flatten)]
    pub(crate) store: Store,
    /// Who works on them, if not a process of this machine's store.
    #[command(flatten)]
    pub(crate) connect: Connect,
    /// How the list is written.
    #[arg(long, value_enum, default_value_t = OutputFormat::Table)]
    pub(crate) output: OutputFormat,
}

/// What to do with runs.
#[derive(Debug, Subcommand)]
pub(crate) enum RunsCommand {
    /// Remove runs that have ended, or what they did long before their end.
    Gc(SweepArgs),
}

/// How far a run has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum PhaseName {
    /// At work somewhere, or to be resumed.
    Unfinished,
    /// At work somewhere.
    Running,
    /// At work nowhere, and to be resumed.
    Interrupted,
    /// Ended with nothing left to do.
    Succeeded,
    /// Ended by the failure of a vertex.
    Failed,
    /// Ended by a limit.
    LimitReached,
    /// Ended by somebody.
    Cancelled,
    /// With a log that cannot be read.
    Unreadable,
}

/// Arguments of `runs gc`.
#[derive(Args, Debug)]
#[command(group = ArgGroup::new("what").args(["keep", "older_than", "keep_supersteps"]).required(true).multiple(true), after_help = "\
Examples:
  superstep runs gc --older-than 30d
  superstep runs gc --keep 100 --dry-run
  superstep runs gc --keep 10 --older-than 12h --output json
  superstep runs gc --keep-supersteps 20

With --keep and --older-than a run is removed only if both let it go; --keep 0 removes every run that
has ended. A run that another process has open is left, whatever is asked for. --keep-supersteps
shortens the logs of the runs that have ended and stay: they can be inspected, watched and continued,
and neither be replayed nor forked.")]
pub(crate) struct SweepArgs {
    /// Keep the newest runs, so many of those that could be removed.
    #[arg(long, value_name = "N")]
    pub(crate) keep: Option<usize>,
    /// Remove only what was last written to before so long, as in 12h or 30d.
    #[arg(long, value_name = "DURATION", value_parser = length)]
    pub(crate) older_than: Option<Duration>,
    /// Of each run that has ended and stays, keep the last supersteps only, so many, beside its outputs.
    #[arg(long, value_name = "N")]
    pub(crate) keep_supersteps: Option<u64>,
    /// Also remove runs that could be resumed, and those whose logs cannot be read.
    #[arg(long)]
    pub(crate) all: bool,
    /// Remove nothing, and tell what would be removed.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Where the runs are kept.
    #[command(flatten)]
    pub(crate) store: Store,
    /// How the list of removed runs is written.
    #[arg(long, value_enum, default_value_t = OutputFormat::Table)]
    pub(crate) output: OutputFormat,
}

/// Arguments of `inspect`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  superstep inspect triage-k3v9q2
  superstep inspect triage-k3v9q2 --superstep 3 --output yaml
  superstep inspect triage-k3v9q2 --costs
  superstep inspect triage-k3v9q2 --connect http://127.0.0.1:7101")]
pub(crate) struct InspectArgs {
    /// The run.
    #[arg(value_name = "RUN")]
    pub(crate) run: String,
    /// Only this superstep.
    #[arg(long, value_name = "N")]
    pub(crate) superstep: Option<u64>,
    /// What edges cost, as the run and those before it have measured.
    #[arg(long, conflicts_with = "superstep")]
    pub(crate) costs: bool,
    /// Where the run is kept.
    #[command(flatten)]
    pub(crate) store: Store,
    /// Who works on it, if not a process of this machine's store.
    #[command(flatten)]
    pub(crate) connect: Connect,
    /// How it is written.
    #[arg(long, value_enum, default_value_t = OutputFormat::Table)]
    pub(crate) output: OutputFormat,
}

/// Arguments of `why`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  superstep why triage-k3v9q2 archive
  superstep why triage-k3v9q2 judge@4 --output json
  superstep why triage-k3v9q2 archive --connect http://127.0.0.1:7101

An activation is named as inspect shows it: the vertex and the superstep in which it started; in a
sub-graph with the number of its frame before it, as in 2/judge@4; without a superstep it is the last
one of the vertex. Below it stand the activations whose messages it took, and what it only saw.")]
pub(crate) struct WhyArgs {
    /// The run.
    #[arg(value_name = "RUN")]
    pub(crate) run: String,
    /// The activation, as in judge@3.
    #[arg(value_name = "ACTIVATION")]
    pub(crate) activation: String,
    /// How many steps back; 0 is all.
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub(crate) depth: u64,
    /// Where the run is kept.
    #[command(flatten)]
    pub(crate) store: Store,
    /// Who works on it, if not a process of this machine's store.
    #[command(flatten)]
    pub(crate) connect: Connect,
    /// How it is written.
    #[arg(long, value_enum, default_value_t = WhyFormat::Tree)]
    pub(crate) output: WhyFormat,
}

/// How a chain of causes is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum WhyFormat {
    /// Each activation above what led to it.
    Tree,
    /// A row for each cause.
    Table,
    /// JSON, indented.
    Json,
    /// YAML.
    Yaml,
}

/// Arguments of `diff`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  superstep diff triage-k3v9q2 triage-m2x7a4
  superstep diff triage-k3v9q2 triage-m2x7a4 --output json

It tells the first superstep in which the runs differ, what differs in it, which of their outputs
differ, and what each used. The exit code does not tell whether they differ.")]
pub(crate) struct DiffArgs {
    /// One run.
    #[arg(value_name = "RUN")]
    pub(crate) one: String,
    /// The other.
    #[arg(value_name = "OTHER")]
    pub(crate) other: String,
    /// Where the runs are kept.
    #[command(flatten)]
    pub(crate) store: Store,
    /// How it is written.
    #[arg(long, value_enum, default_value_t = OutputFormat::Table)]
    pub(crate) output: OutputFormat,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_kept_in_the_state_folder() {
        let store = Store { folder: None };
        let folder = |xdg: Option<&str>| {
            store.folder(&|name| match name {
                "XDG_STATE_HOME" => xdg.map(str::to_owned),
                "HOME" => Some("/users/a".to_owned()),
                _ => None,
            })
        };
        assert_eq!(folder(Some("/state")), Some(PathBuf::from("/state/superstep")));
        assert_eq!(folder(Some("state")), Some(PathBuf::from("/users/a/.local/state/superstep")));
        assert_eq!(store.folder(&|_| None), None);
    }
}
