//! `cargo xtask test`: every check there is, one stage after another, with the time of each.

use crate::binary::Profile;
use crate::process::{cargo, run as run_process};
use crate::workspace::Workspace;
use crate::{chart, deny, e2e, faults, gateway, generate, model, protocol, quickstart, sim, testbed, tidy};
use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use std::process::Command;
use std::time::{Duration, Instant};
use std::{env, fmt};

const SIMULATOR: &str = "superstep-sim";
/// Names the folder with the example graphs of LDBC Graphalytics, which are not ours to hand on.
const GRAPHALYTICS: &str = "SUPERSTEP_GRAPHALYTICS";
/// The examples that are measured.
const BENCHES: [&str; 2] = ["bench", "edges"];

/// Options of `cargo xtask test`.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Run this stage only; may be given several times.
    #[arg(long, value_enum)]
    only: Vec<Stage>,
    /// Print the stages and run none.
    #[arg(long)]
    list: bool,
}

/// A stage, in the order in which they run: the quickest to fail first, what builds on the tests' build after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Stage {
    Fmt,
    Tidy,
    Protocol,
    Chart,
    Clippy,
    Test,
    Sim,
    Faults,
    E2e,
    Bench,
    Generated,
    Quickstart,
    Docs,
    Deny,
}

/// How a stage ended.
struct Outcome {
    stage: Stage,
    failed: bool,
    /// What it could not check here.
    left_out: Option<String>,
    took: Duration,
}

/// Runs the stages, all of them even when one fails, and fails when any did.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    let stages: Vec<Stage> =
        Stage::value_variants().iter().copied().filter(|s| s.exists(workspace)).collect();
    if arguments.list {
        for stage in stages {
            println!("{stage:12} {}", stage.purpose());
        }
        return Ok(());
    }
    let chosen =
        stages.into_iter().filter(|stage| arguments.only.is_empty() || arguments.only.contains(stage));
    let outcomes: Vec<Outcome> = chosen.map(|stage| timed(workspace, stage)).collect();
    print!("\n{}", table(&outcomes));
    let failed: Vec<String> =
        outcomes.iter().filter(|outcome| outcome.failed).map(|outcome| outcome.stage.to_string()).collect();
    if !failed.is_empty() {
        bail!("failed: {}", failed.join(", "));
    }
    Ok(())
}

fn timed(workspace: &Workspace, stage: Stage) -> Outcome {
    println!("\n=== {stage}");
    let start = Instant::now();
    let result = stage.run(workspace);
    if let Err(error) = &result {
        println!("{stage} failed: {error:#}");
    }
    let (failed, left_out) = (result.is_err(), result.ok().flatten());
    Outcome { stage, failed, left_out, took: start.elapsed() }
}

fn table(outcomes: &[Outcome]) -> String {
    let row = |name: &str, result: &str, took: Duration, left_out: Option<&str>| {
        let note = left_out.map(|note| format!("  {note}")).unwrap_or_default();
        format!("{name:12} {result:7} {:>8.1} s{note}\n", took.as_secs_f64())
    };
    let mut text = format!("{:12} {:7} {:>10}\n", "stage", "result", "time");
    for outcome in outcomes {
        let result = match (outcome.failed, &outcome.left_out) {
            (true, _) => "FAILED",
            (false, None) => "ok",
            (false, Some(_)) => "partly",
        };
        text.push_str(&row(&outcome.stage.to_string(), result, outcome.took, outcome.left_out.as_deref()));
    }
    text.push_str(&row("total", "", outcomes.iter().map(|outcome| outcome.took).sum(), None));
    text
}

