//! `cargo xtask fuzz`: runs the targets of `fuzz/` with libFuzzer, on the stable compiler.

use crate::process::{cargo, run as run_process};
use crate::workspace::Workspace;
use anyhow::{Context, Result, bail};
use clap::Args;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Folder of the targets, relative to the root; a workspace of its own.
const FOLDER: &str = "fuzz";

/// What ends an input that waits without end, in seconds of a machine that may be very busy. Each target itself fails
/// where it computes for more than a second.
const PATIENCE: u32 = 600;

/// How many of the last lines are shown of a target that failed.
const SHOWN_LINES: usize = 40;

/// Options of `cargo xtask fuzz`.
#[derive(Args)]
pub(crate) struct Arguments {
    /// How long each target is fuzzed; 20 in a nightly run.
    #[arg(long, value_name = "N", default_value_t = 2)]
    minutes: u32,
    /// Only this target.
    #[arg(long, value_name = "NAME")]
    target: Option<String>,
}

/// What fuzzing one target came to.
#[derive(Debug, Default, PartialEq, Eq)]
struct Outcome {
    executions: u64,
    /// Branches that were taken, of all that are counted.
    covered: u64,
    counted: u64,
    /// Inputs that are kept because each takes a branch that no other takes.
    corpus: u64,
}

/// Builds the targets, makes the inputs that they begin with, and runs one after the other.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    let fuzz = Fuzz { root: workspace.root.clone(), build: workspace.target.join("fuzz") };
    let all = targets(&fuzz.root)?;
    let chosen: Vec<&String> = all
        .iter()
        .filter(|target| arguments.target.as_ref().is_none_or(|wanted| wanted == *target))
        .collect();
    if chosen.is_empty() {
        bail!("there is no such target; there are {}", all.join(", "));
    }
    fuzz.compile()?;
    let mut seeds = Command::new(fuzz.binary("seeds"));
    run_process(seeds.env("SUPERSTEP_SEEDS_ROOT", &fuzz.root).env("SUPERSTEP_SEEDS_CORPUS", fuzz.corpus()))?;
    let mut failed = BTreeMap::new();
    let mut table = String::new();
    for target in chosen {
        let (outcome, found) = fuzz.target(target, arguments.minutes)?;
        table.push_str(&row(target, &outcome, found.len()));
        if !found.is_empty() {
            failed.insert(target, found);
        }
    }
    print!("\n{table}");
    for (target, inputs) in &failed {
        for input in inputs {
            println!("{target}: {}", input.display());
        }
    }
    if !failed.is_empty() {
        bail!(
            "crashes found; run target/fuzz/debug/TARGET INPUT, and keep the input in {FOLDER}/regressions/TARGET"
        );
    }
    Ok(())
}

/// The names of the targets.
fn targets(root: &Path) -> Result<Vec<String>> {
    let folder = root.join(FOLDER).join("fuzz_targets");
    let entries = fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut names = Vec::new();
    for entry in entries {
        let path = entry?.path();
        names.extend(path.file_stem().map(|name| name.to_string_lossy().into_owned()));
    }
    names.sort();
    Ok(names)
}

fn row(target: &str, outcome: &Outcome, crashes: usize) -> String {
    let Outcome { executions, covered, counted, corpus } = outcome;
    format!(
        "{target:12} {covered:>6} of {counted:>6} branches, {corpus:>5} inputs kept; crashes {crashes} of {executions} executions\n"
    )
}

struct Fuzz {
    root: PathBuf,
    /// Where everything is built and kept.
    build: PathBuf,
}

impl Fuzz {
    fn binary(&self, name: &str) -> PathBuf {
        self.build.join("debug").join(name)
    }

    fn corpus(&self) -> PathBuf {
        self.build.join("corpus")
    }

