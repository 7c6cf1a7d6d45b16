//! A pinned S3 server, which the tests of the store talk to on loopback.

use crate::process::{capture, run};
use crate::workspace::Workspace;
use anyhow::Result;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

const MODULE: &str = "github.com/versity/versitygw/cmd/versitygw";
const VERSION: &str = "v1.8.0";

/// The server in the build folder, installed if this version is not there; none where there is no Go to build it, or
/// where its sources cannot be had, which is said.
pub(crate) fn obtain(workspace: &Workspace) -> Result<Option<PathBuf>> {
    let folder = workspace.target.join("tools/bin");
    let server = folder.join("versitygw");
    if is_pinned(&server) {
        return Ok(Some(server));
    }
    if let Err(error) = capture(Command::new("go").arg("version")) {
        println!("the store is not tested on S3: there is no Go to build a server with ({error})");
        return Ok(None);
    }
    fs::create_dir_all(&folder)?;
    let module = format!("{MODULE}@{VERSION}");
    if let Err(error) = run(Command::new("go").args(["install", &module]).env("GOBIN", &folder)) {
        println!("the store is not tested on S3: {error}");
        return Ok(None);
    }
    Ok(Some(server))
}

/// Whether it is there, built from the pinned version: the program itself tells none.
fn is_pinned(server: &PathBuf) -> bool {
    let told = capture(Command::new("go").args(["version", "-m"]).arg(server));
    server.is_file() && told.is_ok_and(|told| told.lines().any(is_version))
}

/// Whether a line of `go version -m` names the module in the pinned version.
fn is_version(line: &str) -> bool {
    let words: Vec<&str> = line.split_whitespace().collect();
    words.starts_with(&["mod", MODULE.trim_end_matches("/cmd/versitygw"), VERSION])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_told_by_the_module() {
        for (line, is_pinned) in [
            ("\tmod\tgithub.com/versity/versitygw\tv1.8.0\th1:abc=", true),
            ("\tmod\tgithub.com/versity/versitygw\tv1.7.0\th1:abc=", false),
            ("\tdep\tgithub.com/versity/versitygw\tv1.8.0\th1:abc=", false),
            ("\tpath\tgithub.com/versity/versitygw/cmd/versitygw", false),
        ] {
            assert_eq!(is_version(line), is_pinned, "{line}");
        }
    }
}
