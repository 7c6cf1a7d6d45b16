//! `cargo xtask bench`: this project and its peers, measured side by side in one run.
//!
//! Every series is measured once in each round, so that what else the machine does falls on all of them alike; the
//! median of the rounds is reported. CPU seconds count the measured region only, in each program by itself.

mod peers;
mod plan;
mod report;
mod series;

use crate::binary::Profile;
use crate::model::{self, Source};
use crate::process::{cargo, run as run_process};
use crate::workspace::Workspace;
use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use plan::Programs;
use series::Series;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Longer than the slowest series takes on two busy cores.
const LIMIT: Duration = Duration::from_secs(600);

/// Options of `cargo xtask bench`.
#[derive(Args)]
pub(crate) struct Arguments {
    /// One round, for a first look.
    #[arg(long)]
    quick: bool,
    /// Rounds, whose median counts.
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// Measure this part only; may be given several times.
    #[arg(long, value_enum)]
    only: Vec<Part>,
    /// Leave out llama.cpp, which is built from source the first time (about ten minutes).
    #[arg(long)]
    skip_llama_cpp: bool,
    /// The model for the generation part, as `quickstart` takes it.
    #[arg(long)]
    model: Option<String>,
}

/// What can be measured by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Supersteps that do nothing, in memory.
    Agent,
    /// The same, durable.
    Durable,
    /// Tokens of a language model.
    Generation,
}

/// Builds what is to be measured, measures it, prints the table and writes `results.json`.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    let folder = workspace.target.join("bench");
    let scratch = folder.join("tmp");
    fs::create_dir_all(&scratch).with_context(|| format!("cannot make {}", scratch.display()))?;
    let all = Part::value_variants().iter().copied();
    let parts: Vec<Part> =
        all.filter(|part| arguments.only.is_empty() || arguments.only.contains(part)).collect();
    let mut series = plan(workspace, arguments, &parts, &folder)?;
    let rounds = if arguments.quick { 1 } else { arguments.rounds.max(1) };
    for round in 1..=rounds {
        eprintln!("round {round} of {rounds}");
        for one in &mut series {
            one.measure(&scratch, LIMIT);
        }
    }
    let table = report::table(&series);
    println!("\n{table}");
    let results = folder.join("results.json");
    let text = serde_json::to_string_pretty(&report::json(&series, rounds))?;
    fs::write(&results, text).with_context(|| format!("cannot write {}", results.display()))?;
    println!("every sample: {}", results.display());
    let failures = report::failures(&series);
    if !failures.is_empty() {
        bail!("{} of {} series have no sample\n{}", failures.len(), series.len(), failures.join("\n"));
    }
    Ok(())
}

fn plan(workspace: &Workspace, arguments: &Arguments, parts: &[Part], folder: &Path) -> Result<Vec<Series>> {
    let supersteps = parts.contains(&Part::Agent) || parts.contains(&Part::Durable);
    let generation = parts.contains(&Part::Generation);
    let mut packages = Vec::new();
    if supersteps {
        packages.extend(["langgraph", "neograph"]);
    }
    if generation && !arguments.skip_llama_cpp {
        packages.push("llama-cpp");
    }
    let scripts = workspace.root.join("bench/peers");
    let venv = peers::Venv::prepare(&folder.join("venv"), &scripts, &packages)?;
    let mut programs = Programs { scripts, venv, bench: None, throughput: None };
    if supersteps {
        programs.bench = example(workspace, "superstep-runtime", "bench");
    }
    let mut series = Vec::new();
    if parts.contains(&Part::Agent) {
        series.extend(programs.agent());
    }
    if parts.contains(&Part::Durable) {
        series.extend(programs.durable());
    }
    if generation {
        programs.throughput = example(workspace, "superstep-inference", "throughput");
        let source = Source::parse(arguments.model.as_deref());
        let model = model::obtain(workspace, Profile::Release, &source)?;
        series.extend(programs.generation(&model.path, !arguments.skip_llama_cpp));
    }
    Ok(series)
}

/// Builds an example; when that fails the rows of others are still worth having.
fn example(workspace: &Workspace, package: &str, name: &str) -> Option<PathBuf> {
    let mut command = cargo();
    command.current_dir(&workspace.root);
    command.args(["build", "--release", "--locked", "--package", package, "--example", name]);
    match run_process(&mut command) {
        Ok(()) => Some(workspace.target.join("release/examples").join(name)),
        Err(error) => {
            eprintln!("superstep cannot be measured: {error:#}");
            None
        }
    }
}