    fn compile(&self) -> Result<()> {
        let folder = self.root.join(FOLDER);
        let mut command = cargo();
        command.current_dir(&folder).args(["build", "--locked", "--bins", "--target-dir"]).arg(&self.build);
        run_process(command.env("RUSTC_WRAPPER", folder.join("instrument.sh")))
    }

    /// Fuzzes a target, and gives the inputs that it failed on; it ends at the first.
    fn target(&self, name: &str, minutes: u32) -> Result<(Outcome, Vec<PathBuf>)> {
        let corpus = self.corpus().join(name);
        let known = self.root.join(FOLDER).join("regressions").join(name);
        let artifacts = self.build.join("artifacts").join(name);
        for folder in [&corpus, &artifacts] {
            fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        }
        for old in inputs(&artifacts)? {
            fs::remove_file(&old).with_context(|| format!("cannot remove {}", old.display()))?;
        }
        let mut command = Command::new(self.binary(name));
        command.arg(&corpus);
        if known.is_dir() {
            command.arg(&known);
        }
        command.args([
            format!("-max_total_time={}", minutes * 60),
            format!("-timeout={PATIENCE}"),
            format!("-report_slow_units={PATIENCE}"),
            format!("-artifact_prefix={}/", artifacts.display()),
            "-print_final_stats=1".to_owned(),
            "-rss_limit_mb=4096".to_owned(),
        ]);
        println!(
            "fuzzing {name} for {}",
            if minutes == 1 { "a minute".to_owned() } else { format!("{minutes} minutes") }
        );
        let output = command.stdin(Stdio::null()).stdout(Stdio::null()).output();
        let output = output.with_context(|| format!("cannot start {name}; was it built?"))?;
        let told = String::from_utf8_lossy(&output.stderr);
        let found = inputs(&artifacts)?;
        if !output.status.success() {
            let lines: Vec<&str> = told.lines().collect();
            println!("{}", lines[lines.len().saturating_sub(SHOWN_LINES)..].join("\n"));
            if found.is_empty() {
                bail!("{name} ended ({}) and left no input", output.status);
            }
        }
        Ok((read(&told), found))
    }
}

fn inputs(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

/// What libFuzzer told of itself.
fn read(told: &str) -> Outcome {
    let mut outcome = Outcome::default();
    for line in told.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        if let Some((_, counters)) = line.split_once("INFO: Loaded 1 modules") {
            outcome.counted = first_number(counters).unwrap_or_default();
        }
        if let Some(executions) = line.strip_prefix("stat::number_of_executed_units:") {
            outcome.executions = executions.trim().parse().unwrap_or_default();
        }
        if line.starts_with('#') {
            let after =
                |name: &str| words.iter().position(|word| *word == name).and_then(|at| words.get(at + 1));
            let number = |word: Option<&&str>| word.and_then(|word| first_number(word));
            outcome.covered = number(after("cov:")).unwrap_or(outcome.covered);
            outcome.corpus = number(after("corp:")).unwrap_or(outcome.corpus);
        }
    }
    outcome
}

/// The number with which a text begins, apart from what is no digit before it.
fn first_number(text: &str) -> Option<u64> {
    let digits = text.trim_start_matches(|letter: char| !letter.is_ascii_digit());
    let end = digits.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(digits.len());
    digits[..end].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_libfuzzer_tells_is_read() {
        let told = "INFO: Seed: 1\nINFO: Loaded 1 modules   (4321 inline 8-bit counters): 4321 [0x1, 0x2), \n\
                    #2\tINITED cov: 7 ft: 9 corp: 1/1b exec/s: 0 rss: 30Mb\n\
                    #4096\tpulse  cov: 812 ft: 3000 corp: 55/2Kb lim: 43 exec/s: 2048 rss: 80Mb\n\
                    stat::number_of_executed_units: 5000\nstat::peak_rss_mb: 90\n";
        let expected = Outcome { executions: 5_000, covered: 812, counted: 4_321, corpus: 55 };
        assert_eq!(read(told), expected);
        assert_eq!(read(""), Outcome::default());
    }
}
