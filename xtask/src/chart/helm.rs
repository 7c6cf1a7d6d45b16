//! Helm, and what it makes of the chart.

use super::CHART;
use crate::go_tool::GoTool;
use crate::process::{capture, run};
use crate::testbed;
use crate::workspace::Workspace;
use anyhow::Result;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The release that is rendered, and its namespace.
const RELEASE: [&str; 3] = ["superstep", "--namespace", "superstep-system"];

/// The program, and the chart.
pub(super) struct Helm {
    program: PathBuf,
    chart: PathBuf,
}

impl Helm {
    /// That of the testbed if it is built, else the same version by itself.
    pub(super) fn obtain(workspace: &Workspace) -> Result<Self> {
        let program = match testbed::program(workspace, "helm") {
            Ok(program) => program,
            Err(_) => tool().obtain(workspace)?,
        };
        Ok(Self { program, chart: workspace.root.join(CHART) })
    }

    pub(super) fn lint(&self) -> Result<()> {
        run(self.command("lint").arg(&self.chart).arg("--strict"))
    }

    /// What is applied for these values.
    pub(super) fn render(&self, values: Option<&Path>) -> Result<String> {
        let mut template = self.command("template");
        template.args(RELEASE).arg(&self.chart);
        if let Some(values) = values {
            template.arg("--values").arg(values);
        }
        capture(&mut template)
    }

    /// A command that is told which Kubernetes there is, since it asks none.
    fn command(&self, verb: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.args([verb, "--kube-version", testbed::KUBERNETES]);
        command
    }
}

fn tool() -> GoTool {
    GoTool { module: "helm.sh/helm/v3", package: "cmd/helm", version: testbed::HELM }
}
