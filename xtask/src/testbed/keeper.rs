//! The process that keeps the namespaces, which all servers of the cluster live in.

use super::programs::Programs;
use super::state;
use crate::machine;
use crate::process::capture;
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long the kernel may take to end all that lives inside.
const PATIENCE: Duration = Duration::from_secs(120);

/// The id of a keeper that lives.
pub(super) struct Keeper {
    id: u32,
}

impl Keeper {
    /// Makes the namespaces.
    pub(super) fn start(programs: &Programs) -> Result<Self> {
        let mut hold = programs.command("testbed");
        let told = capture(hold.arg("hold").arg(state::folder()).arg(&programs.folder))?;
        let id = told.trim().parse().with_context(|| format!("`testbed hold` told {told:?}"))?;
        fs::write(file(), told)?;
        Ok(Self { id })
    }

    /// The one that lives.
    pub(super) fn running() -> Result<Self> {
        machine::require_root()?;
        match Self::find()? {
            Some(keeper) => Ok(keeper),
            None => bail!("the testbed is not up; `cargo xtask testbed up` starts it"),
        }
    }

    /// The one that lives, if there is one.
    pub(super) fn find() -> Result<Option<Self>> {
        let path = file();
        if !path.exists() {
            return Ok(None);
        }
        let text = fs::read_to_string(&path)?;
        let id = text.trim().parse().with_context(|| format!("{} holds no id", path.display()))?;
        Ok(Path::new("/proc").join(text.trim()).exists().then_some(Self { id }).filter(Self::is_ours))
    }

    /// A program as it runs inside: it sees the files, processes and network of the cluster.
    pub(super) fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--target={}", self.id)).args(["--mount", "--net", "--pid", "--", program]);
        command.env("PATH", "/run/programs:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        command.current_dir("/");
        command
    }

    pub(super) fn id(&self) -> u32 {
        self.id
    }

    /// Ends it, and with it whatever lives inside.
    pub(super) fn end(self) -> Result<()> {
        capture(Command::new("sh").args(["-c", "kill -KILL \"$1\"", "sh", &self.id.to_string()]))?;
        let start = Instant::now();
        while !self.is_dead() {
            if start.elapsed() > PATIENCE {
                bail!("process {} did not end", self.id);
            }
            sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Whether it is dead, and all that lived inside with it. The words by which it is known are gone a while before the
    /// last of those is.
    fn is_dead(&self) -> bool {
        fs::read_to_string(format!("/proc/{}/stat", self.id)).map_or(true, |stat| is_buried(&stat))
    }

    /// Whether the process of this id is a keeper: ids are given again.
    fn is_ours(&self) -> bool {
        fs::read(format!("/proc/{}/cmdline", self.id)).is_ok_and(|words| keeps(&words, state::folder()))
    }
}

/// Whether these words, each ended by a zero, are a keeper's of this folder.
fn keeps(words: &[u8], folder: &Path) -> bool {
    let expected = ["testbed", "hold", "inside"].map(str::as_bytes);
    let mut words = words.split(|byte| *byte == 0);
    expected.iter().all(|word| words.next() == Some(word))
        && words.next() == Some(folder.as_os_str().as_encoded_bytes())
}

/// Whether this line, as the kernel has it of each process, is of one that is dead, and that nobody may have buried. The
/// state stands behind its name, which may be anything in parentheses.
fn is_buried(stat: &str) -> bool {
    let state = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().next());
    matches!(state, None | Some("Z" | "X"))
}

fn file() -> PathBuf {
    state::folder().join("keeper.pid")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_is_dead_may_not_be_buried() {
        for (stat, is_dead) in [
            ("7 (testbed) S 1 7 7 0", false),
            ("7 (a) Z) D 1 7 7 0", false),
            ("7 (testbed) Z 1 7 7 0", true),
            ("", true),
        ] {
            assert_eq!(is_buried(stat), is_dead, "{stat}");
        }
    }

    #[test]
    fn a_keeper_is_known_by_its_words() {
        let folder = Path::new("/var/lib/x");
        assert!(keeps(b"testbed\0hold\0inside\0/var/lib/x\0/cache\0", folder));
        for other in
            [&b"testbed\0hold\0inside\0/var/lib/y\0/cache\0"[..], b"vi\0hold\0inside\0/var/lib/x\0", b""]
        {
            assert!(!keeps(other, folder));
        }
    }
}
