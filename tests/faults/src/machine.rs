//! What a process can do to the machine that it is on: words of the system, started and waited for.

use std::env;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context as _, Result, bail};

/// Says of a process that it has a network, mounts and processes of its own.
const ISOLATED: &str = "SUPERSTEP_FAULTS_ISOLATED";

/// Whether this process has a network, mounts and processes of its own, which are gone with it.
pub(crate) fn is_isolated() -> bool {
    env::var_os(ISOLATED).is_some()
}

/// Starts this program again with a network, mounts and processes of its own, if it may; with how that has ended. If
/// this process has them, they are made ready.
pub(crate) fn isolate() -> Result<Option<ExitCode>> {
    if is_isolated() {
        run("mount -t tmpfs tmpfs /run")?;
        run("ip link set lo up")?;
        return Ok(None);
    }
    let own =
        ["--net", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--mount-proc"];
    let mut probe = Command::new("unshare");
    probe.args(own).arg("true").stdout(Stdio::null()).stderr(Stdio::null());
    if !probe.status().is_ok_and(|status| status.success()) {
        return Ok(None);
    }
    let mut again = Command::new("unshare");
    again.args(own).arg("--").arg(env::current_exe()?).args(env::args_os().skip(1)).env(ISOLATED, "1");
    let status = again.status().context("cannot start unshare")?;
    Ok(Some(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE }))
}

/// Runs a line of words, none of which has a space in it.
pub(crate) fn run(line: &str) -> Result<()> {
    let mut words = line.split_whitespace();
    let mut command = Command::new(words.next().context("there is a program")?);
    let output = command.args(words).stdin(Stdio::null()).output();
    let output = output.with_context(|| format!("cannot start `{line}`"))?;
    if !output.status.success() {
        bail!("`{line}` has failed ({}): {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

/// The most memory that a process has had at once, in MiB.
pub(crate) fn peak_memory(pid: rustix::process::Pid) -> Result<u64> {
    let path = format!("/proc/{}/status", pid.as_raw_nonzero());
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("VmHWM is told")?;
    let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kibibytes / 1024)
}

/// A number of a file that has nothing else, or behind `name` in one that has a line for each.
pub(crate) fn number(path: &Path, name: Option<&str>) -> Result<u64> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let found = match name {
        None => Some(text.trim()),
        Some(name) => text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')),
    };
    let found = found.with_context(|| format!("{} does not tell {name:?}", path.display()))?;
    found.parse().with_context(|| format!("{found:?} in {} is no number", path.display()))
}
