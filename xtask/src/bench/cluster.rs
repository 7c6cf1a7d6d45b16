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

/// What is measured: the arguments, and the figures that count with the names that they have here.
const SHAPES: [(&str, &[(&str, &str)]); 10] = [
    ("--shape round-trip", &[("round-trip", "p50_us")]),
    ("--shape packed", &[("packed", "million_per_s")]),
    ("--shape barrier", &[("barrier", "superstep_us"), ("barrier p50", "superstep_p50_us")]),
    ("--shape barrier --store target", &[("barrier on disk", "superstep_us")]),
    ("--shape slow", &[("slow", "superstep_us")]),
    ("--shape slow --store target", &[("slow on disk", "superstep_us")]),
    ("--shape messages --n 100", &[("messages", "million_per_s")]),
    ("--shape typed", &[("typed", "million_per_s")]),
    ("--shape calls", &[("calls", "over_ideal")]),
    ("--shape algorithm --workers 1", &[("one worker", "wall_s")]),
];
/// Beside the last one.
const TWO: (&str, &[(&str, &str)]) = ("--shape algorithm --workers 2", &[("two workers", "wall_s")]);

/// Measures every shape once in each round, and gives the medians as a table.
pub(super) fn run(workspace: &Workspace, rounds: u32) -> Result<String> {
    let program = example(workspace, &["superstep-worker", "--no-default-features"], "cluster")
        .context("the example cannot be built")?;
    let mut samples: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for round in 1..=rounds {
        eprintln!("groups of workers: round {round} of {rounds}");
        for (arguments, figures) in SHAPES.into_iter().chain([TWO]) {
            let measured = sample(workspace, &program, arguments)?;
            for (name, key) in figures {
                let figure = measured[key].as_f64();
                let figure = figure.with_context(|| format!("{arguments} told no {key}: {measured}"))?;
                samples.entry(name).or_default().push(figure);
            }
        }
    }
    Ok(table(&samples.into_iter().map(|(name, samples)| (name, median(samples))).collect()))
}

fn sample(workspace: &Workspace, program: &Path, arguments: &str) -> Result<Value> {
    let mut command = Command::new(program);
    command.current_dir(&workspace.root).args(arguments.split(' '));
    let line = capture(&mut command)?;
    serde_json::from_str(line.trim()).with_context(|| format!("{arguments}: {line}"))
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
            "the same, p50 of its supersteps",
            format!("{:.0} µs, {:.1} round trips", of("barrier p50"), of("barrier p50") / of("round-trip")),
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
            ("barrier p50", 250.0),
            ("barrier on disk", 900.0),
            ("slow", 200_000.0),
            ("slow on disk", 201_000.0),
            ("one worker", 3.0),
            ("two workers", 2.0),
        ]);
        let table = table(&medians);
        for expected in [
            "300 µs, 6.0 round trips",
            "250 µs, 5.0 round trips",
            "0.60 ms, 200 %",
            "1.00 ms, 0.5 %",
            "1.50 times as fast",
        ] {
            assert!(table.contains(expected), "{expected}: {table}");
        }
        assert!((median(vec![3.0, 1.0, 2.0]) - 2.0).abs() < f64::EPSILON);
    }
}
