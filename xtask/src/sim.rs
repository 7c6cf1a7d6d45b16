//! `cargo xtask sim`: the simulator, built so that it can plant mistakes in the engine.

use crate::process::{cargo, run as run_process};
use crate::workspace::Workspace;
use anyhow::Result;
use clap::Args;
use std::process::Command;

const SIMULATOR: &str = "superstep-sim";
/// How many seeds are run where nothing else is asked for.
const SEEDS: &str = "1000";

/// Options of `cargo xtask sim`.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Run so many random seeds, one of each family in turn.
    #[arg(long, value_name = "N")]
    seeds: Option<u64>,
    /// Run each of them twice, and compare.
    #[arg(long)]
    twice: bool,
    /// Run one seed (17, h17 or s17), and show all that happens in it.
    #[arg(long, value_name = "S")]
    seed: Option<String>,
    /// Let a shape crash at every point of its run.
    #[arg(long, value_name = "NAME")]
    shape: Option<String>,
    /// Let every shape do so.
    #[arg(long)]
    shapes: bool,
    /// Of the events of a shape, take about so many, evenly spread.
    #[arg(long, value_name = "M")]
    sample: Option<u64>,
    /// Plant mistakes in the engine, its driver and the store, and look for each.
    #[arg(long)]
    defects: bool,
    /// Look for each so many times, among other seeds.
    #[arg(long, value_name = "N")]
    searches: Option<u64>,
    /// Run a case from sim/regressions.
    #[arg(long, value_name = "FILE")]
    case: Option<String>,
    /// Run what a night is long enough for.
    #[arg(long)]
    nightly: bool,
}

/// Builds the simulator and runs it.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    simulate(workspace, arguments.words())
}

/// What `cargo xtask test` runs: a share of the seeds, of the crashes and of the mistakes.
pub(crate) fn share(workspace: &Workspace) -> Result<()> {
    let words = ["--seeds", SEEDS, "--shapes", "--sample", "10", "--defects", "--searches", "1"];
    simulate(workspace, words.map(str::to_owned).into())
}

fn simulate(workspace: &Workspace, words: Vec<String>) -> Result<()> {
    let build = ["build", "-p", SIMULATOR, "--features", "defects", "--locked", "--quiet"];
    run_process(cargo().current_dir(&workspace.root).args(build))?;
    run_process(Command::new(workspace.target.join("debug").join(SIMULATOR)).args(words))
}

impl Arguments {
    /// The words of the simulator's own command line.
    fn words(&self) -> Vec<String> {
        let number = |value: Option<u64>| value.map(|value| value.to_string());
        let valued = [
            ("--seeds", number(self.seeds)),
            ("--seed", self.seed.clone()),
            ("--shape", self.shape.clone()),
            ("--sample", number(self.sample)),
            ("--searches", number(self.searches)),
            ("--case", self.case.clone()),
        ];
        let flags = [
            ("--twice", self.twice),
            ("--shapes", self.shapes),
            ("--defects", self.defects),
            ("--nightly", self.nightly),
        ];
        let valued = valued.into_iter().filter_map(|(name, value)| Some([name.to_owned(), value?])).flatten();
        let mut words: Vec<String> =
            valued.chain(flags.iter().filter(|(_, on)| *on).map(|(name, _)| (*name).to_owned())).collect();
        if words.is_empty() {
            words = vec!["--seeds".to_owned(), SEEDS.to_owned()];
        }
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        arguments: Arguments,
    }

    fn words(line: &[&str]) -> Vec<String> {
        Line::parse_from(["sim"].iter().chain(line)).arguments.words()
    }

    #[test]
    fn options_are_handed_on_and_seeds_are_run_where_there_is_none() {
        assert_eq!(words(&[]), ["--seeds", "1000"]);
        assert_eq!(words(&["--seed", "h17"]), ["--seed", "h17"]);
        assert_eq!(words(&["--defects", "--searches", "3"]), ["--searches", "3", "--defects"]);
    }
}
