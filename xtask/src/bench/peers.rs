//! The Python environment that holds the peers, each pinned by a file of requirements.

use crate::process::run;
use anyhow::{Context, Result};
use std::collections::BTreeSet;
use std::env::consts::ARCH;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Parts of llama.cpp that the measurement does not need.
const LLAMA_CPP_BUILD: &str = "-DGGML_NATIVE=ON -DLLAVA_BUILD=OFF -DLLAMA_BUILD_TOOLS=OFF \
    -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_SERVER=OFF";
/// AMX tiles crash llama.cpp where the compiler drops the configuration of the tiles.
const NO_AMX: &str = "-mno-amx-tile -mno-amx-int8 -mno-amx-bf16";

/// A virtual environment and those of the wanted peers that could be installed into it.
pub(super) struct Venv {
    folder: PathBuf,
    installed: BTreeSet<&'static str>,
}

impl Venv {
    /// Makes the environment and installs what is missing; a peer that fails is named and left out.
    pub(super) fn prepare(folder: &Path, scripts: &Path, peers: &[&'static str]) -> Result<Self> {
        let mut venv = Self { folder: folder.to_owned(), installed: BTreeSet::new() };
        if !peers.is_empty() && !venv.python().exists() {
            run(Command::new("python3").args(["-m", "venv"]).arg(folder))
                .context("cannot make the environment of the peers")?;
        }
        for peer in peers {
            match venv.install(scripts, peer) {
                Ok(()) => {
                    venv.installed.insert(peer);
                }
                Err(error) => eprintln!("{peer} cannot be measured: {error:#}"),
            }
        }
        Ok(venv)
    }

    pub(super) fn python(&self) -> PathBuf {
        self.folder.join("bin/python")
    }

    pub(super) fn has(&self, peer: &str) -> bool {
        self.installed.contains(peer)
    }

    /// A stamp with the requirements tells that they are in; it is written last.
    fn install(&self, scripts: &Path, peer: &str) -> Result<()> {
        let requirements = scripts.join(format!("requirements-{peer}.txt"));
        let wanted = fs::read_to_string(&requirements)
            .with_context(|| format!("cannot read {}", requirements.display()))?;
        let stamp = self.folder.join(format!("installed-{peer}.txt"));
        if fs::read_to_string(&stamp).is_ok_and(|found| found == wanted) {
            return Ok(());
        }
        let mut command = Command::new(self.python());
        command.args(["-m", "pip", "install", "--quiet", "--requirement"]).arg(&requirements);
        if peer == "llama-cpp" {
            command.env("CMAKE_ARGS", LLAMA_CPP_BUILD);
            if ARCH == "x86_64" {
                command.env("CFLAGS", NO_AMX).env("CXXFLAGS", NO_AMX);
            }
        }
        run(&mut command)?;
        fs::write(&stamp, wanted).with_context(|| format!("cannot write {}", stamp.display()))
    }
}
