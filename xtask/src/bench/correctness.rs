//! Whether local models say what other engines say: tokens, probabilities and vectors.

use super::example;
use super::plan::Programs;
use super::plan::inference::{LLAMA_CPP, ONNX_RUNTIME, SENTENCES};
use crate::process::{capture, run as run_process};
use crate::workspace::Workspace;
use anyhow::{Context, Result};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Command;

/// What llama.cpp goes on with, and for how many tokens.
const PROMPTS: (&str, &str) = ("bench/texts/prompts.txt", "24");
/// What is read for perplexities, and how many tokens of it.
const DOCUMENT: (&str, &str) = ("docs/guarantees.md", "2048");
/// Formats that the model is written in by llama.cpp; the first is the one that it has.
const FORMATS: [&str; 12] =
    ["", "F16", "BF16", "Q8_0", "Q5_1", "Q5_0", "Q4_0", "Q6_K", "Q5_K_M", "Q4_K_M", "Q3_K_M", "Q2_K"];

/// Compares, and gives the tables with their names in documents.
pub(super) fn run(workspace: &Workspace, programs: &Programs) -> Result<Vec<(&'static str, String)>> {
    let scripts = &programs.scripts;
    let python = programs.venvs.python(LLAMA_CPP).context("correctness is measured against llama.cpp")?;
    let package = ["superstep-inference", "--features", "testing"];
    let reading = example(workspace, &package, "reading").context("the example cannot be built")?;
    let folder = programs.models.scratch.join("correctness");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let said = folder.join("said.json");
    let say = |model: &Path, options: &[&str]| {
        let mut command = Command::new(&python);
        command.arg(scripts.join("llama_cpp_said.py")).arg("--model").arg(model);
        run_process(command.args(options).arg("--out").arg(&said).current_dir(&workspace.root))
    };
    let compare = |model: &Path| -> Result<Value> {
        let line = capture(Command::new(&reading).arg("--model").arg(model).arg("--said").arg(&said))?;
        serde_json::from_str(line.trim()).with_context(|| format!("no JSON: {line}"))
    };
    let model = &programs.models.model;
    say(model, &["--prompts", PROMPTS.0, "--length", PROMPTS.1])?;
    let agreement = agreement(&compare(model)?);
    let mut rows = Vec::new();
    for format in FORMATS {
        let path = folder.join("model.gguf");
        let path = if format.is_empty() { model } else { &path };
        if !format.is_empty() {
            let mut command = Command::new(&python);
            command.arg(scripts.join("llama_cpp_requantize.py")).arg("--model").arg(model);
            run_process(command.args(["--format", format, "--out"]).arg(path))?;
        }
        say(path, &["--document", DOCUMENT.0, "--length", DOCUMENT.1, "--exact"])?;
        let name = if format.is_empty() { "as it is" } else { format };
        rows.push(perplexity(name, compare(path)));
    }
    fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))?;
    let head = "| format of the file | perplexity of the exact weights | as they are held | apart % |\n|---|---:|---:|---:|\n";
    Ok(vec![
        ("agreement", agreement),
        ("perplexity", format!("{head}{}", rows.concat())),
        ("vectors", vectors(workspace, programs)?),
    ])
}

fn agreement(found: &Value) -> String {
    let count = |key: &str| found[key].as_u64().unwrap_or_default();
    let rows = [
        ("prompts", count("texts")),
        ("prompts that are split into the same tokens", count("split_alike")),
        ("positions", count("positions")),
        ("positions where llama.cpp is sure", count("sure")),
        ("of these, positions where both say the same", count("agreeing")),
    ];
    let lines = rows.map(|(what, count)| format!("| {what} | {count} |\n"));
    format!("| | |\n|---|---:|\n{}", lines.concat())
}

/// A format that cannot be read is a result, too.
fn perplexity(format: &str, found: Result<Value>) -> String {
    let figures = found.and_then(|found| {
        let figure = |key: &str| found[key].as_f64().with_context(|| format!("no {key} in {found}"));
        Ok((figure("others_perplexity")?, figure("perplexity")?))
    });
    match figures {
        Ok((exact, held)) => {
            format!("| {format} | {exact:.3} | {held:.3} | {:.2} |\n", (held / exact - 1.0) * 100.0)
        }
        Err(error) => {
            eprintln!("{format}: {error:#}");
            format!("| {format} | – | refused | – |\n")
        }
    }
}

/// How far vectors of sentences are from those of ONNX Runtime.
fn vectors(workspace: &Workspace, programs: &Programs) -> Result<String> {
    let python = programs.venvs.python(ONNX_RUNTIME).context("vectors are compared with ONNX Runtime")?;
    let ours = programs.models.sentences.as_ref().context("the example cannot be built")?;
    let made = |command: &mut Command, name: &str| -> Result<Vec<Vec<f64>>> {
        let path = programs.models.scratch.join(name);
        command.arg("--model").arg(&programs.models.embedder);
        command.arg("--texts").arg(workspace.root.join(SENTENCES)).arg("--vectors").arg(&path);
        run_process(command)?;
        let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(serde_json::from_slice(&bytes)?)
    };
    let one = made(&mut Command::new(ours), "ours.json")?;
    let mut command = Command::new(python);
    let other = made(command.arg(programs.scripts.join("peer_onnxruntime.py")), "theirs.json")?;
    let least = one.iter().zip(&other).map(|(one, other)| cosine(one, other)).fold(1.0, f64::min);
    let rows =
        [("sentences", one.len().min(other.len()).to_string()), ("least cosine", format!("{least:.7}"))];
    let lines = rows.map(|(what, figure)| format!("| {what} | {figure} |\n"));
    Ok(format!("| | |\n|---|---:|\n{}", lines.concat()))
}

/// Of vectors of different lengths there is none.
fn cosine(one: &[f64], other: &[f64]) -> f64 {
    let product = |one: &[f64], other: &[f64]| one.iter().zip(other).map(|(x, y)| x * y).sum::<f64>();
    if one.len() != other.len() {
        return f64::NAN;
    }
    product(one, other) / (product(one, one) * product(other, other)).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn figures_are_put_into_rows() {
        let found =
            json!({"texts": 200, "split_alike": 199, "positions": 5000, "sure": 4000, "agreeing": 3999});
        let table = agreement(&found);
        assert_eq!(table.lines().nth(3), Some("| prompts that are split into the same tokens | 199 |"));
        assert_eq!(table.lines().last(), Some("| of these, positions where both say the same | 3999 |"));
        let found = json!({"perplexity": 20.2, "others_perplexity": 20.0});
        assert_eq!(perplexity("Q4_0", Ok(found)), "| Q4_0 | 20.000 | 20.200 | 1.00 |\n");
        assert_eq!(perplexity("Q2_K", Err(anyhow::anyhow!("x"))), "| Q2_K | – | refused | – |\n");
    }

    #[test]
    fn cosines() {
        assert!((cosine(&[1.0, 1.0], &[2.0, 2.0]) - 1.0).abs() < 1e-12);
        assert!(cosine(&[1.0, 0.0], &[0.0, 3.0]).abs() < 1e-12);
        assert!(cosine(&[1.0], &[1.0, 0.0]).is_nan());
    }
}
