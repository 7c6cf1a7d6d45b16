//! The arguments of commands that go back in a run.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::runs::{ShowProgress, Store, TraceArgs};
use crate::output::OutputFormat;

/// Arguments of `replay`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  superstep replay triage-k3v9q2
  superstep replay triage-k3v9q2 --from 3
  superstep replay triage-k3v9q2 --output json

Every program runs again on what it saw: templates, expressions, routers, conversations of agents. Answers
of models, tools, commands and people come from the log: no model is loaded, nothing is called, and
nothing is written. What comes out is compared with the log byte for byte. The first difference ends
the replay, with exit code 7. The run may be unfinished, or at work.")]
pub(crate) struct ReplayArgs {
    /// The run.
    #[arg(value_name = "RUN")]
    pub(crate) run: String,
    /// The first superstep whose programs run again; what is before it is taken from the log.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) from: u64,
    /// Where the run is kept.
    #[command(flatten)]
    pub(crate) store: Store,
    /// How it is written.
    #[arg(long, value_enum, default_value_t = ReplayFormat::Text)]
    pub(crate) output: ReplayFormat,
}

/// How the outcome of a replay is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReplayFormat {
    /// A line, or what differs.
    Text,
    /// JSON, indented.
    Json,
    /// YAML.
    Yaml,
}

/// Arguments of `fork`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  superstep fork triage-k3v9q2 --from 3
  superstep fork triage-k3v9q2 --from 3 --set vertex.judge.prompt.template=@strict.txt
  superstep fork triage-k3v9q2 --from 0 --set vertex.draft.prompt.sampling.temperature=0.7
  superstep fork triage-k3v9q2 --from 2 --patch reviewer.yaml --run-id with-reviewer
  superstep fork triage-k3v9q2 --from 2 --set 'edge.judge.archive.when=message.grade >= 4' --no-run

The new run has all that was committed before superstep N, and goes on from there on its own: calls
that had ended by then are not made again. Changes are judged at the barrier before superstep N, as
those of a patch; if one is refused, no run is made. A value is read as YAML; where the field takes no
such value, it is the text itself; @FILE is what a file holds.")]
pub(crate) struct ForkArgs {
    /// The run.
    #[arg(value_name = "RUN")]
    pub(crate) run: String,
    /// The first superstep that the new run makes itself; with 0 it begins anew.
    #[arg(long, value_name = "N")]
    pub(crate) from: u64,
    /// A field of a vertex or an edge: vertex.NAME.FIELD=VALUE, or edge.FROM[:PORT].TO.FIELD=VALUE.
    #[arg(long, value_name = "FIELD=VALUE")]
    pub(crate) set: Vec<String>,
    /// A file with changes: AgentGraphPatch.
    #[arg(long, value_name = "FILE")]
    pub(crate) patch: Option<PathBuf>,
    /// The name of the new run; default the graph's name and a random ending.
    #[arg(long, value_name = "NAME")]
    pub(crate) run_id: Option<String>,
    /// Only make the run, and write its name: superstep resume goes on with it.
    #[arg(long)]
    pub(crate) no_run: bool,
    /// Where the runs are kept.
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
