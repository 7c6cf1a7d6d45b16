//! What `superstep models size` tells, against what a server takes whose requests fill their contexts.

use super::example;
use super::plan::Programs;
use super::plan::inference::SERVING;
use crate::process::capture;
use crate::workspace::Workspace;
use anyhow::{Context, Result};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Tokens of a request.
const CONTEXT: &str = "1024";
/// Requests at a time.
const CONCURRENCY: &str = "4";

/// Measures the model and others with random weights, and gives a table.
pub(super) fn run(workspace: &Workspace, programs: &Programs) -> Result<String> {
    let superstep = programs.models.superstep.as_ref().context("the command cannot be built")?;
    let package = ["superstep-inference", "--features", "testing"];
    let shapes = example(workspace, &package, "shapes").context("the example cannot be built")?;
    let written = capture(Command::new(shapes).arg(programs.models.scratch.join("shapes")))?;
    let written = written.lines().map(PathBuf::from);
    let mut lines = String::new();
    for path in std::iter::once(programs.models.model.clone()).chain(written) {
        let told = told(superstep, &path)?;
        let mut command = Command::new("python3");
        command.arg(workspace.root.join(SERVING)).args(["memory", "--superstep"]).arg(superstep);
        command.arg("--model").arg(&path).args(["--clients", CONCURRENCY, "--context", CONTEXT]);
        let measured: Value = serde_json::from_str(capture(&mut command)?.trim())?;
        let peak = measured["peak"].as_f64().with_context(|| format!("no peak in {measured}"))?;
        let line = line(&path, &told, peak)?;
        eprint!("{line}");
        lines.push_str(&line);
    }
    let head = "| model | formats | file MB | told MB | measured MB | apart % | rule of thumb MB |\n\
                |---|---|---:|---:|---:|---:|---:|\n";
    Ok(format!("{head}{lines}"))
}

fn told(superstep: &Path, model: &Path) -> Result<Value> {
    let mut command = Command::new(superstep);
    command.args(["models", "size"]).arg(model).args(["--context-length", CONTEXT]);
    command.args(["--concurrency", CONCURRENCY, "--output", "json"]);
    let mut rows: Vec<Value> = serde_json::from_str(&capture(&mut command)?)?;
    rows.pop().with_context(|| format!("nothing is told of {}", model.display()))
}

fn line(model: &Path, told: &Value, peak: f64) -> Result<String> {
    let bytes = |key: &str| told[key].as_f64().with_context(|| format!("no {key} in {told}"));
    let total = bytes("total")?;
    let name = model.file_name().unwrap_or_default().to_string_lossy();
    let formats = told["formats"].as_str().unwrap_or_default();
    let megabytes = [bytes("file")?, total, peak].map(|bytes| format!("{:.0}", bytes / 1e6));
    let apart = (total / peak - 1.0) * 100.0;
    let thumb = bytes("ruleOfThumb")? / 1e6;
    Ok(format!("| {name} | {formats} | {} | {apart:.1} | {thumb:.0} |\n", megabytes.join(" | ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_told_stands_beside_what_is_measured() {
        let told = json!({"file": 98.4e6, "total": 420e6, "ruleOfThumb": 3098.4e6, "formats": "F32 Q4_1"});
        let line = line(Path::new("/m/small.gguf"), &told, 400e6).unwrap();
        assert_eq!(line, "| small.gguf | F32 Q4_1 | 98 | 420 | 400 | 5.0 | 3098 |\n");
    }
}
