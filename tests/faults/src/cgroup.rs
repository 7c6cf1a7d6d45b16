//! Limits of the processor and of memory, for a process from its start on.

use std::fs;
use std::hash::{BuildHasher as _, RandomState};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::machine::number;

/// Where the kernel has its groups.
const ROOT: &str = "/sys/fs/cgroup";

/// What is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Controller {
    Cpu,
    Memory,
}

/// A control group, in either version.
pub(crate) struct Cgroup {
    folder: PathBuf,
    unified: bool,
}

impl Cgroup {
    /// A group that limits nothing yet; an error where this process may make none.
    pub(crate) fn new(controller: Controller) -> Result<Self> {
        let root = Path::new(ROOT);
        let word = match controller {
            Controller::Cpu => "cpu",
            Controller::Memory => "memory",
        };
        let unified = root.join("cgroup.controllers").exists();
        let parent = if unified {
            fs::write(root.join("cgroup.subtree_control"), format!("+{word}"))
                .with_context(|| format!("{word} cannot be limited"))?;
            root.to_owned()
        } else {
            root.join(word)
        };
        // In a space of its own every process has the same number.
        let number = RandomState::new().hash_one(std::process::id());
        let folder = parent.join(format!("superstep-faults-{word}-{number:016x}"));
        fs::create_dir(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        Ok(Self { folder, unified })
    }

    fn write(&self, file: &str, text: &str) -> Result<()> {
        let path = self.folder.join(file);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    }

    /// The words that start a program in it.
    pub(crate) fn within(&self) -> Vec<String> {
        let script = format!("echo $$ > {}/cgroup.procs && exec \"$0\" \"$@\"", self.folder.display());
        vec!["sh".to_owned(), "-c".to_owned(), script]
    }

    /// So many percent of one processor.
    pub(crate) fn limit_cpu(&self, percent: u32) -> Result<()> {
        let quota = percent * 1_000;
        if self.unified {
            return self.write("cpu.max", &format!("{quota} 100000"));
        }
        self.write("cpu.cfs_period_us", "100000")?;
        self.write("cpu.cfs_quota_us", &quota.to_string())
    }

    /// How often it had to wait for its share of the processor.
    pub(crate) fn throttled(&self) -> Result<u64> {
        number(&self.folder.join("cpu.stat"), Some("nr_throttled"))
    }

    /// So many bytes, and no more by swapping.
    pub(crate) fn limit_memory(&self, bytes: u64) -> Result<()> {
        let file = if self.unified { "memory.max" } else { "memory.limit_in_bytes" };
        self.write(file, &bytes.to_string())
    }

    /// The most bytes it has had at once, what the kernel keeps of files for it among them.
    pub(crate) fn peak(&self) -> Result<u64> {
        let file = if self.unified { "memory.peak" } else { "memory.max_usage_in_bytes" };
        number(&self.folder.join(file), None)
    }

    /// How often a process of it was killed because it had too much.
    pub(crate) fn killed(&self) -> Result<u64> {
        let file = if self.unified { "memory.events" } else { "memory.oom_control" };
        number(&self.folder.join(file), Some("oom_kill"))
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir(&self.folder) {
            crate::say(&format!("{} stays: {error}", self.folder.display()));
        }
    }
}
