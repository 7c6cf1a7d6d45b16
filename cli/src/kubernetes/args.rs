//! The arguments of `kubectl superstep`.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::args::reach::WatchFormat;
use crate::args::runs::WhyFormat;
use crate::log::LogFormat;
use crate::output::OutputFormat;

/// Runs agent graphs on a cluster.
#[derive(Debug, Parser)]
#[command(
    name = "kubectl-superstep",
    bin_name = "kubectl superstep",
    version,
    disable_help_subcommand = true,
    after_help = "\
Examples:
  kubectl superstep run triage --input '{\"text\": \"My invoice is wrong\"}'
  kubectl superstep -n team watch triage-x7k2p
  kubectl superstep patch triage-x7k2p -f add-reviewer.yaml
  kubectl superstep why triage-x7k2p archive
  kubectl superstep promote triage > triage.yaml"
)]
pub(super) struct Plugin {
    /// Which cluster, and where in it.
    #[command(flatten)]
    pub(super) cluster: ClusterArgs,
    /// How log lines are written to stderr.
    #[arg(long, global = true, value_enum, value_name = "FORMAT", env = "SUPERSTEP_LOG", hide_env_values = true,
        default_value_t = LogFormat::Text)]
    pub(super) log: LogFormat,
    /// What to do.
    #[command(subcommand)]
    pub(super) command: PluginCommand,
}

