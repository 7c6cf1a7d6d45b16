//! Licences, bans, sources and advisories of everything that we depend on, by a pinned cargo-deny.

use crate::process::{capture, cargo, run};
use crate::workspace::Workspace;
use anyhow::{Context, Result};
use std::fs;
use std::path::PathBuf;
use std::process::Command;

const VERSION: &str = "0.20.2";

/// Installs cargo-deny into the build folder if this version is nowhere, then runs its checks.
///
/// Advisories need a database from the network; where it cannot be had, that they were not checked is given back.
pub(crate) fn check(workspace: &Workspace) -> Result<Option<&'static str>> {
    let tool = tool(workspace)?;
    let deny = || {
        let mut command = Command::new(&tool);
        command.current_dir(&workspace.root);
        command
    };
    run(deny().args(["--log-level", "error", "--locked", "check", "licenses", "bans", "sources"]))?;
    match capture(deny().args(["--log-level", "error", "fetch", "db"])) {
        Ok(_) => {
            run(deny().args(["--log-level", "error", "--locked", "check", "--disable-fetch", "advisories"]))?;
            Ok(None)
        }
        Err(error) => {
            let cause = error.to_string();
            let cause = cause.lines().last().unwrap_or_default();
            println!("the advisory database cannot be fetched ({})", cause.trim());
            Ok(Some("advisories not checked"))
        }
    }
}

fn tool(workspace: &Workspace) -> Result<PathBuf> {
    let tools = workspace.target.join("tools");
    let ours = tools.join("bin/cargo-deny");
    let candidates = [ours.clone(), PathBuf::from("cargo-deny")];
    if let Some(found) = candidates.into_iter().find(is_pinned) {
        return Ok(found);
    }
    let build = tools.join("build");
    // Fat link-time optimisation, cargo-deny's own choice, takes several times as long as the checks it speeds up.
    run(cargo()
        .args(["install", "cargo-deny", "--version", VERSION, "--locked", "--no-default-features", "--force"])
        .args(["--quiet", "--root"])
        .arg(&tools)
        .env("CARGO_TARGET_DIR", &build)
        .env("CARGO_PROFILE_RELEASE_LTO", "off")
        .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1")
        .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16"))?;
    fs::remove_dir_all(&build).with_context(|| format!("cannot remove {}", build.display()))?;
    Ok(ours)
}

/// Whether it can be started and is the pinned version; a tool that is absent is simply not it.
fn is_pinned(tool: &PathBuf) -> bool {
    capture(Command::new(tool).arg("--version")).is_ok_and(|version| version.trim().ends_with(VERSION))
}
