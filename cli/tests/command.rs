//! The command under test: started with an environment of its own, waited for within a bound, and never
//! left behind.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use serde_json::Value;
use superstep_engine::Record;
use superstep_store::{RunName, Store};
use tempfile::TempDir;

/// So long may anything take that a test waits for, on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(300);

/// A home folder, with the store of runs in it.
pub(crate) struct Home(TempDir);

impl Home {
    pub(crate) fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// The command with these arguments. It sees no environment but its home.
    pub(crate) fn command<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_superstep"));
        command.args(arguments).env_clear().env("HOME", self.path()).current_dir(env!("CARGO_MANIFEST_DIR"));
        command.env("XDG_RUNTIME_DIR", self.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs the command to its end.
    pub(crate) fn run<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Ended {
        Running::start(&mut self.command(arguments)).end()
    }

    /// The words of a line, which have no blanks inside, as arguments.
    pub(crate) fn line(&self, line: &str) -> Ended {
        self.run(line.split_whitespace())
    }

    /// Writes a file, and gives its path.
    pub(crate) fn file(&self, name: &str, text: &str) -> String {
        let path = self.path().join(name);
        fs::write(&path, text).unwrap();
        path.into_os_string().into_string().unwrap()
    }

    pub(crate) fn store(&self) -> Store<Record> {
        Store::folder(self.path().join(".local/state/superstep")).unwrap()
    }

    /// What the log of a run holds; nothing if there is none so far.
    pub(crate) fn records(&self, run: &str) -> Vec<Record> {
        let name: RunName = run.parse().unwrap();
        self.store().read_only(&name).map(|contents| contents.records).unwrap_or_default()
    }

    /// The first segment of the log of a run.
    pub(crate) fn log(&self, run: &str) -> PathBuf {
        self.path().join(format!(".local/state/superstep/runs/{run}/0000000000000000.log"))
    }
}

/// A process that is ended with the test, however that ends.
pub(crate) struct Running(Option<Child>);

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        Self(Some(command.spawn().expect("superstep starts")))
    }

    pub(crate) fn id(&self) -> u32 {
        self.0.as_ref().expect("it is taken out only at its end").id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        send(self.id(), signal);
    }

    /// Kills the process if it has not ended, and gives what it wrote if it has.
    pub(crate) fn kill(mut self) -> Option<Ended> {
        let child = self.0.as_mut().expect("it is taken out only at its end");
        child.kill().unwrap();
        Some(self.end()).filter(|ended| ended.code.is_some())
    }

    /// Waits for the process to end.
    pub(crate) fn end(mut self) -> Ended {
        let id = self.id();
        let child = self.0.take().expect("it is taken out only at its end");
        let (sender, receiver) = mpsc::channel();
        // It reads while it waits: a full pipe would hold the process up.
        let waiting = std::thread::spawn(move || sender.send(child.wait_with_output()));
        let Ok(output) = receiver.recv_timeout(PATIENCE) else {
            send(id, Signal::KILL);
            panic!("the command does not end: {:?}", waiting.join())
        };
        Ended::from(output.unwrap())
    }
}

fn send(process: u32, signal: Signal) {
    let process = Pid::from_raw(i32::try_from(process).unwrap()).unwrap();
    kill_process(process, signal).unwrap();
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}

/// Both ends of a terminal: what a person sees and types on, and what a command takes.
pub(crate) fn terminal() -> (File, File) {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
    (File::from(master), File::options().read(true).write(true).open(name).unwrap())
}

/// How a command ended, and what it said.
#[derive(Debug)]
pub(crate) struct Ended {
    /// Its exit code; none if a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("superstep writes UTF-8");
        Self { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

impl Ended {
    /// Expects an exit code, and no panic.
    pub(crate) fn with(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:?}");
        assert!(!self.stderr.contains("panicked"), "{self:?}");
        self
    }

    /// Expects words on stderr.
    pub(crate) fn saying(self, words: &str) -> Self {
        assert!(self.stderr.contains(words), "{words:?} in {self:?}");
        self
    }

    /// Its stdout, which is JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }
}

/// Looks again and again until something is so.
pub(crate) fn until(what: &str, mut so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !so() {
        assert!(begun.elapsed() < PATIENCE, "waited too long until {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// The first of so many ports, at most 8, that nobody has. They are none of those that the system gives to who asks for
/// any, so that nobody is given them before the command has them.
pub(crate) fn free_ports(count: u16) -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    assert!(count <= 8);
    loop {
        let number = std::process::id().wrapping_mul(16).wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        let first = 12_000 + 8 * u16::try_from(number % 2_250).unwrap();
        let taken: Vec<_> =
            (first..first + count).map(|port| TcpListener::bind(("127.0.0.1", port))).collect();
        if taken.iter().all(Result::is_ok) {
            return first;
        }
    }
}

/// The input of `graphs/calls.yaml`.
pub(crate) const CALLS_INPUT: &str =
    r#"{"text":"x","parts":["a","b","c","d","e","f","g","h","i","j","k","l","m","n"]}"#;

/// The arguments that start `graphs/calls.yaml` under a name.
pub(crate) fn calls(name: &str) -> Vec<String> {
    let arguments = [
        "run",
        "-f",
        "tests/graphs/calls.yaml",
        "--input",
        CALLS_INPUT,
        "--run-id",
        name,
        "--progress",
        "never",
    ];
    arguments.map(str::to_owned).to_vec()
}

/// What `graphs/calls.yaml` gives when nothing disturbs it.
pub(crate) fn undisturbed() -> Value {
    Home::new().run(calls("undisturbed")).with(0).json()
}
