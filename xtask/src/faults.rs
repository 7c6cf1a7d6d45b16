//! `cargo xtask faults`: real worker processes under faults.

use crate::binary::{self, Profile};
use crate::gateway;
use crate::process::run as run_process;
use crate::workspace::Workspace;
use anyhow::Result;
use clap::Args;
use std::path::PathBuf;
use std::process::Command;

const HARNESS: &str = "superstep-faults";

/// Options of `cargo xtask faults`.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Play this scenario only; may be given several times. A name that is none lists them.
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// So many rounds of each.
    #[arg(long, value_name = "N")]
    rounds: Option<u32>,
    /// What moments and durations are drawn from.
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
    /// A share of it that takes about a minute and a half.
    #[arg(long)]
    short: bool,
    /// How long the model server takes for an answer, on average.
    #[arg(long, value_name = "MS")]
    latency: Option<u64>,
    /// Keep the folders of the groups, with the logs of the workers, and say where they are.
    #[arg(long)]
    keep: bool,
    /// Write all figures there.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Builds the worker and the harness as the tests do, and plays.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    play(workspace, &arguments.words())
}

/// What `cargo xtask test` runs.
pub(crate) fn share(workspace: &Workspace) -> Result<()> {
    play(workspace, &["--short".to_owned()])
}

fn play(workspace: &Workspace, words: &[String]) -> Result<()> {
    // What the tests have built, so that nothing is compiled a second time with other features.
    binary::build(workspace, Profile::Dev)?;
    let mut harness = Command::new(workspace.target.join("debug").join(HARNESS));
    harness.args(words);
    if let Some(server) = gateway::obtain(workspace) {
        harness.arg("--versitygw").arg(server);
    }
    run_process(&mut harness)
}

impl Arguments {
    /// The words of the harness's own command line.
    fn words(&self) -> Vec<String> {
        let number = |value: Option<u64>| value.map(|value| value.to_string());
        let valued = [
            ("--rounds", number(self.rounds.map(u64::from))),
            ("--seed", number(self.seed)),
            ("--latency", number(self.latency)),
            ("--json", self.json.as_ref().map(|path| path.display().to_string())),
        ];
        let only = self.only.iter().flat_map(|name| ["--only".to_owned(), name.clone()]);
        let valued = valued.into_iter().filter_map(|(name, value)| Some([name.to_owned(), value?])).flatten();
        let flags = [("--short", self.short), ("--keep", self.keep)];
        let flags = flags.into_iter().filter(|(_, on)| *on).map(|(name, _)| name.to_owned());
        only.chain(valued).chain(flags).collect()
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

    #[test]
    fn options_are_handed_on() {
        let line = ["faults", "--only", "kill-worker", "--only", "disk", "--rounds", "3", "--short"];
        let words = ["--only", "kill-worker", "--only", "disk", "--rounds", "3", "--short"];
        assert_eq!(Line::parse_from(line).arguments.words(), words);
    }
}
