//! Commands of this machine, run to their end under limits. No shell is involved.

mod group;
mod output;
mod program;

use std::ffi::OsString;
use std::io;
use std::process::ExitStatus;
use std::time::Duration;

use serde_json::Value;
use superstep_engine::{Failure, FailureClass, Payload};
use tokio::sync::Notify;

pub use group::{Pipes, ProcessGroup};
pub use output::Tail;
use output::{Cut, Written, collect, feed, keep_tail};

/// Variables of the environment that every command sees.
const ALWAYS: [&str; 4] = ["PATH", "HOME", "LANG", "TMPDIR"];

/// How long output is waited for after the command itself has ended: what it has written is there
/// already, and only a process that left its group can hold the pipe open.
const DRAIN: Duration = Duration::from_secs(1);

/// The variable in which a command finds the idempotency key of its call.
pub const IDEMPOTENCY_KEY_VARIABLE: &str = "SUPERSTEP_IDEMPOTENCY_KEY";

/// A command, ready to be run any number of times, at the same time too.
///
/// It runs in the working directory of this process, in a process group of its own, and sees no other
/// variables than `variables`. Whatever it started and left in its group dies when it ends, when its time
/// is up, or when the future of the run is dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandLine {
    /// The program, by path or to be looked up in `PATH`, and its arguments.
    pub argv: Vec<String>,
    /// Its whole environment.
    pub variables: Vec<(String, OsString)>,
    /// The longest that one run may take.
    pub timeout: Duration,
    /// The most bytes of its standard output.
    pub max_output_bytes: u64,
}

/// Why a command gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// There is no program to run.
    #[error("the command is empty: its first item is the program")]
    Empty,
    /// It did not start.
    #[error("command {program:?} does not start: {source}")]
    Start {
        /// The program.
        program: String,
        /// Why.
        source: io::Error,
    },
    /// It ran too long, and was ended.
    #[error("command {program:?} took longer than {} s and was ended", .timeout.as_secs_f64())]
    TimedOut {
        /// The program.
        program: String,
        /// The time that it had.
        timeout: Duration,
    },
    /// It wrote too much, and was ended.
    #[error("command {program:?} wrote more than {limit} bytes and was ended")]
    TooMuch {
        /// The program.
        program: String,
        /// The bytes that it may write.
        limit: u64,
    },
    /// It ended with another status than 0.
    #[error("command {program:?} failed ({status}){}", after_colon(.stderr))]
    Failed {
        /// The program.
        program: String,
        /// How it ended.
        status: ExitStatus,
        /// The end of its standard error.
        stderr: String,
    },
    /// Its output is neither JSON nor text.
    #[error("command {program:?} wrote something that is no text in UTF-8")]
    NoText {
        /// The program.
        program: String,
    },
    /// The pipes to it broke.
    #[error("command {program:?} cannot be spoken to: {source}")]
    Pipe {
        /// The program.
        program: String,
        /// Why.
        source: io::Error,
    },
}

fn after_colon(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(": {text}") }
}

impl CommandError {
    /// The failure of the call. A run that was cut short may have done its work already, so that it is
    /// tried again only if that does no harm.
    pub fn into_failure(self, is_idempotent: bool) -> Failure {
        let message = self.to_string();
        let class = match self {
            Self::TimedOut { .. } if is_idempotent => FailureClass::Timeout,
            Self::Pipe { .. } if is_idempotent => FailureClass::Transient,
            Self::Start { source, .. } if may_pass(&source) => FailureClass::Transient,
            Self::Empty
            | Self::Start { .. }
            | Self::TimedOut { .. }
            | Self::TooMuch { .. }
            | Self::Failed { .. }
            | Self::NoText { .. }
            | Self::Pipe { .. } => FailureClass::Permanent,
        };
        Failure::new(class, message)
    }
}

/// Whether the system was short of something.
fn may_pass(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::OutOfMemory | io::ErrorKind::ResourceBusy
    )
}

/// What a command sees of the environment of this process: `PATH`, `HOME`, `LANG`, `TMPDIR` and `names`, as
/// far as they are set.
pub fn inherited_variables(names: &[String]) -> Vec<(String, OsString)> {
    let names = ALWAYS.into_iter().chain(names.iter().map(String::as_str));
    names.filter_map(|name| Some((name.to_owned(), std::env::var_os(name)?))).collect()
}

impl CommandLine {
    /// Whether its program is on this machine, so that a mistake is seen before a run.
    ///
    /// # Errors
    /// [`CommandError::Empty`], or [`CommandError::Start`] with the reason.
    pub fn check(&self) -> Result<(), CommandError> {
        let program = self.argv.first().filter(|program| !program.is_empty()).ok_or(CommandError::Empty)?;
        let path = self.variables.iter().find(|(name, _)| name == "PATH").map(|(_, value)| value);
        program::find(program, path.map(OsString::as_os_str))
            .map(drop)
            .map_err(|source| CommandError::Start { program: program.clone(), source })
    }

    /// Runs the command once: `input` is its standard input as JSON, and its standard output is the
    /// answer, JSON, or else `{text: …}` without the newline at its end.
    ///
    /// # Errors
    /// It did not end by itself with the status 0 and such an output.
    pub async fn run(&self, input: &Value, idempotency_key: &str) -> Result<Payload, CommandError> {
        let (mut group, pipes) = ProcessGroup::spawn(&self.argv, &self.with_key(idempotency_key))?;
        let mut written = Written { limit: self.max_output_bytes, ..Written::default() };
        let program = || self.argv.first().cloned().unwrap_or_default();
        let status =
            match tokio::time::timeout(self.timeout, talk(&mut group, pipes, input, &mut written)).await {
                Ok(Ok(status)) => status,
                Ok(Err(Cut::Pipe(source))) => return Err(CommandError::Pipe { program: program(), source }),
                Ok(Err(Cut::TooMuch)) => {
                    return Err(CommandError::TooMuch { program: program(), limit: self.max_output_bytes });
                }
                Err(_) => return Err(CommandError::TimedOut { program: program(), timeout: self.timeout }),
            };
        if !status.success() {
            return Err(CommandError::Failed { program: program(), status, stderr: written.stderr.text() });
        }
        written.answer().ok_or_else(|| CommandError::NoText { program: program() })
    }

    fn with_key(&self, idempotency_key: &str) -> Vec<(String, OsString)> {
        let key = (IDEMPOTENCY_KEY_VARIABLE.to_owned(), OsString::from(idempotency_key));
        self.variables.iter().cloned().chain([key]).collect()
    }
}

/// Writes and reads until the command has ended and its output with it.
async fn talk(
    group: &mut ProcessGroup,
    pipes: Pipes,
    input: &Value,
    written: &mut Written,
) -> Result<ExitStatus, Cut> {
    let ended = Notify::new();
    let transfer = async {
        let Written { limit, output, stderr } = written;
        tokio::select! {
            // What it wrote is read even if this process was stopped for longer than the moment after its end.
            biased;
            done = async {
                tokio::try_join!(
                    feed(pipes.stdin, input),
                    collect(pipes.stdout, output, *limit),
                    keep_tail(pipes.stderr, stderr),
                )
            } => done.map(drop),
            () = async {
                ended.notified().await;
                tokio::time::sleep(DRAIN).await;
                tokio::task::yield_now().await;
            } => Ok(()),
        }
    };
    let exit = async {
        let status = group.wait().await?;
        ended.notify_one();
        Ok(status)
    };
    let (status, ()) = tokio::try_join!(exit, transfer)?;
    Ok(status)
}

#[cfg(test)]
mod tests;
