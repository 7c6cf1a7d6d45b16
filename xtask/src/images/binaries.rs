//! The binaries of images: compiled as the tests' are, with the same features, and linked so that they need no file.

use super::{CUDA, Image, Linking, libraries};
use crate::process::{capture, cargo, run};
use crate::workspace::Workspace;
use anyhow::{Context, Result, bail};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Stands before rustc. It knows our binaries by name: cargo also asks what a binary could be, and must not be told
/// that procedural macros cannot be built.
const LINKER: &str = r#"#!/bin/sh
case " $* " in
  *" --crate-name superstep"*" --crate-type bin "*) exec "$@" -C target-feature=+crt-static ;;
  *) exec "$@" ;;
esac
"#;

/// Builds the binaries of these images and puts them into the folder `context`.
pub(super) fn build(workspace: &Workspace, images: &[Image], work: &Path, context: &Path) -> Result<()> {
    for linking in [Linking::Static, Linking::Cuda] {
        let images: Vec<&Image> = images.iter().filter(|image| image.linking == linking).collect();
        if images.is_empty() {
            continue;
        }
        let folder = match linking {
            Linking::Static => build_static(workspace, work, &images)?,
            Linking::Cuda => build_cuda(workspace, work, &images)?,
        };
        for image in images {
            let binary = folder.join(image.binary);
            let target = context.join(image.file());
            fs::copy(&binary, &target).with_context(|| format!("cannot copy {}", binary.display()))?;
            if linking == Linking::Cuda {
                libraries::collect(&target, &context.join("libraries"))?;
            }
        }
    }
    Ok(())
}

/// Builds those of these images, and returns their folder.
///
/// Their packages are built with a setting of their own, so that cargo keeps them apart from those of the tests; all
/// that they depend on is what the tests have built.
fn build_static(workspace: &Workspace, work: &Path, images: &[&Image]) -> Result<PathBuf> {
    let wrapper = work.join("rustc-static");
    fs::write(&wrapper, LINKER)?;
    fs::set_permissions(&wrapper, Permissions::from_mode(0o755))?;
    let mut command = cargo();
    command.current_dir(&workspace.root).env("RUSTC_WRAPPER", &wrapper);
    command.args(["build", "--workspace", "--locked"]);
    for image in images {
        let setting = format!("profile.dev.package.{}.strip=\"symbols\"", image.package);
        command.args(["--bin", image.binary, "--config", &setting]);
    }
    run(&mut command)?;
    let folder = workspace.target.join("debug");
    for image in images {
        let told = capture(Command::new("ldd").arg(folder.join(image.binary)))?;
        if !told.contains("statically linked") {
            bail!("{} is not linked statically\n{told}", image.binary);
        }
    }
    Ok(folder)
}

/// Builds those of these images, and returns their folder: one of its own, for other features make other libraries.
fn build_cuda(workspace: &Workspace, work: &Path, images: &[&Image]) -> Result<PathBuf> {
    let target = work.join(CUDA);
    let mut command = cargo();
    command.current_dir(&workspace.root).args(["build", "--locked", "--target-dir"]).arg(&target);
    for image in images {
        command.args(["--package", image.package, "--features", &format!("{}/{CUDA}", image.package)]);
    }
    run(&mut command)?;
    Ok(target.join("debug"))
}
