//! What a command writes to stderr for programs: log lines as text or JSON, and a run's progress as log lines.

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use clap::ValueEnum;
use superstep_engine::Notice;
use superstep_graph::VertexName;
use superstep_runtime::Observer;
use superstep_store::RunName;
use tracing_subscriber::EnvFilter;

use crate::history::words;
use crate::progress::{change, status_text};

/// The variable that says which log lines are written.
const FILTER: &str = "RUST_LOG";

static FORMAT: OnceLock<LogFormat> = OnceLock::new();

/// How log lines are written to stderr.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For the eye, beside the progress; by default only errors.
    Text,
    /// A JSON object on each line, the progress of runs among them.
    Json,
}

/// Lets log lines be written from here on.
pub(crate) fn begin(format: LogFormat) {
    // Whoever comes second finds the format of the first, and there is no second in a process.
    let format = *FORMAT.get_or_init(|| format);
    let asked = std::env::var(FILTER).is_ok_and(|filter| !filter.trim().is_empty());
    let filter = match format {
        LogFormat::Json if !asked => EnvFilter::new("error,superstep=info"),
        LogFormat::Json | LogFormat::Text => EnvFilter::from_default_env(),
    };
    let lines =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_ansi(in_colors());
    match format {
        LogFormat::Text => lines.init(),
        LogFormat::Json => lines.json().flatten_event(true).with_span_list(false).init(),
    }
}

/// Whether what is told on stderr has colours: on a terminal, unless `NO_COLOR` is set.
pub(crate) fn in_colors() -> bool {
    io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Whether stderr is for programs.
pub(crate) fn is_json() -> bool {
    FORMAT.get() == Some(&LogFormat::Json)
}

/// Tells the user something on stderr. Where stderr cannot be written to, nobody is there to be told, and what
/// the command does goes on.
pub(crate) fn say(text: &str) {
    if is_json() {
        tracing::info!(target: "superstep", "{text}");
    } else {
        say_as_it_is(&format!("superstep: {text}"));
    }
}

/// As [`say`], without a word before it, and not as a line of the log.
pub(crate) fn say_as_it_is(text: &str) {
    let _unheard = writeln!(io::stderr(), "{text}");
}

/// Writes what happens in a run to the log, without any payload.
pub(crate) struct Logged {
    run: String,
    superstep: AtomicU64,
    /// Whether what is told is of the past.
    past: AtomicBool,
}

impl Logged {
    /// Something that writes the log of a run; none if nobody wants it.
    pub(crate) fn new(run: &RunName, resumed: bool) -> Option<Self> {
        tracing::enabled!(target: "superstep::run", tracing::Level::INFO).then(|| Self {
            run: run.to_string(),
            superstep: AtomicU64::new(0),
            past: AtomicBool::new(resumed),
        })
    }

    fn write(&self, notice: &Notice) {
        let (run, superstep) = (self.run.as_str(), self.superstep.load(Ordering::Relaxed));
        macro_rules! line {
            ($($rest:tt)+) => { tracing::info!(target: "superstep::run", run, superstep, $($rest)+) };
        }
        match notice {
            Notice::SuperstepStarted { started, carried, .. } => line!(started, carried, "superstep started"),
            Notice::Completed { activation, failure: None, usage, .. } => {
                line!(%activation, tokens = usage.tokens(), "activation completed");
            }
            Notice::Completed { activation, failure: Some(failure), usage, .. } => {
                let class = failure.class.name();
                line!(%activation, tokens = usage.tokens(), class, failure = %failure, "activation failed");
            }
            Notice::Called(called) => {
                let failed = called.outcome.answer.is_err();
                // Each line has a target already, of its own.
                let (activation, target) = (&called.call.activation, called.target.as_str());
                line!(%activation, called = target, tokens = called.outcome.usage.tokens(), failed, "call ended");
            }
            Notice::Retrying { activation, attempts, failure } => {
                line!(%activation, attempts, failure = %failure, "attempt failed, another follows");
            }
            Notice::Asked { id, .. } => line!(activation = %id.activation, question = %id, "answer wanted"),
            Notice::Cancelled { activation } => line!(%activation, "activation cancelled"),
            Notice::JoinIncomplete { vertex, action, missing, .. } => {
                let missing: Vec<&str> = missing.iter().map(VertexName::as_str).collect();
                line!(%vertex, action = ?action, missing = missing.join(","), "join incomplete");
            }
            Notice::Mutated { requester, mutation, verdict, .. } => {
                line!(requester, change = change(mutation), verdict = words(verdict), "mutation judged");
            }
            Notice::Opened { frame, graph, by } => {
                line!(frame = frame.0, graph, vertex = %by.vertex, "sub-graph opened");
            }
            Notice::Committed { completed, revision, .. } => {
                line!(completed, %revision, "superstep committed");
            }
            Notice::Paused => line!("paused"),
            Notice::Suspended => line!("suspended"),
            Notice::Resumed { epoch } => line!(epoch = epoch.0, "resumed"),
            Notice::Ended { status, totals } => {
                let (tokens, calls) = (totals.usage.tokens(), totals.usage.calls);
                line!(status = status_text(status), tokens, calls, cost = totals.usage.cost, "run ended");
            }
            // One line for each message or start would drown the others; a trace has them.
            Notice::Started { .. } | Notice::Settled { .. } => {}
        }
    }
}

impl Observer for Logged {
    fn notice(&self, notice: &Notice) {
        if let Notice::SuperstepStarted { superstep, .. } = notice {
            self.superstep.store(*superstep, Ordering::Relaxed);
        }
        if let Notice::Resumed { .. } = notice {
            self.past.store(false, Ordering::Relaxed);
        }
        if !self.past.load(Ordering::Relaxed) {
            self.write(notice);
        }
    }
}
