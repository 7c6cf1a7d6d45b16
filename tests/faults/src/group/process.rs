//! One worker process, from start to start.

use std::fs::OpenOptions;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};

use anyhow::{Context as _, Result};
use rustix::process::{Pid, Signal, kill_process};

use super::Plan;

/// A worker process.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) name: String,
    listen: SocketAddr,
    labels: Vec<String>,
    /// Words before the program: where it runs.
    within: Vec<String>,
    child: Option<Child>,
    stopped: bool,
}

impl Process {
    pub(crate) fn new(name: &str, listen: SocketAddr) -> Self {
        let name = name.to_owned();
        Self { name, listen, labels: Vec::new(), within: Vec::new(), child: None, stopped: false }
    }

    /// It has what vertices may ask for.
    pub(crate) fn labelled(mut self, label: &str) -> Self {
        self.labels.push(label.to_owned());
        self
    }

    /// It is started by these words, of which the last is followed by the program.
    pub(crate) fn within(mut self, words: Vec<String>) -> Self {
        self.within.extend(words);
        self
    }

    pub(super) fn url(&self) -> String {
        format!("https://{}", self.listen)
    }

    pub(super) fn log(&self, plan: &Plan) -> PathBuf {
        plan.folder.join(format!("{}.log", self.name))
    }

    /// Where its certificates are.
    pub(super) fn tls(&self, plan: &Plan) -> PathBuf {
        plan.folder.join("tls").join(&self.name)
    }

    pub(super) fn start(&mut self, plan: &Plan) -> Result<()> {
        let log = self.log(plan);
        let log = OpenOptions::new().create(true).append(true).open(&log).context("no log can be written")?;
        let mut words =
            self.within.iter().map(String::as_str).chain([plan.program.to_str().context("UTF-8")?]);
        let mut command = Command::new(words.next().context("there is a program")?);
        command.args(words).args(["--name", &self.name, "--listen", &self.listen.to_string()]);
        command.args(["--store", &plan.store, "--group"]).arg(plan.folder.join("group"));
        command.arg("--tls").arg(self.tls(plan));
        command.args(self.labels.iter().flat_map(|label| ["--label", label]));
        command.envs(plan.environment.iter().cloned()).env("NO_COLOR", "1");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        self.child = Some(command.spawn().with_context(|| format!("cannot start {}", self.name))?);
        self.stopped = false;
        Ok(())
    }

    /// Kills it, so that nothing of it runs on.
    pub(crate) fn kill(&mut self) -> Result<()> {
        if let Some(mut child) = self.child.take() {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }

    /// Stops it where it stands.
    pub(crate) fn stop(&mut self) -> Result<()> {
        self.stopped = true;
        self.signal(Signal::STOP)
    }

    /// Lets it go on.
    pub(crate) fn go_on(&mut self) -> Result<()> {
        self.stopped = false;
        self.signal(Signal::CONT)
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let pid = self.pid().context("it runs")?;
        kill_process(pid, signal).with_context(|| format!("cannot signal {}", self.name))
    }

    pub(crate) fn pid(&self) -> Option<Pid> {
        self.child.as_ref().map(Pid::from_child)
    }

    /// Whether it can answer.
    pub(super) fn is_awake(&self) -> bool {
        self.child.is_some() && !self.stopped
    }

    /// How it has ended, if it has and nobody killed it.
    pub(crate) fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.as_mut().map(Child::try_wait).transpose()?.flatten())
    }

    /// How many lines of its log have `words`.
    pub(super) fn said(&self, plan: &Plan, words: &str) -> Result<usize> {
        let text = std::fs::read(self.log(plan))?;
        Ok(String::from_utf8_lossy(&text).lines().filter(|line| line.contains(words)).count())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Err(error) = self.kill() {
            crate::say(&format!("{} cannot be killed: {error}", self.name));
        }
    }
}
