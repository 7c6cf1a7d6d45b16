//! One line of the table: a program that is started once a round and prints what it measured as JSON.

use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How often a running measurement is looked at; a rare look takes no time from it.
const LOOK: Duration = Duration::from_millis(50);

/// What the figures of a series are divided by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    Superstep,
    Activation,
    /// Tokens per second: more is better, and nothing is divided.
    Tokens,
}

/// A program, the row that it belongs to, and its samples.
pub(super) struct Series {
    pub(super) row: &'static str,
    pub(super) peer: &'static str,
    pub(super) unit: Unit,
    /// Nothing when it could not be built or installed.
    pub(super) program: Option<PathBuf>,
    pub(super) arguments: Vec<String>,
    pub(super) samples: Vec<Value>,
    pub(super) errors: Vec<String>,
}

impl Series {
    /// Runs the program once and keeps the sample or the error.
    pub(super) fn measure(&mut self, scratch: &Path, limit: Duration) {
        let Some(program) = &self.program else { return };
        match sample(program, &self.arguments, scratch, limit) {
            Ok(sample) => self.samples.push(sample),
            Err(error) => {
                eprintln!("{}, {}: {error:#}", self.row, self.peer);
                self.errors.push(format!("{error:#}"));
            }
        }
    }

    /// The median of a figure over the rounds, or nothing without a sample.
    pub(super) fn median(&self, key: &str) -> Option<f64> {
        let figures = self.samples.iter().filter_map(|sample| self.figure(sample, key));
        median(figures.collect())
    }

    fn figure(&self, sample: &Value, key: &str) -> Option<f64> {
        let figure = |key: &str| sample.get(key).and_then(Value::as_f64);
        match (self.unit, key) {
            (Unit::Activation, "cpu_us") => Some(figure("cpu_s")? / figure("activations")? * 1e6),
            (Unit::Activation, "wall_us") => Some(figure("wall_s")? / figure("activations")? * 1e6),
            (Unit::Superstep, "cpu_us") => figure("cpu_us_per_superstep"),
            (Unit::Superstep, "wall_us") => figure("us_per_superstep"),
            (Unit::Superstep | Unit::Activation | Unit::Tokens, _) => figure(key),
        }
    }
}

/// The middle figure, or the mean of the two in the middle.
fn median(mut figures: Vec<f64>) -> Option<f64> {
    figures.sort_by(f64::total_cmp);
    let middle = figures.len() / 2;
    let upper = *figures.get(middle)?;
    if figures.len() % 2 == 1 { Some(upper) } else { Some(f64::midpoint(figures[middle - 1], upper)) }
}

/// Temporary files go to `scratch`, so that all databases and logs lie on one disk; one thread counts tokens.
fn sample(program: &Path, arguments: &[String], scratch: &Path, limit: Duration) -> Result<Value> {
    let errors = scratch.join("stderr.txt");
    let answer = scratch.join("stdout.txt");
    let mut child = Command::new(program)
        .args(arguments)
        .env("TMPDIR", scratch)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("NEOGRAPH_SUPPRESS_FANOUT_WARNING", "1")
        .env("RAYON_NUM_THREADS", "1")
        .env("CANDLE_NUM_THREADS", "1")
        .stdin(Stdio::null())
        .stdout(File::create(&answer)?)
        .stderr(File::create(&errors)?)
        .spawn()
        .with_context(|| format!("cannot start {}", program.display()))?;
    let start = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if start.elapsed() > limit {
            child.kill()?;
            child.wait()?;
            bail!("did not end within {} s", limit.as_secs());
        }
        thread::sleep(LOOK);
    };
    if !status.success() {
        let text = read(&errors)?;
        bail!("failed ({status}): {}", text.lines().last().unwrap_or("no word on stderr"));
    }
    last_object(&read(&answer)?)
}

fn read(path: &Path) -> Result<String> {
    let mut text = String::new();
    File::open(path)?.read_to_string(&mut text)?;
    Ok(text)
}

fn last_object(text: &str) -> Result<Value> {
    let line = text.lines().rev().find(|line| line.starts_with('{')).context("printed no line of JSON")?;
    serde_json::from_str(line).with_context(|| format!("printed no JSON: {line}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn series(unit: Unit, samples: Vec<Value>) -> Series {
        Series {
            row: "row",
            peer: "peer",
            unit,
            program: Some("sh".into()),
            arguments: Vec::new(),
            samples,
            errors: Vec::new(),
        }
    }

    #[test]
    fn medians() {
        assert_eq!(median(vec![]), None);
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), Some(2.5));
    }

    #[test]
    fn figures_are_divided_by_the_unit() {
        let sample = json!({"cpu_s": 2.0, "activations": 1000, "supersteps": 3, "cpu_us_per_superstep": 7.0});
        assert_eq!(series(Unit::Activation, vec![sample.clone()]).median("cpu_us"), Some(2000.0));
        assert_eq!(series(Unit::Superstep, vec![sample]).median("cpu_us"), Some(7.0));
        assert_eq!(series(Unit::Tokens, vec![json!({"tg": 5})]).median("tg"), Some(5.0));
    }

    #[test]
    fn a_round_keeps_a_sample_or_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let mut one = series(Unit::Tokens, Vec::new());
        for script in ["echo '{\"tg\": 1}'", "echo lost >&2; exit 2", "echo nothing", "sleep 9"] {
            one.arguments = vec!["-c".to_owned(), script.to_owned()];
            one.measure(folder.path(), Duration::from_millis(300));
        }
        assert_eq!(one.samples, [json!({"tg": 1})]);
        assert_eq!(one.errors.len(), 3);
        assert!(one.errors[0].contains("lost"), "{:?}", one.errors);
    }
}
