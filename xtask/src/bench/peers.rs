//! The Python environments that hold the peers, each pinned by a file of requirements.

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

/// Those of the wanted peers that could be installed, each into a virtual environment of its own.
pub(super) struct Venvs {
    folder: PathBuf,
    installed: BTreeSet<&'static str>,
}

impl Venvs {
    /// Makes the environments and installs what is missing; a peer that fails is named and left out.
    pub(super) fn prepare(folder: &Path, scripts: &Path, peers: &BTreeSet<&'static str>) -> Self {
        let mut venvs = Self { folder: folder.to_owned(), installed: BTreeSet::new() };
        for peer in peers {
            match venvs.install(scripts, peer) {
                Ok(()) => {
                    venvs.installed.insert(peer);
                }
                Err(error) => eprintln!("{peer} cannot be measured: {error:#}"),
            }
        }
        venvs
    }

    /// The interpreter that has a peer, if it could be installed.
    pub(super) fn python(&self, peer: &str) -> Option<PathBuf> {
        self.installed.contains(peer).then(|| self.folder_of(peer).join("bin/python"))
    }

    fn folder_of(&self, peer: &str) -> PathBuf {
        self.folder.join(format!("venv-{peer}"))
    }

    /// A stamp with the requirements tells that they are in; it is written last.
    fn install(&self, scripts: &Path, peer: &str) -> Result<()> {
        let requirements = scripts.join(format!("requirements-{peer}.txt"));
        let wanted = fs::read_to_string(&requirements)
            .with_context(|| format!("cannot read {}", requirements.display()))?;
        let folder = self.folder_of(peer);
        let stamp = folder.join("installed.txt");
        if fs::read_to_string(&stamp).is_ok_and(|found| found == wanted) {
            return Ok(());
        }
        run(Command::new("python3").args(["-m", "venv"]).arg(&folder))
            .with_context(|| format!("cannot make {}", folder.display()))?;
        let mut command = Command::new(folder.join("bin/python"));
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
