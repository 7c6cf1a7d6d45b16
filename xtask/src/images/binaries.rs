//! The binaries of images: compiled as the tests' are, with the same features, and linked so that they need no file.

use super::{CUDA, Image, Linking, libraries};
use crate::linking::packed;
use crate::process::{capture, cargo, run_aside};
use crate::workspace::Workspace;
use anyhow::{Context, Result, bail};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

/// What rustc is told so that a binary needs no file.
const STATIC: &str = "-Ctarget-feature=+crt-static";

/// What stands before rustc. It knows our binaries by name: cargo also asks what a binary could be, and must not be told
/// that procedural macros cannot be built.
fn linker(packed: Option<&str>) -> String {
    let packed = packed.unwrap_or_default();
    format!(
        r#"#!/bin/sh
case " $* " in
  *" --crate-name superstep"*" --crate-type bin "*) exec "$@" {STATIC} {packed} ;;
  *) exec "$@" ;;
esac
"#
    )
}

/// A test that is asked for beside the binaries: only with tests do dependencies have the features that tests give them, and
/// without it all of them would be compiled again.
const TEST: &str = "handshake";

/// Builds the binaries of these images and puts them into the folder `context`.
pub(super) fn build(workspace: &Workspace, images: &[Image], work: &Path, context: &Path) -> Result<()> {
    for linking in [Linking::Static, Linking::Cuda] {
        let images: Vec<&Image> = images.iter().filter(|image| image.linking == linking).collect();
        if images.is_empty() {
            continue;
        }
        let mut command = cargo();
        command.current_dir(&workspace.root).args(["build", "--workspace", "--locked", "--test", TEST]);
        match linking {
            Linking::Static => link_statically(&mut command, work, &images)?,
            Linking::Cuda => add_cuda(&mut command, &images),
        }
        run_aside(command.args(images.iter().flat_map(|image| ["--bin", image.binary])))?;
        for image in images {
            keep(&workspace.target.join("debug").join(image.binary), *image, context)?;
        }
    }
    Ok(())
}

/// Gives their packages a setting of their own, so that cargo keeps them apart from those of the tests; all that they
/// depend on is what the tests have built.
fn link_statically(command: &mut Command, work: &Path, images: &[&Image]) -> Result<()> {
    let wrapper = work.join("rustc-static");
    fs::write(&wrapper, linker(packed()))?;
    fs::set_permissions(&wrapper, Permissions::from_mode(0o755))?;
    command.env("RUSTC_WRAPPER", &wrapper);
    for image in images {
        command.arg("--config").arg(format!("profile.dev.package.{}.strip=\"symbols\"", image.package));
    }
    Ok(())
}

fn add_cuda(command: &mut Command, images: &[&Image]) {
    for image in images {
        command.arg("--features").arg(format!("{}/{CUDA}", image.package));
        command.arg("--config").arg(format!("profile.dev.package.{}.strip=\"debuginfo\"", image.package));
    }
}

/// Copies a binary, before the next build puts another in its place, and what it needs beside.
fn keep(binary: &Path, image: Image, context: &Path) -> Result<()> {
    let target = context.join(image.file());
    fs::copy(binary, &target).with_context(|| format!("cannot copy {}", binary.display()))?;
    match image.linking {
        Linking::Static => {
            let told = capture(Command::new("ldd").arg(&target))?;
            if !told.contains("statically linked") {
                bail!("{} is not linked statically\n{told}", image.binary);
            }
            Ok(())
        }
        Linking::Cuda => libraries::collect(&target, &context.join("libraries")),
    }
}
