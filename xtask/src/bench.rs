//! `cargo xtask bench`: this project and its peers, measured side by side in one run.
//!
//! Every series is measured once in each round, so that what else the machine does falls on all of them alike; the
//! median of the rounds is reported. CPU seconds count the measured region only, in each program by itself.

mod cluster;
mod peers;
mod plan;
mod report;
mod series;

use crate::binary::Profile;
use crate::linking::packed;
use crate::model::{self, Source};
use crate::process::{cargo, run as run_process};
use crate::workspace::Workspace;
use anyhow::{Context, Result, bail};
use clap::Args;
use plan::{Programs, Row};
use series::Series;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The longest that one measurement may take.
const LIMIT: Duration = Duration::from_secs(60);
/// The part that compares language models.
const GENERATION: &str = "generation";

/// Options of `cargo xtask bench`.
#[derive(Args)]
pub(crate) struct Arguments {
    /// One round, for a first look.
    #[arg(long)]
    quick: bool,
    /// Rounds, whose median counts. What takes long is not measured in all of them.
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// Measure some rows only: those of the part memory, durable, shapes, branches, flood, graphs, generation or
    /// cluster, or those with this text in their name; may be given several times.
    #[arg(long, value_name = "ROW")]
    only: Vec<String>,
    /// Leave out llama.cpp, which is built from source the first time (about ten minutes).
    #[arg(long)]
    skip_llama_cpp: bool,
    /// The model for the generation part, as `quickstart` takes it.
    #[arg(long)]
    model: Option<String>,
}

/// Builds what is to be measured, measures it, prints the table and writes `results.json`.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    let folder = workspace.target.join("bench");
    let scratch = folder.join("tmp");
    fs::create_dir_all(&scratch).with_context(|| format!("cannot make {}", scratch.display()))?;
    let mut series = plan(workspace, arguments, &folder)?;
    let rounds = if arguments.quick { 1 } else { arguments.rounds.max(1) };
    let groups = wants(arguments, &|only| only == cluster::PART);
    let groups = if groups { Some(cluster::run(workspace, rounds)?) } else { None };
    for round in 1..=rounds {
        eprintln!("round {round} of {rounds}");
        for one in &mut series {
            one.measure(&scratch, LIMIT);
        }
    }
    println!("\n{}", report::tables(&series));
    if let Some(table) = groups {
        println!("{table}");
    }
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

/// Whether what is called so is to be measured.
fn wants(arguments: &Arguments, named: &dyn Fn(&str) -> bool) -> bool {
    arguments.only.is_empty() || arguments.only.iter().any(|only| named(only))
}

fn plan(workspace: &Workspace, arguments: &Arguments, folder: &Path) -> Result<Vec<Series>> {
    let wanted = |named: &dyn Fn(&str) -> bool| wants(arguments, named);
    let rows: Vec<&Row> = plan::rows().filter(|row| wanted(&|only| row.is_named(only))).collect();
    let generation = wanted(&|only| only == GENERATION);
    if rows.is_empty() && !generation && !wanted(&|only| only == cluster::PART) {
        bail!("no row is named {}", arguments.only.join(" or "));
    }
    let mut packages = plan::peers(&rows);
    if generation && !arguments.skip_llama_cpp {
        packages.insert("llama-cpp");
    }
    let scripts = workspace.root.join("bench/peers");
    let venvs = peers::Venvs::prepare(folder, &scripts, &packages);
    let mut programs = Programs { scripts, venvs, bench: None, edges: None, throughput: None };
    if rows.iter().any(|row| !row.is_of_edges()) {
        programs.bench = example(workspace, &["superstep-runtime"], "bench");
    }
    if rows.iter().any(|row| row.is_of_edges()) {
        programs.edges = example(workspace, &["superstep-algorithms"], "edges");
    }
    let mut series: Vec<Series> = rows.iter().flat_map(|row| programs.series(row)).collect();
    if generation {
        programs.throughput = example(workspace, &["superstep-inference"], "throughput");
        let source = Source::parse(arguments.model.as_deref());
        let model = model::obtain(workspace, Profile::Release, &source)?;
        series.extend(programs.generation(&model.path));
    }
    Ok(series)
}

/// Builds an example; when that fails the rows of others are still worth having.
fn example(workspace: &Workspace, package: &[&str], name: &str) -> Option<PathBuf> {
    let mut command = cargo();
    command.current_dir(&workspace.root);
    command.args(["rustc", "--release", "--locked", "--example", name, "--package"]).args(package);
    command.arg("--").args(packed());
    match run_process(&mut command) {
        Ok(()) => Some(workspace.target.join("release/examples").join(name)),
        Err(error) => {
            eprintln!("superstep cannot be measured: {error:#}");
            None
        }
    }
}