impl Stage {
    fn purpose(self) -> &'static str {
        match self {
            Self::Fmt => "the formatting of rustfmt",
            Self::Tidy => "the house rules that a program can check",
            Self::Protocol => "the services can still be spoken with as before",
            Self::Chart => "the chart: lint, what it renders to, its rights, and what follows from it",
            Self::Clippy => "clippy with the house lints, warnings denied",
            Self::Test => "every test of the workspace",
            Self::Sim => "a share of the simulator's seeds, crashes and planted mistakes",
            Self::Faults => "a few kills, stops and cuts of real worker processes",
            Self::E2e => "a share of what is done on a real Kubernetes",
            Self::Bench => "the smallest run of every shape that the benchmark measures",
            Self::Generated => "generated parts of documents are fresh",
            Self::Quickstart => "the quickstart, with the real model",
            Self::Docs => "the rustdoc of our crates, warnings denied",
            Self::Deny => "licences, bans, sources and advisories of dependencies",
        }
    }

    fn exists(self, workspace: &Workspace) -> bool {
        self != Self::Sim || workspace.has_binary(SIMULATOR)
    }

    /// Runs it; what of it could not be checked here.
    fn run(self, workspace: &Workspace) -> Result<Option<String>> {
        let cargo = |arguments: &[&str]| {
            let mut command = cargo();
            command.current_dir(&workspace.root).args(arguments);
            command
        };
        let checked = match self {
            Self::Fmt => run_process(&mut cargo(&["fmt", "--all", "--check"])),
            Self::Tidy => tidy::run(workspace),
            Self::Protocol => protocol::check(workspace),
            Self::Chart => return Ok(chart::check(workspace)?.map(str::to_owned)),
            Self::Clippy => run_process(&mut cargo(&[
                "clippy",
                "--workspace",
                "--all-targets",
                "--locked",
                "--",
                "-D",
                "warnings",
            ])),
            Self::Test => return test(workspace),
            Self::Sim => sim::share(workspace),
            Self::Faults => faults::share(workspace),
            Self::E2e => return Ok(e2e::share(workspace)?.map(str::to_owned)),
            Self::Bench => smoke(workspace),
            Self::Generated => {
                generate::run(workspace, &generate::Arguments { check: true, break_protocol: false })
            }
            Self::Quickstart => quickstart::run(workspace, &quickstart_arguments(workspace)),
            Self::Docs => run_process(
                cargo(&["doc", "--workspace", "--no-deps", "--locked"]).env("RUSTDOCFLAGS", "-D warnings"),
            ),
            Self::Deny => return Ok(deny::check(workspace)?.map(str::to_owned)),
        };
        checked.map(|()| None)
    }
}

/// Runs every test; what of them was skipped.
///
/// With its variable set, a test that needs a model or a server fails without it, and does not skip.
fn test(workspace: &Workspace) -> Result<Option<String>> {
    let server = gateway::obtain(workspace);
    let mut tests = cargo();
    tests
        .current_dir(&workspace.root)
        .args(["test", "--workspace", "--locked"])
        .env("SUPERSTEP_TEST_MODELS", model::obtain_for_tests()?);
    if let Some(server) = &server {
        tests.env("SUPERSTEP_TEST_VERSITYGW", server);
    }
    let api_server = testbed::program(workspace, "kube-apiserver").ok();
    if let Some(folder) = api_server.as_ref().and_then(|program| program.parent()) {
        tests.env("SUPERSTEP_TEST_CONTROL_PLANE", folder);
    }
    run_process(&mut tests)?;
    let missing = [
        (server.is_none(), "no S3 server"),
        (api_server.is_none(), "no API server"),
        (env::var_os(GRAPHALYTICS).is_none(), "no example graphs of LDBC Graphalytics"),
    ];
    let missing: Vec<&str> = missing.into_iter().filter_map(|(is, what)| is.then_some(what)).collect();
    Ok(Some(missing.join(", ")).filter(|missing| !missing.is_empty()))
}

/// Runs what the benchmark measures, without measuring it: each shape checks that it did its work.
fn smoke(workspace: &Workspace) -> Result<()> {
    let build = ["build", "--workspace", "--all-targets", "--locked", "--quiet"];
    run_process(cargo().current_dir(&workspace.root).args(build))?;
    let examples = workspace.target.join("debug/examples");
    BENCHES.iter().try_for_each(|bench| run_process(Command::new(examples.join(bench)).arg("--smoke")))
}

fn quickstart_arguments(workspace: &Workspace) -> quickstart::Arguments {
    quickstart::Arguments {
        model: None,
        profile: Profile::Dev,
        state: Some(workspace.target.join("quickstart/state")),
        extra: Vec::new(),
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::Fmt => "fmt",
            Self::Tidy => "tidy",
            Self::Protocol => "protocol",
            Self::Chart => "chart",
            Self::Clippy => "clippy",
            Self::Test => "test",
            Self::Sim => "sim",
            Self::Faults => "faults",
            Self::E2e => "e2e",
            Self::Bench => "bench",
            Self::Generated => "generated",
            Self::Quickstart => "quickstart",
            Self::Docs => "docs",
            Self::Deny => "deny",
        };
        f.pad(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_shows_each_stage_and_the_total() {
        let outcome = |stage, failed, seconds, left_out| Outcome {
            stage,
            failed,
            left_out,
            took: Duration::from_secs(seconds),
        };
        let outcomes = [
            outcome(Stage::Fmt, false, 1, None),
            outcome(Stage::Test, true, 90, None),
            outcome(Stage::Deny, false, 2, Some("half of it".to_owned())),
        ];
        let text = table(&outcomes);
        let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines[1], ["fmt", "ok", "1.0", "s"]);
        assert_eq!(lines[2], ["test", "FAILED", "90.0", "s"]);
        assert_eq!(lines[3], ["deny", "partly", "2.0", "s", "half", "of", "it"]);
        assert_eq!(lines[4], ["total", "93.0", "s"]);
    }

    #[test]
    fn names_are_the_ones_that_only_takes() {
        for stage in Stage::value_variants() {
            assert_eq!(Stage::from_str(&stage.to_string(), false), Ok(*stage));
        }
    }
}
