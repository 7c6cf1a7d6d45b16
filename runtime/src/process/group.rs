//! A process and whatever it starts.

use std::ffi::OsString;
use std::io;
use std::process::{ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};

use super::CommandError;

/// A process in a group of its own. Dropping it ends the whole group at once.
#[derive(Debug)]
pub struct ProcessGroup {
    child: Child,
    /// The group, until its first process was waited for.
    id: Option<Pid>,
}

/// The pipes to a process.
#[derive(Debug)]
pub struct Pipes {
    /// To its standard input.
    pub stdin: ChildStdin,
    /// From its standard output.
    pub stdout: ChildStdout,
    /// From its standard error.
    pub stderr: ChildStderr,
}

impl ProcessGroup {
    /// Starts `argv` with `variables` as its whole environment. It needs a tokio runtime.
    ///
    /// # Errors
    /// `argv` is empty, or the program does not start.
    pub fn spawn(argv: &[String], variables: &[(String, OsString)]) -> Result<(Self, Pipes), CommandError> {
        let [program, arguments @ ..] = argv else { return Err(CommandError::Empty) };
        let mut command = Command::new(program);
        command.args(arguments).env_clear().envs(variables.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.process_group(0).kill_on_drop(true).spawn();
        let mut child = child.map_err(|source| CommandError::Start { program: program.clone(), source })?;
        let piped = "every pipe was asked for";
        let pipes = Pipes {
            stdin: child.stdin.take().expect(piped),
            stdout: child.stdout.take().expect(piped),
            stderr: child.stderr.take().expect(piped),
        };
        let id = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        Ok((Self { child, id }, pipes))
    }

    /// Waits until its first process has ended, and ends the others.
    ///
    /// # Errors
    /// The system cannot tell.
    pub async fn wait(&mut self) -> io::Result<ExitStatus> {
        let status = self.child.wait().await;
        // The system gives the number of a group to nobody else while one of its processes lives.
        self.kill();
        status
    }

    fn kill(&mut self) {
        let Some(id) = self.id.take() else { return };
        match kill_process_group(id, Signal::KILL) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => {}
            Err(error) => tracing::warn!(group = id.as_raw_pid(), %error, "a process group cannot be ended"),
        }
    }
}

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        self.kill();
    }
}
