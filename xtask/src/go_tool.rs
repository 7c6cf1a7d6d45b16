//! Programs of pinned Go modules, installed into the build folder.

use crate::process::{capture, run};
use crate::workspace::Workspace;
use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A program of a module.
pub(crate) struct GoTool {
    pub(crate) module: &'static str,
    /// Of the program, below the module.
    pub(crate) package: &'static str,
    pub(crate) version: &'static str,
}

impl GoTool {
    /// Its path, once it is installed in this version; an error where there is no Go to build it, or where its sources
    /// cannot be had.
    pub(crate) fn obtain(&self, workspace: &Workspace) -> Result<PathBuf> {
        let folder = workspace.target.join("tools/bin");
        let program = folder.join(self.name());
        if self.is_pinned(&program) {
            return Ok(program);
        }
        let name = self.name();
        capture(Command::new("go").arg("version"))
            .with_context(|| format!("there is no Go to build {name} with"))?;
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let module = format!("{}/{}@{}", self.module, self.package, self.version);
        run(Command::new("go").args(["install", &module]).env("GOBIN", &folder))?;
        Ok(program)
    }

    fn name(&self) -> &'static str {
        self.package.rsplit_once('/').map_or(self.package, |(_, name)| name)
    }

    /// Whether it is there, built from this version: not every program tells its own.
    fn is_pinned(&self, program: &Path) -> bool {
        let told = capture(Command::new("go").args(["version", "-m"]).arg(program));
        program.is_file() && told.is_ok_and(|told| told.lines().any(|line| self.is_version(line)))
    }

    /// Whether a line of `go version -m` names the module in this version.
    fn is_version(&self, line: &str) -> bool {
        let words: Vec<&str> = line.split_whitespace().collect();
        words.starts_with(&["mod", self.module, self.version])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_told_by_the_module() {
        let tool = GoTool { module: "example.com/a", package: "cmd/b", version: "v1.8.0" };
        assert_eq!(tool.name(), "b");
        for (line, is_pinned) in [
            ("\tmod\texample.com/a\tv1.8.0\th1:abc=", true),
            ("\tmod\texample.com/a\tv1.7.0\th1:abc=", false),
            ("\tdep\texample.com/a\tv1.8.0\th1:abc=", false),
            ("\tpath\texample.com/a/cmd/b", false),
        ] {
            assert_eq!(tool.is_version(line), is_pinned, "{line}");
        }
    }
}
