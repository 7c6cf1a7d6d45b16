//! How the command ends, as its exit code tells.

use std::io::{self, Write};
use std::path::PathBuf;

use superstep_api::NoGraph;
use superstep_provision::{ModelError, ProvisionError, with_causes};
use superstep_runtime::RunError;
use superstep_serving::ServeError;
use superstep_store::{RunName, StoreError};

use crate::approve::ProposalError;
use crate::cluster::ProcessError;
use crate::fork::SetError;
use crate::input::InputError;
use crate::kubernetes::KubectlError;
use crate::log;
use crate::remote::RemoteError;
use crate::render::GraphvizError;

/// The exit codes, as `superstep --help` lists them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// What was asked for is done.
    Success = 0,
    /// The run failed; what it had given so far is on stdout. Or a mutation of a patch was refused, or a case
    /// does not hold.
    RunFailed = 1,
    /// The arguments or the files are wrong; nothing was run.
    Invalid = 2,
    /// A limit ended the run; its partial outputs are on stdout.
    LimitReached = 3,
    /// Interrupted, or waiting for an answer; the run can be resumed.
    Interrupted = 4,
    /// The store is corrupt, and the run refuses to go on from it.
    CorruptStore = 5,
    /// The store, a model or another program cannot be used.
    Unusable = 6,
    /// A run came to something else when it was replayed.
    Differs = 7,
}

/// Examples and the exit codes, for `--help`.
pub(crate) const EXIT_CODES: &str = "\
Examples:
  superstep run -f manifests/hello --input '{\"name\": \"Ada\"}'
  superstep resume hello-k3v9q2
  superstep validate -f manifests/hello
  superstep render -f manifests/hello --format mermaid

Exit codes:
  0  success
  1  the run failed or was cancelled, and what it had given is on stdout; a mutation was refused; or
     a case does not hold
  2  wrong arguments or wrong files; nothing was run
  3  a limit ended the run; its partial outputs are on stdout
  4  interrupted or waiting for an answer; superstep answer and resume go on
  5  the store is corrupt, and the run refuses to go on from it
  6  the store, a model or another program cannot be used
  7  a run came to something else when it was replayed";

