//! `cargo xtask quickstart`: a real model, a real graph and a real input, from one command.

use crate::binary::{self, Profile};
use crate::model::{self, Source};
use crate::process::run as run_process;
use crate::workspace::Workspace;
use anyhow::Result;
use clap::Args;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

/// The folder that holds the quickstart's graph and model server.
pub(crate) const MANIFESTS: &str = "manifests/quickstart";

/// Options of `cargo xtask quickstart`.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Another model: a GGUF file, or hf:OWNER/NAME/FILE from the hub.
    #[arg(long)]
    pub(crate) model: Option<String>,
    /// How `superstep` is compiled.
    #[arg(long, value_enum, default_value = "release")]
    pub(crate) profile: Profile,
    /// The folder to use in place of the XDG state folder, where the run's log is kept.
    #[arg(long)]
    pub(crate) state: Option<PathBuf>,
    /// Further arguments for `superstep run`.
    #[arg(last = true)]
    pub(crate) extra: Vec<String>,
}

/// Builds, fetches and runs; the streams of `superstep run` are this process's own.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    let source = Source::parse(arguments.model.as_deref());
    let model = model::obtain(workspace, arguments.profile, &source)?;
    let superstep = binary::build(workspace, arguments.profile)?;
    let mut command = Command::new(superstep);
    command
        .current_dir(&workspace.root)
        .args(["run", "-f", MANIFESTS, "--progress", "always", "--input"])
        .arg(format!("@{}", Path::new(MANIFESTS).join("input/mail.txt").display()))
        .args(&arguments.extra)
        .env("SUPERSTEP_MODEL", &model.path)
        .env("SUPERSTEP_MODEL_SHA256", &model.sha256);
    if let Some(state) = &arguments.state {
        command.env("XDG_STATE_HOME", std::path::absolute(state)?);
    }
    let start = Instant::now();
    run_process(&mut command)?;
    eprintln!("quickstart: the run took {:.1} s", start.elapsed().as_secs_f64());
    Ok(())
}
