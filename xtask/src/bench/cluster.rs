//! Groups of worker processes, beside bare gRPC in the same run.

use super::example;
use crate::process::capture;
use crate::workspace::Workspace;
use anyhow::{Context, Result};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

/// The part of the benchmark that this is.
pub(super) const PART: &str = "cluster";

/// What is measured: its name, the arguments, and which figure counts.
const SHAPES: [(&str, &str, &str); 10] = [
    ("round-trip", "--shape round-trip", "p50_us"),
    ("packed", "--shape packed", "million_per_s"),
    ("barrier", "--shape barrier", "superstep_us"),
    ("barrier on disk", "--shape barrier --store target", "superstep_us"),
    ("slow", "--shape slow", "superstep_us"),
    ("slow on disk", "--shape slow --store target", "superstep_us"),
    ("messages", "--shape messages --n 100", "million_per_s"),
    ("typed", "--shape typed", "million_per_s"),
    ("calls", "--shape calls", "over_ideal"),
    ("one worker", "--shape algorithm --workers 1", "wall_s"),
];
/// Beside the last one.
const TWO: (&str, &str, &str) = ("two workers", "--shape algorithm --workers 2", "wall_s");

/// Measures every shape once in each round, and gives the medians as a table.
pub(super) fn run(workspace: &Workspace, rounds: u32) -> Result<String> {
    let program = example(workspace, &["superstep-worker", "--no-default-features"], "cluster")
        .context("the example cannot be built")?;
    let mut samples: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for round in 1..=rounds {
        eprintln!("groups of workers: round {round} of {rounds}");
        for (name, arguments, key) in SHAPES.into_iter().chain([TWO]) {
            samples.entry(name).or_default().push(sample(workspace, &program, arguments, key)?);
        }
    }
    Ok(table(&samples.into_iter().map(|(name, samples)| (name, median(samples))).collect()))
}

fn sample(workspace: &Workspace, program: &Path, arguments: &str, key: &str) -> Result<f64> {
    let mut command = Command::new(program);
    command.current_dir(&workspace.root).args(arguments.split(' '));
    let line = capture(&mut command)?;
    let measured: Value =
        serde_json::from_str(line.trim()).with_context(|| format!("{arguments}: {line}"))?;
    measured[key].as_f64().with_context(|| format!("{arguments} told no {key}: {line}"))
}

fn median(mut samples: Vec<f64>) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples.get(samples.len() / 2).copied().unwrap_or(f64::NAN)
}

fn table(medians: &BTreeMap<&str, f64>) -> String {
    let of = |name: &str| medians.get(name).copied().unwrap_or(f64::NAN);
    let share = |name: &str, other: &str| (of(name) / of(other) - 1.0) * 100.0;
    let more = |name: &str, other: &str| (of(name) - of(other)) / 1e3;
    let rows = [
        ("a message and its answer over a bare stream, p50", format!("{:.0} µs", of("round-trip"))),
        (
            "a superstep of vertices that do nothing, on 3 workers, in memory",
            format!("{:.0} µs, {:.1} round trips", of("barrier"), of("barrier") / of("round-trip")),
        ),
        (
            "what a disk adds to it",
            format!(
                "{:.2} ms, {:.0} %",
                more("barrier on disk", "barrier"),
                share("barrier on disk", "barrier")
            ),
        ),
        (
            "what a disk adds to a superstep with a call of 200 ms",
            format!("{:.2} ms, {:.1} %", more("slow on disk", "slow"), share("slow on disk", "slow")),
        ),
        ("bare batches of 100-byte messages", format!("{:.1} million messages per second", of("packed"))),
        (
            "100-byte messages between vertices of 2 workers",
            format!("{:.2} million per second", of("messages")),
        ),
        (
            "typed messages of 16 bytes between 2 processes, both ways together",
            format!("{:.1} million per second", of("typed")),
        ),
        ("1,000 calls of 200 ms at once, on 4 workers", format!("{:.2} × 200 ms", of("calls"))),
        (
            "8 graph algorithms on 2 workers of one core each, against 1",
            format!("{:.2} times as fast", of("one worker") / of("two workers")),
        ),
    ];
    let lines = rows.map(|(what, figure)| format!("| {what} | {figure} |\n"));
    format!("| groups of workers | median |\n|---|---:|\n{}", lines.concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_of_the_same_run() {
        let medians = BTreeMap::from([
            ("round-trip", 50.0),
            ("barrier", 300.0),
            ("barrier on disk", 900.0),
            ("slow", 200_000.0),
            ("slow on disk", 201_000.0),
            ("one worker", 3.0),
            ("two workers", 2.0),
        ]);
        let table = table(&medians);
        for expected in ["300 µs, 6.0 round trips", "0.60 ms, 200 %", "1.00 ms, 0.5 %", "1.50 times as fast"]
        {
            assert!(table.contains(expected), "{expected}: {table}");
        }
        assert!((median(vec![3.0, 1.0, 2.0]) - 2.0).abs() < f64::EPSILON);
    }
}