/// Why a command could not be carried out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommandError {
    /// A cluster cannot do what is asked.
    #[error(transparent)]
    Remote(#[from] RemoteError),
    /// `kubectl` has failed.
    #[error(transparent)]
    Kubectl(#[from] KubectlError),
    /// Workers cannot be started.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// The files have mistakes, which were shown.
    #[error("{}", count(*.errors, "mistake"))]
    Mistakes {
        /// How many.
        errors: usize,
    },
    /// No graph was chosen.
    #[error("{error}{}", if matches!(.error, NoGraph::Several(_)) { ": choose one with --graph NAME" } else { "" })]
    NoGraph {
        /// Why.
        #[from]
        error: NoGraph,
    },
    /// The input does not fit the graph, as was shown.
    #[error("the input does not fit the graph: {}", .problems.join("; "))]
    Unfit {
        /// What is wrong with it.
        problems: Vec<String>,
    },
    /// The parameters do not fit the graph.
    #[error("the parameters do not fit the graph: {}", .problems.join("; "))]
    UnfitParameters {
        /// What is wrong with them.
        problems: Vec<String>,
    },
    /// A run has no such question.
    #[error("run \"{run}\" asks nothing{}", .vertex.as_ref().map(|vertex| format!(" at vertex {vertex:?}")).unwrap_or_default())]
    NoQuestion {
        /// The run.
        run: RunName,
        /// The vertex that was named.
        vertex: Option<String>,
    },
    /// A run has several questions.
    #[error("run \"{run}\" asks several questions: name one with --vertex: {}", .asking.join(", "))]
    SeveralQuestions {
        /// The run.
        run: RunName,
        /// Who asks.
        asking: Vec<String>,
    },
    /// There is not one proposal that is meant.
    #[error(transparent)]
    Proposal(#[from] ProposalError),
    /// The files have neither a patch nor the graph of the run.
    #[error("the files have no AgentGraphPatch, and not the AgentGraph of the run")]
    NothingToApply,
    /// The files have no document.
    #[error("the files have no AgentGraph, no ModelServer and no AgentGraphPatch")]
    NothingToCheck,
    /// A run has not come so far.
    #[error("run \"{run}\" has no superstep {superstep}")]
    NoSuperstep {
        /// The run.
        run: RunName,
        /// What was asked for.
        superstep: u64,
    },
    /// A text is no name of an activation.
    #[error("{text:?} is no activation: name a vertex and the superstep in which it started, as in judge@3")]
    NoActivationName {
        /// The text.
        text: String,
    },
    /// A run has no such activation.
    #[error("run \"{run}\" has no activation {text}{}", if .others.is_empty() {
        ": the vertex never ran".to_owned()
    } else {
        format!(": the last of the vertex are {}", .others.join(", "))
    })]
    NoActivation {
        /// The run.
        run: RunName,
        /// What was asked for.
        text: String,
        /// The last activations of that vertex.
        others: Vec<String>,
    },
    /// A run is of another graph than the one that is to continue it.
    #[error("run \"{run}\" is of graph {was:?}, and a run of graph {is:?} cannot continue it")]
    OtherGraph {
        /// The run.
        run: RunName,
        /// Its graph.
        was: String,
        /// The graph that is to be run.
        is: String,
    },
    /// A field cannot be set.
    #[error(transparent)]
    Set(#[from] SetError),
    /// The input cannot be used.
    #[error(transparent)]
    Input(#[from] InputError),
    /// No place for runs is known.
    #[error("there is no home folder to keep runs in: name a folder with --store DIR, or use --ephemeral")]
    NoStore,
    /// A model cannot be used.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// What the run needs cannot be had.
    #[error(transparent)]
    Provision(#[from] ProvisionError),
    /// The trace cannot be sent where it was to go.
    #[cfg(feature = "otlp")]
    #[error(transparent)]
    Traces(#[from] superstep_telemetry::TracesError),
    /// A trace is asked for of a run that others drive.
    #[cfg(feature = "otlp")]
    #[error(
        "a run on a cluster has its trace from the workers: give --otlp and --trace-content to superstep-worker, or \
         OTEL_EXPORTER_OTLP_ENDPOINT to superstep cluster up"
    )]
    TraceElsewhere,
    /// The run cannot be begun, read or driven.
    #[error(transparent)]
    Run(#[from] RunError),
    /// A run cannot be removed; why was told with the others.
    #[error("run \"{run}\" cannot be removed")]
    NotRemoved {
        /// The run.
        run: RunName,
    },
    /// A folder of cases cannot be read.
    #[error("cannot read the cases in {}", folder.display())]
    Cases {
        /// The folder.
        folder: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is no case.
    #[error("{} has no case{}", folder.display(), .case.as_ref().map(|case| format!(" {case:?}")).unwrap_or_default())]
    NoCase {
        /// The folder.
        folder: PathBuf,
        /// The name that was asked for.
        case: Option<String>,
    },
    /// There is no manual page.
    #[error("there is no command \"superstep {name}\", and no page of it")]
    NoCommand {
        /// What was asked for.
        name: String,
    },
    /// A manual page cannot be written.
    #[error("cannot write {}", path.display())]
    Page {
        /// Its file, or the folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is no image.
    #[error(transparent)]
    Graphviz(#[from] GraphvizError),
    /// An image would be written to a terminal.
    #[error("an image is no text for a terminal: write it to a file, as in superstep render … > graph.png")]
    ImageOnTerminal,
    /// A model cannot be served.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// The result cannot be written.
    #[error("cannot write the result: {0}")]
    Output(#[from] io::Error),
}

impl CommandError {
    /// Tells the user on stderr, and gives the exit code.
    pub(crate) fn report(&self) -> Exit {
        match self {
            // Whoever closed the pipe has what he wanted.
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => return Exit::Success,
            Self::Mistakes { .. }
            | Self::NoGraph { .. }
            | Self::Unfit { .. }
            | Self::UnfitParameters { .. }
            | Self::NoSuperstep { .. }
            | Self::NoQuestion { .. }
            | Self::SeveralQuestions { .. }
            | Self::Proposal(_)
            | Self::NothingToApply
            | Self::NothingToCheck
            | Self::NoActivationName { .. }
            | Self::NoActivation { .. }
            | Self::OtherGraph { .. }
            | Self::Set(_)
            | Self::Input(_)
            | Self::NoStore
            | Self::Model(_)
            | Self::Provision(_)
            | Self::Remote(_)
            | Self::Kubectl(_)
            | Self::Process(_)
            | Self::Run(_)
            | Self::NotRemoved { .. }
            | Self::Cases { .. }
            | Self::NoCase { .. }
            | Self::NoCommand { .. }
            | Self::Page { .. }
            | Self::Graphviz(_)
            | Self::ImageOnTerminal
            | Self::Serve(_)
            | Self::Output(_) => {}
            #[cfg(feature = "otlp")]
            Self::Traces(_) | Self::TraceElsewhere => {}
        }
        let exit = self.exit();
        if log::is_json() {
            tracing::error!(target: "superstep", exit = exit as u8, "{}", with_causes(self));
        } else {
            // Nobody is left to be told if stderr is closed.
            let _unheard = writeln!(io::stderr(), "superstep: {}", with_causes(self));
        }
        exit
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Mistakes { .. }
            | Self::NoGraph { .. }
            | Self::Unfit { .. }
            | Self::UnfitParameters { .. }
            | Self::NoSuperstep { .. }
            | Self::NoActivationName { .. }
            | Self::NoActivation { .. }
            | Self::ImageOnTerminal
            | Self::NoCommand { .. }
            | Self::NoQuestion { .. }
            | Self::SeveralQuestions { .. }
            | Self::Proposal(_)
            | Self::NothingToApply
            | Self::NothingToCheck
            | Self::Cases { .. }
            | Self::NoCase { .. }
            | Self::OtherGraph { .. }
            | Self::Set(_)
            | Self::Input(_) => Exit::Invalid,
            #[cfg(feature = "otlp")]
            Self::Traces(_) | Self::TraceElsewhere => Exit::Invalid,
            Self::NoStore
            | Self::Model(_)
            | Self::Provision(ProvisionError::Model(_) | ProvisionError::Tools(_))
            | Self::Page { .. }
            | Self::NotRemoved { .. }
            | Self::Graphviz(_)
            | Self::Kubectl(_)
            | Self::Process(_)
            | Self::Output(_) => Exit::Unusable,
            Self::Serve(error) => invalid_or_unusable(error.is_invalid()),
            Self::Remote(error) => invalid_or_unusable(error.is_invalid()),
            Self::Provision(ProvisionError::Attachment { .. }) => Exit::CorruptStore,
            Self::Run(error) => match error {
                RunError::Store(
                    StoreError::Corrupt { .. }
                    | StoreError::CorruptBlob { .. }
                    | StoreError::CorruptResult { .. }
                    | StoreError::NoBlob { .. }
                    | StoreError::NewerFormat { .. },
                )
                | RunError::Replay { .. } => Exit::CorruptStore,
                RunError::Store(
                    StoreError::NotFound { .. } | StoreError::Exists { .. } | StoreError::BadName { .. },
                ) => Exit::Invalid,
                // A run that was killed before its first record has not begun, and its log is sound.
                RunError::Answer { .. }
                | RunError::Patch { .. }
                | RunError::Over { .. }
                | RunError::Fork { .. }
                | RunError::NotEnded { .. }
                | RunError::Compacted { .. }
                | RunError::Recreated { .. }
                | RunError::Compact { .. }
                | RunError::Empty { .. }
                | RunError::Graph { .. }
                | RunError::NoGraph(_)
                | RunError::Program { .. } => Exit::Invalid,
                RunError::Store(_)
                | RunError::Append { .. }
                | RunError::Unreachable { .. }
                | RunError::Control { .. } => Exit::Unusable,
            },
        }
    }
}

fn invalid_or_unusable(is_invalid: bool) -> Exit {
    if is_invalid { Exit::Invalid } else { Exit::Unusable }
}

/// `1 mistake`, `2 mistakes`.
pub(crate) fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}
