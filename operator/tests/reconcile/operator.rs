//! The operator as a process.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::control_plane::free;

/// The file of the hosts that the process knows, if they are others than those of the machine.
const HOSTS: &str = "hosts";

/// A process that ends with the test.
pub(crate) struct Operator {
    process: Child,
    folder: tempfile::TempDir,
    address: String,
    arguments: Vec<String>,
    starts: u32,
}

impl Operator {
    /// Starts it, to ask the API server at `url` without encryption.
    pub(crate) fn start(url: &str) -> Self {
        Self::start_with(url, &[])
    }

    /// The same with more arguments.
    pub(crate) fn start_with(url: &str, arguments: &[&str]) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), url, arguments)
    }

    /// The same for a process that knows the hosts of this file and no others.
    pub(crate) fn start_among(url: &str, hosts: &str, arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(HOSTS), hosts).unwrap();
        Self::start_in(folder, url, arguments)
    }

    fn start_in(folder: tempfile::TempDir, url: &str, arguments: &[&str]) -> Self {
        let arguments: Vec<String> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        let kubeconfig = serde_json::json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "proxy", "cluster": {"server": url}}],
            "users": [{"name": "nobody", "user": {}}],
            "contexts": [{"name": "proxy", "context": {"cluster": "proxy", "user": "nobody"}}],
            "current-context": "proxy",
        });
        fs::write(folder.path().join("kubeconfig"), kubeconfig.to_string()).unwrap();
        let address = format!("127.0.0.1:{}", free());
        let process = spawn(folder.path(), &address, &arguments, 0);
        Self { process, folder, address, arguments, starts: 1 }
    }

    /// Kills it, as SIGKILL does, and starts it again.
    pub(crate) fn restart(&mut self) {
        self.kill();
        self.process = spawn(self.folder.path(), &self.address, &self.arguments, self.starts);
        self.starts += 1;
    }

    /// Kills it.
    pub(crate) fn kill(&mut self) {
        // It may have ended by itself, which is told elsewhere.
        drop(self.process.kill());
        self.process.wait().unwrap();
    }

    /// Whether it has ended by itself.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.process.try_wait().unwrap().is_some()
    }

    /// Sends SIGTERM and waits for its end; its exit code, which it may have had before.
    pub(crate) fn terminate(&mut self) -> Option<i32> {
        if let Some(ended) = self.process.try_wait().unwrap() {
            return ended.code();
        }
        let id = rustix::process::Pid::from_raw(i32::try_from(self.process.id()).unwrap()).unwrap();
        rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
        self.process.wait().unwrap().code()
    }

    /// What it answers at a path of its health port.
    pub(crate) async fn ask(&self, path: &str) -> Option<(u16, String)> {
        let answer = reqwest::get(format!("http://{}{path}", self.address)).await.ok()?;
        let status = answer.status().as_u16();
        Some((status, answer.text().await.ok()?))
    }

    /// What it has logged since it was started last.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(log(self.folder.path(), self.starts - 1)).unwrap_or_default()
    }

    /// How much memory it has, in bytes.
    pub(crate) fn resident(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kibibytes = line.and_then(|line| line.split_whitespace().next()).map(|text| text.parse::<u64>());
        kibibytes.map_or(0, |number| number.unwrap_or_default() * 1_024)
    }
}

/// A program in whose eyes these are the hosts that the machine knows. Its process is that of the command.
pub(crate) fn in_namespace(hosts: &Path, program: &str) -> Command {
    let mut command = Command::new("unshare");
    if !rustix::process::geteuid().is_root() {
        command.arg("--map-root-user");
    }
    let script = "mount --bind \"$1\" /etc/hosts && shift && exec \"$@\"";
    command.args(["--mount", "sh", "-c", script, "sh"]).arg(hosts).arg(program);
    command
}

fn log(folder: &Path, start: u32) -> PathBuf {
    folder.join(format!("operator-{start}.log"))
}

fn spawn(folder: &Path, address: &str, arguments: &[String], start: u32) -> Child {
    let log = File::create(log(folder, start)).unwrap();
    let program = env!("CARGO_BIN_EXE_superstep-operator");
    let hosts = folder.join(HOSTS);
    let mut command = if hosts.exists() { in_namespace(&hosts, program) } else { Command::new(program) };
    command
        .args([
            "run",
            "--worker-image=localhost/superstep/worker:dev",
            "--store=s3://runs/{namespace}/{graph}",
        ])
        .arg(format!("--health={address}"))
        // Nobody has certificates signed here.
        .arg("--sign=127.0.0.1:0")
        .args(arguments)
        .env("KUBECONFIG", folder.join("kubeconfig"))
        .env("RUST_LOG", "info,superstep_operator=debug")
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap()
}

impl Drop for Operator {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.log());
        }
        self.kill();
    }
}
