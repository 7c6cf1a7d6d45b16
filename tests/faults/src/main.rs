//! `superstep-faults`: starts groups of worker processes, does to them what machines and networks do, and judges the
//! runs by what an independent model server saw.

mod cgroup;
mod disk;
mod gateway;
mod graph;
mod group;
mod machine;
mod network;
mod report;
mod scenario;
mod trial;

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::{Parser, ValueEnum as _};
use serde_json::{Value, json};
use superstep_witness::Ledger;
use tokio::runtime::Runtime;

use scenario::{Bench, Scenario};

/// Plays faults with real worker processes, and judges what becomes of the runs.
#[derive(Parser)]
#[command(name = "superstep-faults", version)]
struct Arguments {
    /// Play this scenario only; may be given several times.
    #[arg(long, value_enum)]
    only: Vec<Scenario>,
    /// So many rounds of each.
    #[arg(long, value_name = "N")]
    rounds: Option<usize>,
    /// What moments and durations are drawn from.
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// A share of it that takes about a minute.
    #[arg(long)]
    short: bool,
    /// How long the model server takes for an answer, on average.
    #[arg(long, value_name = "MS", default_value_t = 200)]
    latency: u64,
    /// Keep the folders of the groups, with the logs of the workers, and say where they are.
    #[arg(long)]
    keep: bool,
    /// Write all figures there.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// An S3 server, versitygw, for partitions between workers and store.
    #[arg(long, value_name = "PROGRAM")]
    versitygw: Option<PathBuf>,
    /// The worker; by default the one beside this program.
    #[arg(long, value_name = "PROGRAM")]
    worker: Option<PathBuf>,
}

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    if let Some(ended) = machine::isolate()? {
        return Ok(ended);
    }
    let beside = || Ok::<_, std::io::Error>(std::env::current_exe()?.with_file_name("superstep-worker"));
    let program = arguments.worker.clone().map_or_else(beside, Ok)?;
    let program = program.canonicalize().with_context(|| format!("there is no {}", program.display()))?;
    let runtime = Arc::new(Runtime::new()?);
    let folder = tempfile::tempdir()?;
    let ledger = Ledger::new(&folder.path().join("ledger"), Duration::from_millis(arguments.latency))?;
    // In a network of its own nobody else can reach it.
    let listen = if machine::is_isolated() { Ipv4Addr::UNSPECIFIED } else { Ipv4Addr::LOCALHOST };
    let model = runtime.block_on(superstep_witness::serve((listen, 0).into(), ledger.clone()))?;
    let bench = Bench {
        program,
        runtime,
        ledger,
        model,
        versitygw: arguments.versitygw.clone(),
        seed: arguments.seed,
        rounds: arguments.rounds,
        short: arguments.short,
        keep: arguments.keep,
    };
    let wanted = |scenario: &Scenario| match arguments.only.as_slice() {
        [] => !arguments.short || scenario.is_short(),
        only => only.contains(scenario),
    };
    let (mut failed, mut skipped, mut reports) = (0, 0, Vec::new());
    for scenario in Scenario::value_variants().iter().copied().filter(wanted) {
        let report = scenario.play(&bench);
        report.lines().iter().for_each(|line| say(line));
        failed += usize::from(!report.is_skipped() && !report.holds());
        skipped += usize::from(report.is_skipped());
        reports.push(report.json());
    }
    if let Some(path) = &arguments.json {
        let all = json!({"seed": arguments.seed, "latencyMillis": arguments.latency, "scenarios": Value::Array(reports.clone())});
        std::fs::write(path, format!("{all:#}\n"))
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    say(&format!("{} scenarios, of which {failed} failed and {skipped} were skipped", reports.len()));
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

#[expect(clippy::print_stdout, reason = "a command speaks on its standard output")]
fn say(line: &str) {
    println!("{line}");
}
