//! `cargo xtask bench`: this project and its peers, measured side by side in one run.
//!
//! Every series is measured once in each round, so that what else the machine does falls on all of them alike; the
//! median of the rounds is reported. CPU seconds count the measured region only, in each program by itself.

mod cluster;
mod correctness;
mod document;
mod hardware;
mod peers;
mod plan;
mod report;
mod series;
mod sizing;

use crate::binary::{self, Profile};
use crate::linking::packed;
use crate::model::{self, Source};
use crate::process::{cargo, run as run_process};
use crate::workspace::Workspace;
use anyhow::{Context, Result, bail};
use clap::Args;
use plan::inference::{LLAMA_CPP, Part, Tools};
use plan::{Programs, Row};
use series::Series;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The longest that one measurement may take.
const LIMIT: Duration = Duration::from_secs(60);

/// Options of `cargo xtask bench`.
#[derive(Args)]
pub(crate) struct Arguments {
    /// One round, for a first look.
    #[arg(long)]
    quick: bool,
    /// Rounds, whose median counts. What takes long is not measured in all of them.
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// Measure some rows only: those of the part memory, durable, shapes, branches, flood, graphs or cluster, or those
    /// with this text in their name; of local models those of the part generation, loading, serving, sentences,
    /// correctness or sizing, or all with inference. May be given several times. Without it correctness and sizing,
    /// which take minutes, are left out.
    #[arg(long, value_name = "ROW")]
    only: Vec<String>,
    /// Leave out llama.cpp, which is built from source the first time (about ten minutes).
    #[arg(long)]
    skip_llama_cpp: bool,
    /// The language model for the parts of local models, as `quickstart` takes it.
    #[arg(long)]
    model: Option<String>,
    /// A document whose tables of local models are written again, such as docs/inference.md.
    #[arg(long, value_name = "FILE")]
    document: Option<PathBuf>,
}

/// Builds what is to be measured, measures it, prints the tables and writes `results.json`.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    let folder = workspace.target.join("bench");
    let scratch = folder.join("tmp");
    fs::create_dir_all(&scratch).with_context(|| format!("cannot make {}", scratch.display()))?;
    let parts = Part::wanted(&arguments.only);
    let rows = rows(arguments, &parts)?;
    let programs = programs(workspace, arguments, &folder, (&rows, &parts))?;
    let mut series: Vec<Series> = rows.iter().flat_map(|row| programs.series(row)).collect();
    series.extend(parts.iter().flat_map(|part| programs.series_of(*part, &workspace.root)));
    let rounds = if arguments.quick { 1 } else { arguments.rounds.max(1) };
    let groups = wants(arguments, &|only| only == cluster::PART);
    let groups = if groups { Some(cluster::run(workspace, rounds)?) } else { None };
    for round in 1..=rounds {
        eprintln!("round {round} of {rounds}");
        for one in &mut series {
            one.measure(&scratch, LIMIT);
        }
    }
    let mut of_models = report::of_models(&series);
    if parts.contains(&Part::Correctness) {
        of_models.extend(correctness::run(workspace, &programs)?);
    }
    if parts.contains(&Part::Sizing) {
        of_models.push(("sizing", sizing::run(workspace, &programs)?));
    }
    if !of_models.is_empty() {
        of_models.push(("hardware", hardware::table(workspace, &programs)));
    }
    println!("\n{}", report::tables(&series));
    for table in groups.iter().chain(of_models.iter().map(|(_, table)| table)) {
        println!("{table}");
    }
    if let Some(path) = &arguments.document {
        document::fill(path, &of_models)?;
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

/// The rows that are wanted, beside the parts of local models.
fn rows(arguments: &Arguments, parts: &BTreeSet<Part>) -> Result<Vec<&'static Row>> {
    let rows: Vec<&Row> = plan::rows().filter(|row| wants(arguments, &|only| row.is_named(only))).collect();
    if rows.is_empty() && parts.is_empty() && !wants(arguments, &|only| only == cluster::PART) {
        bail!("no row is named {}", arguments.only.join(" or "));
    }
    Ok(rows)
}

/// Builds and installs what the rows and parts need.
fn programs(
    workspace: &Workspace,
    arguments: &Arguments,
    folder: &Path,
    (rows, parts): (&[&Row], &BTreeSet<Part>),
) -> Result<Programs> {
    let mut packages = plan::peers(rows);
    packages.extend(parts.iter().flat_map(|part| part.peers()).copied());
    if arguments.skip_llama_cpp {
        packages.remove(LLAMA_CPP);
    }
    let scripts = workspace.root.join("bench/peers");
    let venvs = peers::Venvs::prepare(folder, &scripts, &packages);
    let models =
        if parts.is_empty() { Tools::default() } else { tools(workspace, arguments, folder, parts)? };
    let mut programs = Programs { scripts, venvs, bench: None, edges: None, models };
    if rows.iter().any(|row| !row.is_of_edges()) {
        programs.bench = example(workspace, &["superstep-runtime"], "bench");
    }
    if rows.iter().any(|row| row.is_of_edges()) {
        programs.edges = example(workspace, &["superstep-algorithms"], "edges");
    }
    Ok(programs)
}

/// What the parts of local models need of ours.
fn tools(
    workspace: &Workspace,
    arguments: &Arguments,
    folder: &Path,
    parts: &BTreeSet<Part>,
) -> Result<Tools> {
    let source = Source::parse(arguments.model.as_deref());
    let model = model::obtain(workspace, Profile::Release, &source)?.path;
    let mut tools = Tools { model, scratch: folder.join("tmp"), ..Tools::default() };
    let inference = |name: &str| example(workspace, &["superstep-inference"], name);
    if parts.contains(&Part::Generation) {
        tools.throughput = inference("throughput");
    }
    if parts.contains(&Part::Loading) {
        tools.loading = inference("loading");
    }
    if parts.contains(&Part::Sentences) || parts.contains(&Part::Correctness) {
        tools.sentences = inference("sentences");
        tools.embedder = model::obtain_for_tests()?.join(model::SENTENCE_MODEL);
    }
    if parts.contains(&Part::Serving) || parts.contains(&Part::Sizing) {
        tools.superstep = Some(binary::build(workspace, Profile::Release)?);
    }
    Ok(tools)
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