/// Which cluster.
#[derive(Args, Clone, Debug, Default)]
pub(super) struct ClusterArgs {
    /// The namespace; default that of the context.
    #[arg(short, long, global = true, value_name = "NAMESPACE")]
    pub(super) namespace: Option<String>,
    /// The context of the kubeconfig.
    #[arg(long, global = true, value_name = "CONTEXT")]
    pub(super) context: Option<String>,
    /// The kubeconfig.
    #[arg(long, global = true, value_name = "FILE")]
    pub(super) kubeconfig: Option<PathBuf>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(super) enum PluginCommand {
    /// Run a graph, and show what happens.
    Run(RunArgs),
    /// Begin a run with a part of another one, and show what happens.
    Fork(ForkArgs),
    /// Show what happens in a run, until it ends.
    Watch(WatchedArgs),
    /// Answer a question of a run.
    Answer(AnswerArgs),
    /// Approve or deny what a vertex of a run proposes.
    Approve(ApproveArgs),
    /// Change the graph of a run.
    Patch(PatchArgs),
    /// End a run with what it has.
    Cancel(CancelArgs),
    /// Stop a run at its next barrier.
    Suspend(OneArgs),
    /// Let a run go on that was stopped.
    Resume(OneArgs),
    /// List the runs.
    #[command(visible_alias = "runs")]
    List,
    /// Show what happened in a run.
    Inspect(InspectArgs),
    /// Show what led to an activation.
    Why(WhyArgs),
    /// Write a graph with all patches for later runs, as a manifest to be kept.
    Promote(GraphArgs),
    /// Show what the workers of a graph log.
    Logs(LogsArgs),
}

/// Arguments of `run`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  kubectl superstep run triage --input @mail.txt
  kubectl superstep run triage --no-watch --ttl 24h")]
pub(super) struct RunArgs {
    /// The AgentGraph.
    #[arg(value_name = "GRAPH")]
    pub(super) graph: String,
    /// The input: JSON, @FILE, or - for stdin.
    #[arg(long, value_name = "INPUT")]
    pub(super) input: Option<String>,
    /// The parameters of the graph, beside those that it has by default: JSON or @FILE.
    #[arg(long, value_name = "PARAMETERS")]
    pub(super) parameters: Option<String>,
    /// A GraphRun that has ended, of the same graph: begin with the values that its vertices had.
    #[arg(long, value_name = "RUN")]
    pub(super) continue_from: Option<String>,
    /// What is made of it.
    #[command(flatten)]
    pub(super) made: Made,
}

/// The GraphRun that a command makes, and whether it is looked at.
#[derive(Args, Debug)]
pub(super) struct Made {
    /// The name of the GraphRun; default the graph's name and a random ending.
    #[arg(long, value_name = "NAME")]
    pub(super) name: Option<String>,
    /// How long the GraphRun stays once the run has ended, such as 24h; default for ever.
    #[arg(long, value_name = "DURATION")]
    pub(super) ttl: Option<String>,
    /// Create the GraphRun, and do not wait for it.
    #[arg(long)]
    pub(super) no_watch: bool,
    /// How the result is written, or the events.
    #[arg(long, value_enum, default_value_t = WatchFormat::Json)]
    pub(super) output: WatchFormat,
}

/// Arguments of `fork`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  kubectl superstep fork triage-x7k2p --from 3
  kubectl superstep fork triage-x7k2p --from 0 --name again --no-watch

The fork has all that was committed before superstep N, its graph and its input with it. Calls that had ended by then
are not made again.")]
pub(super) struct ForkArgs {
    /// The GraphRun of which it has a part.
    #[arg(value_name = "RUN")]
    pub(super) run: String,
    /// The first superstep that the fork makes itself; with 0 it begins anew.
    #[arg(long, value_name = "N")]
    pub(super) from: u64,
    /// What is made of it.
    #[command(flatten)]
    pub(super) made: Made,
}

/// Arguments of `watch`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  kubectl superstep watch triage-x7k2p
  kubectl superstep watch triage-x7k2p --output jsonl

A run that has not begun is waited for, for five minutes.")]
pub(super) struct WatchedArgs {
    /// The GraphRun.
    #[arg(value_name = "RUN")]
    pub(super) run: String,
    /// How the result is written, or the events.
    #[arg(long, value_enum, default_value_t = WatchFormat::Json)]
    pub(super) output: WatchFormat,
}

/// Arguments of `answer`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  kubectl superstep answer refund-x7k2p
  kubectl superstep answer refund-x7k2p '{\"approved\": true}'")]
pub(super) struct AnswerArgs {
    /// The GraphRun.
    #[arg(value_name = "RUN")]
    pub(super) run: String,
    /// The answer: JSON, a text, @FILE, or - for stdin. Left out, the open questions are shown.
    #[arg(value_name = "ANSWER")]
    pub(super) answer: Option<String>,
    /// The vertex that asks, if several do.
    #[arg(long, value_name = "NAME")]
    pub(super) vertex: Option<String>,
    /// How the questions are written.
    #[arg(long, value_enum, default_value_t = OutputFormat::Json)]
    pub(super) output: OutputFormat,
}

/// Arguments of `approve`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  kubectl superstep approve triage-x7k2p
  kubectl superstep approve triage-x7k2p plan@3 --deny --why 'the reviewer is on leave'

What is proposed, kubectl superstep answer RUN shows; it stands in the status of the GraphRun too, and as an
AgentGraphPatch whose reason is Proposed.")]
pub(super) struct ApproveArgs {
    /// The GraphRun.
    #[arg(value_name = "RUN")]
    pub(super) run: String,
    /// The proposal, if there are several.
    #[arg(value_name = "PROPOSAL")]
    pub(super) proposal: Option<String>,
    /// Deny it.
    #[arg(long)]
    pub(super) deny: bool,
    /// Why; with --deny it is told with what is refused.
    #[arg(long, value_name = "TEXT")]
    pub(super) why: Option<String>,
}

/// Arguments of `patch`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  kubectl superstep patch triage-x7k2p -f add-reviewer.yaml

The mutations are judged at the next barrier, and what became of each is written to stdout. To keep them as an
object, apply the AgentGraphPatch with kubectl.")]
pub(super) struct PatchArgs {
    /// The GraphRun.
    #[arg(value_name = "RUN")]
    pub(super) run: String,
    /// The patches: YAML or JSON files, folders, or - for stdin.
    #[arg(short = 'f', long = "file", value_name = "FILE", required = true, num_args = 1..)]
    pub(super) files: Vec<PathBuf>,
    /// Do not wait for the barrier.
    #[arg(long)]
    pub(super) no_wait: bool,
    /// How it is written what became of the mutations.
    #[arg(long, value_enum, default_value_t = OutputFormat::Json)]
    pub(super) output: OutputFormat,
}

/// Arguments of `cancel`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  kubectl superstep cancel triage-x7k2p")]
pub(super) struct CancelArgs {
    /// The GraphRun.
    #[arg(value_name = "RUN")]
    pub(super) run: String,
    /// How the outputs are written that the run had.
    #[arg(long, value_enum, default_value_t = OutputFormat::Json)]
    pub(super) output: OutputFormat,
}

/// Arguments of `inspect`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  kubectl superstep inspect triage-x7k2p
  kubectl superstep inspect triage-x7k2p --superstep 3 --output yaml

Its workers tell it. What the cluster knows of a run, kubectl describe graphrun RUN shows.")]
pub(super) struct InspectArgs {
    /// The GraphRun.
    #[arg(value_name = "RUN")]
    pub(super) run: String,
    /// Only this superstep.
    #[arg(long, value_name = "N")]
    pub(super) superstep: Option<u64>,
    /// What edges cost, as the run and those before it have measured.
    #[arg(long, conflicts_with = "superstep")]
    pub(super) costs: bool,
    /// How it is written.
    #[arg(long, value_enum, default_value_t = OutputFormat::Table)]
    pub(super) output: OutputFormat,
}

/// Arguments of `why`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  kubectl superstep why triage-x7k2p archive
  kubectl superstep why triage-x7k2p judge@4 --output json")]
pub(super) struct WhyArgs {
    /// The GraphRun.
    #[arg(value_name = "RUN")]
    pub(super) run: String,
    /// The activation, as in judge@3.
    #[arg(value_name = "ACTIVATION")]
    pub(super) activation: String,
    /// How many steps back; 0 is all.
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub(super) depth: u64,
    /// How it is written.
    #[arg(long, value_enum, default_value_t = WhyFormat::Tree)]
    pub(super) output: WhyFormat,
}

/// The arguments of what concerns one run.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  kubectl superstep suspend triage-x7k2p
  kubectl superstep resume triage-x7k2p")]
pub(super) struct OneArgs {
    /// The GraphRun.
    #[arg(value_name = "RUN")]
    pub(super) run: String,
}

/// Arguments of `promote`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  kubectl superstep promote triage > triage.yaml")]
pub(super) struct GraphArgs {
    /// The AgentGraph.
    #[arg(value_name = "GRAPH")]
    pub(super) graph: String,
}

/// Arguments of `logs`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  kubectl superstep logs triage --follow")]
pub(super) struct LogsArgs {
    /// The AgentGraph.
    #[arg(value_name = "GRAPH")]
    pub(super) graph: String,
    /// Go on with what is logged from here on.
    #[arg(long)]
    pub(super) follow: bool,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_arguments_fit_together() {
        Plugin::command().debug_assert();
    }
}
