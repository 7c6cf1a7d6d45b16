//! What scenarios are played with.

use std::env;
use std::ffi::OsString;
use std::net::Ipv4Addr;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use superstep_witness::{Ledger, Random};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::release::{Release, Settings};
use crate::{Arguments, process};

/// How long the model server takes for an answer, on average.
const LATENCY: Duration = Duration::from_millis(200);

/// A folder of this machine, and the same folder as the node sees it.
#[derive(Clone, Debug)]
pub(crate) struct Volumes {
    pub(crate) here: PathBuf,
    pub(crate) there: PathBuf,
}

/// What scenarios are played with.
pub(crate) struct Bench {
    pub(crate) runtime: Arc<Runtime>,
    pub(crate) ledger: Ledger,
    /// Where pods reach the model server.
    pub(crate) model_server: Option<String>,
    /// The model of the quickstart.
    pub(crate) model: Option<PathBuf>,
    /// The image of llama.cpp's own server.
    pub(crate) llama_image: Option<String>,
    pub(crate) volumes: Option<Volumes>,
    pub(crate) settings: Settings,
    /// What is upgraded from, and to.
    pub(crate) upgrade: Option<[Settings; 2]>,
    /// Whether every scenario is played.
    whole: bool,
    pub(crate) short: bool,
    superstep: PathBuf,
    testbed: Option<PathBuf>,
    pub(crate) audit: Option<PathBuf>,
    seed: u64,
    release: Option<Release>,
    /// The ledger lies in it, and the command under both its names.
    folder: TempDir,
}

impl Bench {
    pub(crate) fn new(arguments: Arguments) -> Result<Self> {
        let beside = || Ok::<_, std::io::Error>(env::current_exe()?.with_file_name("superstep"));
        let superstep = arguments.superstep.map_or_else(beside, Ok)?;
        let runtime = Arc::new(Runtime::new()?);
        let folder = tempfile::tempdir()?;
        let ledger = Ledger::new(&folder.path().join("ledger"), LATENCY)?;
        let model_server = match &arguments.machine {
            Some(machine) => {
                let listen = (Ipv4Addr::UNSPECIFIED, 0).into();
                let address = runtime.block_on(superstep_witness::serve(listen, ledger.clone()))?;
                Some(format!("http://{machine}:{}/v1", address.port()))
            }
            None => None,
        };
        let volumes = match arguments.volumes.as_slice() {
            [here, there] => Some(Volumes { here: here.clone(), there: there.clone() }),
            _ => None,
        };
        let settings = Settings {
            chart: arguments.chart,
            operator_image: arguments.operator_image,
            worker_image: arguments.worker_image,
            tag: arguments.tag,
        };
        let upgrade = match arguments.former.as_slice() {
            [chart, tag] => {
                let former = Settings { chart: chart.into(), tag: tag.clone(), ..settings.clone() };
                Some([former, settings.clone()])
            }
            _ => arguments.next.map(|tag| [settings.clone(), Settings { tag, ..settings.clone() }]),
        };
        Ok(Self {
            runtime,
            ledger,
            model_server,
            model: arguments.model,
            llama_image: arguments.llama_image,
            volumes,
            settings,
            upgrade,
            whole: arguments.only.is_empty() && !arguments.short,
            short: arguments.short,
            superstep,
            testbed: arguments.testbed,
            audit: arguments.audit,
            seed: arguments.seed,
            release: None,
            folder,
        })
    }

    pub(crate) fn random(&self, salt: u64) -> Random {
        Random::new(self.seed.wrapping_mul(1_000).wrapping_add(salt))
    }

    /// Sees to it that Superstep is installed as most scenarios want it.
    pub(crate) fn installed(&mut self) -> Result<()> {
        if self.release.is_none() {
            self.release = Some(Release::install(&self.settings, &[])?);
        }
        Ok(())
    }

    /// Sees to it that Superstep is not installed.
    pub(crate) fn leave(&mut self) -> Result<()> {
        self.release.take().map_or(Ok(()), Release::uninstall)
    }

    /// The command `superstep`, in the folder of runs.
    pub(crate) fn superstep(&self, runs: &Path) -> Command {
        let mut command = Command::new(&self.superstep);
        command.env("SUPERSTEP_STORE", runs);
        command
    }

    /// `kubectl superstep`, which kubectl finds by its name.
    pub(crate) fn plugin(&self) -> Result<Command> {
        let mut command = Command::new("kubectl");
        command.arg("superstep").env("PATH", self.path()?);
        Ok(command)
    }

    /// Where commands are looked for: first of all in a folder that has the command under its name and that of the plugin.
    pub(crate) fn path(&self) -> Result<OsString> {
        let superstep = std::path::absolute(&self.superstep)?;
        for name in ["superstep", "kubectl-superstep"] {
            let link = self.folder.path().join(name);
            if !link.is_symlink() {
                symlink(&superstep, &link).with_context(|| format!("cannot make {}", link.display()))?;
            }
        }
        let others = env::var_os("PATH").unwrap_or_default();
        let folders = std::iter::once(self.folder.path().to_owned()).chain(env::split_paths(&others));
        Ok(env::join_paths(folders)?)
    }

    /// Whether every scenario is played, so that everything has had an occasion.
    pub(crate) fn is_whole(&self) -> bool {
        self.whole
    }

    /// Whether servers of the cluster can be ended and started, and devices be given to the node.
    pub(crate) fn has_testbed(&self) -> bool {
        self.testbed.is_some()
    }

    /// `cargo xtask testbed` with these words.
    pub(crate) fn testbed(&self, words: &[&str]) -> Result<String> {
        let program = self.testbed.as_ref().context("there is no testbed")?;
        process::capture(Command::new(program).arg("testbed").args(words))
    }
}
