//! Building the `superstep` command.

use crate::process::{cargo, run};
use crate::workspace::Workspace;
use anyhow::Result;
use clap::ValueEnum;
use std::path::PathBuf;

/// How the command is compiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Profile {
    Release,
    Dev,
}

/// Builds `superstep` and returns its path.
///
/// The dev profile builds what the tests build, with the same features, so that nothing is compiled a second
/// time for it.
pub(crate) fn build(workspace: &Workspace, profile: Profile) -> Result<PathBuf> {
    let mut command = cargo();
    command.current_dir(&workspace.root).args(["build", "--locked"]);
    let folder = match profile {
        Profile::Release => {
            command.args(["--release", "--package", "superstep-cli"]);
            "release"
        }
        Profile::Dev => {
            command.args(["--workspace", "--all-targets"]);
            "debug"
        }
    };
    run(&mut command)?;
    Ok(workspace.target.join(folder).join("superstep"))
}
