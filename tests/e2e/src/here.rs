//! Runs on this machine, which those of a cluster are compared with.

use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::bench::Bench;
use crate::objects::text;
use crate::process;
use crate::report::Report;

/// A graph and what it is given.
pub(crate) struct Example<'a> {
    pub(crate) graph: &'a str,
    /// What `superstep run` reads.
    pub(crate) folder: &'a str,
    pub(crate) input: Value,
}

impl Example<'_> {
    /// Runs it under the name that a run of the cluster has in the store, and looks whether that one came to the same. The
    /// revision of the graph that both had in the end.
    pub(crate) fn compare(
        &self,
        bench: &Bench,
        report: &mut Report,
        stored: &str,
        ended: &Value,
    ) -> Result<String> {
        let local = self.compare_results(bench, report, stored, ended)?;
        let supersteps = local.pointer("/supersteps").and_then(Value::as_array);
        let revision = supersteps.and_then(|steps| steps.last()).map_or("", |step| text(step, "/revision"));
        let same = text(ended, "/status/revision") == revision;
        let differs = format!("{}: {} and {revision}", self.graph, text(ended, "/status/revision"));
        report.look(
            "revisions that are not those of the local run",
            1,
            (!same).then_some(differs).into_iter().collect(),
        );
        Ok(revision.to_owned())
    }

    /// As [`compare`](Self::compare), where the graph of the cluster differs in what is no part of a result. What the
    /// local run was.
    pub(crate) fn compare_results(
        &self,
        bench: &Bench,
        report: &mut Report,
        stored: &str,
        ended: &Value,
    ) -> Result<Value> {
        let folder = tempfile::tempdir()?;
        let local = self.run(bench, stored, folder.path())?;
        let outputs = local.pointer("/outputs").unwrap_or(&Value::Null);
        let result = agrees(ended, outputs);
        report.look("results that are not those of the local run", 1, result.err().into_iter().collect());
        Ok(local)
    }

    /// What `superstep inspect` tells of it.
    fn run(&self, bench: &Bench, name: &str, folder: &Path) -> Result<Value> {
        let mut run = bench.superstep(folder);
        run.args(["run", "--file", self.folder, "--graph", self.graph, "--run-id", name, "--input"]);
        run.arg(self.input.to_string()).arg("--no-input");
        if let Some(model) = &bench.model {
            run.env("SUPERSTEP_MODEL", model).env("SUPERSTEP_MODEL_SHA256", "");
        }
        process::capture(&mut run)?;
        let told = process::capture(bench.superstep(folder).args(["inspect", name, "--output", "json"]))?;
        serde_json::from_str(&told).context("superstep inspect prints JSON")
    }
}

/// Whether a run came to these outputs: by the hash of the whole, and by the begin of it.
fn agrees(run: &Value, outputs: &Value) -> Result<(), String> {
    let whole = serde_json::to_string(outputs).map_err(|error| error.to_string())?;
    let preview = text(run, "/status/output/preview");
    let digest = blake3::hash(whole.as_bytes()).to_hex();
    let begins = whole.starts_with(preview) && !preview.is_empty();
    if begins && text(run, "/status/output/digest") == digest.as_str() {
        return Ok(());
    }
    Err(format!(
        "{} on the cluster, {whole} ({digest}) here",
        run.pointer("/status/output").unwrap_or(&Value::Null)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_result_is_known_by_its_begin_and_its_hash() {
        let outputs = json!({"desk": "accounts"});
        let whole = outputs.to_string();
        let run = |preview: &str, of: &str| {
            let digest = blake3::hash(of.as_bytes()).to_hex();
            json!({"status": {"output": {"preview": preview, "digest": digest.as_str()}}})
        };
        assert!(agrees(&run(&whole[..8], &whole), &outputs).is_ok());
        assert!(agrees(&run("", &whole), &outputs).is_err());
        assert!(agrees(&run(&whole[..8], "{}"), &outputs).is_err());
        assert!(agrees(&json!({}), &outputs).is_err());
    }
}
