//! `superstep-e2e`: installs Superstep on a real Kubernetes, and does with it what users and accidents do, by kubectl
//! and helm alone.

mod audit;
mod bench;
mod beside;
mod children;
mod here;
mod kubectl;
mod objects;
mod printed;
mod process;
mod release;
mod report;
mod runs;
mod scenario;
mod servers;
mod space;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::{Parser, ValueEnum as _};
use serde_json::{Value, json};

use bench::Bench;
use scenario::Scenario;

/// Plays scenarios on the cluster of KUBECONFIG.
#[derive(Parser)]
#[command(name = "superstep-e2e", version)]
pub(crate) struct Arguments {
    /// Play this scenario only; may be given several times.
    #[arg(long, value_enum)]
    only: Vec<Scenario>,
    /// A share of it that takes some minutes.
    #[arg(long)]
    short: bool,
    /// What moments are drawn from.
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// Write all figures there.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// The chart.
    #[arg(long, value_name = "DIR", default_value = "charts/superstep")]
    chart: PathBuf,
    /// The repository of the operator's image.
    #[arg(long, value_name = "NAME", default_value = "localhost/superstep-operator")]
    operator_image: String,
    /// The repository of the workers' image.
    #[arg(long, value_name = "NAME", default_value = "localhost/superstep-worker")]
    worker_image: String,
    /// A tag of other images, to which is upgraded.
    #[arg(long, value_name = "TAG")]
    next: Option<String>,
    /// The chart and the tag of an earlier build, from which is upgraded to this one.
    #[arg(long, num_args = 2, value_names = ["DIR", "TAG"])]
    former: Vec<String>,
    /// The tag of both.
    #[arg(long, default_value = "dev")]
    tag: String,
    /// The command `superstep`; by default the one beside this program.
    #[arg(long, value_name = "PROGRAM")]
    superstep: Option<PathBuf>,
    /// The model of the quickstart, a GGUF file.
    #[arg(long, value_name = "FILE")]
    model: Option<PathBuf>,
    /// The image of llama.cpp's own server.
    #[arg(long, value_name = "NAME")]
    llama_image: Option<String>,
    /// A folder of this machine, and the same folder as the node sees it, for volumes that pods share.
    #[arg(long, num_args = 2, value_names = ["HERE", "THERE"])]
    volumes: Vec<PathBuf>,
    /// The address by which pods reach this machine.
    #[arg(long, value_name = "ADDRESS")]
    machine: Option<String>,
    /// What ends and starts servers of the testbed, and gives it devices: `cargo xtask testbed`.
    #[arg(long, value_name = "PROGRAM")]
    testbed: Option<PathBuf>,
    /// The audit log of the API server.
    #[arg(long, value_name = "FILE")]
    audit: Option<PathBuf>,
}

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let (only, short, json) = (arguments.only.clone(), arguments.short, arguments.json.clone());
    release::demand_absent()?;
    let mut bench = Bench::new(arguments)?;
    let (mut failed, mut skipped, mut reports) = (0, 0, Vec::new());
    let wanted = |scenario: &Scenario| match only.as_slice() {
        [] => !short || scenario.is_short(),
        only => only.contains(scenario),
    };
    for scenario in Scenario::value_variants().iter().copied().filter(wanted) {
        say(&format!("--- {}", scenario.name()));
        let report = scenario.play(&mut bench);
        report.lines().iter().for_each(|line| say(line));
        failed += usize::from(!report.is_skipped() && !report.holds());
        skipped += usize::from(report.is_skipped());
        reports.push(report.json());
    }
    bench.leave()?;
    if let Some(path) = &json {
        let all = json!({"scenarios": Value::Array(reports.clone())});
        std::fs::write(path, format!("{all:#}\n"))
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    say(&format!("{} scenarios, of which {failed} failed and {skipped} were skipped", reports.len()));
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

#[expect(clippy::print_stdout, reason = "a command speaks on its standard output")]
pub(crate) fn say(line: &str) {
    println!("{line}");
}
