//! The arguments of commands that reach a run which another process may drive.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use superstep_runtime::CursorText;

use super::cluster::Connect;
use super::runs::{ShowProgress, Store};
use crate::output::OutputFormat;

/// Arguments of `watch`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  superstep watch triage-k3v9q2
  superstep watch triage-k3v9q2 --from 3
  superstep watch triage-k3v9q2 --connect http://127.0.0.1:7101
  superstep watch triage-k3v9q2 --output jsonl --offset 117
  superstep watch triage-k3v9q2 --connect http://127.0.0.1:7101 --output jsonl --after AQ8DARE

It shows what has happened, and goes on until the run ends, whichever processes drive it; then it writes
the result and exits as the run did. With jsonl each event is a JSON object on a line, and --offset with
the offset of the last one seen goes on right behind it; on a cluster --after with its cursor does, at
whichever worker. Ctrl-C ends the watching, not the run.")]
pub(crate) struct WatchArgs {
    /// The run.
    #[arg(value_name = "RUN")]
    pub(crate) run: String,
    /// Begin with this superstep.
    #[arg(long, value_name = "SUPERSTEP", conflicts_with_all = ["offset", "connect"])]
    pub(crate) from: Option<u64>,
    /// Begin behind the event with this offset.
    #[arg(long, value_name = "N", conflicts_with = "connect")]
    pub(crate) offset: Option<u64>,
    /// Begin behind the event with this cursor, of a run on a cluster.
    #[arg(long, value_name = "CURSOR", requires = "connect")]
    pub(crate) after: Option<CursorText>,
    /// Where the run is kept.
    #[command(flatten)]
    pub(crate) store: Store,
    /// Who works on it, if not a process of this machine's store.
    #[command(flatten)]
    pub(crate) connect: Connect,
    /// How the result is written, or the events.
    #[arg(long, value_enum, default_value_t = WatchFormat::Json)]
    pub(crate) output: WatchFormat,
    /// When progress is shown on stderr.
    #[arg(long, value_enum, default_value_t = ShowProgress::Auto)]
    pub(crate) progress: ShowProgress,
}

/// How a watch writes to stdout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum WatchFormat {
    /// The result as JSON, indented.
    Json,
    /// The result as YAML.
    Yaml,
    /// The result as rows for the eye.
    Table,
    /// Each event as JSON on a line, when it has happened.
    Jsonl,
}

/// Arguments of `patch`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  superstep patch triage-k3v9q2 -f add-reviewer.yaml
  superstep patch triage-k3v9q2 -f add-reviewer.yaml --no-wait
  superstep patch triage-k3v9q2 -f triage.yaml
  superstep patch triage-k3v9q2 -f add-reviewer.yaml --connect http://127.0.0.1:7101

The mutations are judged at the next barrier, and what became of each is written to stdout; the exit code
is 1 if one was refused. Those of a run that nobody drives are put into its log, and judged when
superstep resume goes on. A patch is known by its name: the same again changes nothing more.

With the file of the graph itself, the run goes on with that document from its next barrier on, unless it
says adopt: Pinned. What its barriers changed before is changed in the new document again; its parameters,
and the graphs inside of it, stay as they are.")]
pub(crate) struct PatchArgs {
    /// The run.
    #[arg(value_name = "RUN")]
    pub(crate) run: String,
    /// A file with AgentGraphPatches or with the changed AgentGraph, or - for stdin.
    #[arg(short = 'f', long = "file", value_name = "FILE", required = true, num_args = 1..)]
    pub(crate) files: Vec<PathBuf>,
    /// Do not wait for the barrier: the patch is in the log of the run when the command ends.
    #[arg(long)]
    pub(crate) no_wait: bool,
    /// Where the run is kept.
    #[command(flatten)]
    pub(crate) store: Store,
    /// Who works on it, if not a process of this machine's store.
    #[command(flatten)]
    pub(crate) connect: Connect,
    /// How the verdicts are written.
    #[arg(long, value_enum, default_value_t = OutputFormat::Table)]
    pub(crate) output: OutputFormat,
}

/// Arguments of `approve`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  superstep approve triage-k3v9q2
  superstep approve triage-k3v9q2 plan@3
  superstep approve triage-k3v9q2 plan@3 --deny --why 'the reviewer is on leave'
  superstep approve triage-k3v9q2 plan@3 --connect http://127.0.0.1:7101

In a graph with governance: Propose, a vertex that asks for mutations waits until somebody has decided on them.
Approved, they are judged at the next barrier; denied, they are refused there, and all else that the vertex gives
takes effect. What is proposed, superstep answer RUN shows; a proposal has the name of its activation.")]
pub(crate) struct ApproveArgs {
    /// The run.
    #[arg(value_name = "RUN")]
    pub(crate) run: String,
    /// The proposal, if there are several.
    #[arg(value_name = "PROPOSAL")]
    pub(crate) proposal: Option<String>,
    /// Deny it.
    #[arg(long)]
    pub(crate) deny: bool,
    /// Why; with --deny it is told with what is refused.
    #[arg(long, value_name = "TEXT")]
    pub(crate) why: Option<String>,
    /// Where the run is kept.
    #[command(flatten)]
    pub(crate) store: Store,
    /// Who works on it, if not a process of this machine's store.
    #[command(flatten)]
    pub(crate) connect: Connect,
}

/// Arguments of `suspend`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  superstep suspend triage-k3v9q2
  superstep suspend triage-k3v9q2 --off
  superstep suspend triage-k3v9q2 --connect http://127.0.0.1:7101

What is in flight ends and is committed, and then nothing is delivered or started until --off lets the
run go on from there, whatever processes come and go meanwhile. It is durable when the command ends.")]
pub(crate) struct SuspendArgs {
    /// The run.
    #[arg(value_name = "RUN")]
    pub(crate) run: String,
    /// Let it go on.
    #[arg(long)]
    pub(crate) off: bool,
    /// Where the run is kept.
    #[command(flatten)]
    pub(crate) store: Store,
    /// Who works on it, if not a process of this machine's store.
    #[command(flatten)]
    pub(crate) connect: Connect,
}

/// Arguments of `cancel`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  superstep cancel triage-k3v9q2
  superstep cancel triage-k3v9q2 --connect http://127.0.0.1:7101

The run ends with what it has, and cannot be resumed; programs and calls that run are given up. The end is
durable when the command ends. A run that has ended stays as it is.")]
pub(crate) struct CancelArgs {
    /// The run.
    #[arg(value_name = "RUN")]
    pub(crate) run: String,
    /// Where the run is kept.
    #[command(flatten)]
    pub(crate) store: Store,
    /// Who works on it, if not a process of this machine's store.
    #[command(flatten)]
    pub(crate) connect: Connect,
    /// How the outputs are written that the run had.
    #[arg(long, value_enum, default_value_t = OutputFormat::Json)]
    pub(crate) output: OutputFormat,
}
