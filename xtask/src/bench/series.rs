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

/// A series that has taken this long is not measured again in later rounds.
const ENOUGH: Duration = Duration::from_secs(45);

/// What the figures of a series are divided by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    Superstep,
    Activation,
    /// One whole run.
    Run,
    /// A message that was delivered.
    Message,
    /// An edge that a message can take, in each superstep of it.
    Edge,
    /// A run whose critical path takes a second.
    Path,
    /// Tokens per second: more is better, and nothing is divided, as of all that follows.
    Tokens,
    /// The load of a model.
    Load,
    /// The wait of a client for the first text.
    FirstText,
    /// Calls at once, against the same one after another.
    Together,
    /// Sentences per second.
    Sentences,
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
    /// How long measuring it took so far.
    pub(super) spent: Duration,
    /// Whether it did not end in time, which it would not in another round either.
    pub(super) too_slow: bool,
    /// How many times the limit of a measurement it may take.
    pub(super) limits: u32,
}

impl Series {
    /// A series without a sample, of a program that could be built or installed, or not.
    pub(super) fn new(
        row: &'static str,
        peer: &'static str,
        unit: Unit,
        program: Option<PathBuf>,
        arguments: Vec<String>,
    ) -> Self {
        let (samples, errors, spent, too_slow) = (Vec::new(), Vec::new(), Duration::ZERO, false);
        let limits = 1;
        Self { row, peer, unit, program, arguments, samples, errors, spent, too_slow, limits }
    }

    /// The same, which may take so many times as long as others.
    pub(super) fn patient(self, limits: u32) -> Self {
        Self { limits, ..self }
    }

    /// Runs the program once and keeps the sample or the error, unless it has had its time.
    pub(super) fn measure(&mut self, scratch: &Path, limit: Duration) {
        let Some(program) = &self.program else { return };
        if self.too_slow || self.spent >= ENOUGH {
            return;
        }
        let (start, limit) = (Instant::now(), limit * self.limits);
        match sample(program, &self.arguments, scratch, limit) {
            Ok(sample) => self.samples.push(sample),
            Err(error) => {
                eprintln!("{}, {}: {error:#}", self.row, self.peer);
                self.too_slow = start.elapsed() > limit;
                self.errors.push(format!("{error:#}"));
            }
        }
        self.spent += start.elapsed();
    }

    /// The median of a figure over the rounds, or nothing without a sample.
    pub(super) fn median(&self, key: &str) -> Option<f64> {
        let figures = self.samples.iter().filter_map(|sample| self.figure(sample, key));
        median(figures.collect())
    }

    fn figure(&self, sample: &Value, key: &str) -> Option<f64> {
        let figure = |key: &str| sample.get(key).and_then(Value::as_f64);
        let units = match self.unit {
            Unit::Superstep => figure("supersteps"),
            Unit::Activation => figure("activations"),
            Unit::Message => figure("messages"),
            Unit::Edge => figure("edges"),
            Unit::Run
            | Unit::Path
            | Unit::Tokens
            | Unit::Load
            | Unit::FirstText
            | Unit::Together
            | Unit::Sentences => Some(1.0),
        };
        match key {
            "cpu_us" => Some(figure("cpu_s")? / units? * 1e6),
            "wall_us" => Some(figure("wall_s")? / units? * 1e6),
            "stored_bytes" | "grown_bytes" => Some(figure(key)? / units?),
            "million_edges_per_cpu_s" => Some(figure("walked_edges")? / figure("cpu_s")? / 1e6),
            "million_edges_per_s" => Some(figure("walked_edges")? / figure("wall_s")? / 1e6),
            "over_path" => Some((figure("wall_s")? - 1.0) * 100.0),
            "syncs" => Some(figure(key)? / units?),
            _ => figure(key),
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
        Series { samples, ..Series::new("row", "peer", unit, Some("sh".into()), Vec::new()) }
    }

    #[test]
    fn medians() {
        assert_eq!(median(vec![]), None);
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), Some(2.5));
    }

    #[test]
    fn figures_are_divided_by_the_unit() {
        let sample = json!({
            "cpu_s": 2.0, "wall_s": 1.25, "activations": 1000, "supersteps": 4, "messages": 10, "stored_bytes": 100,
        });
        for (unit, cpu, stored) in [
            (Unit::Superstep, 500_000.0, 25.0),
            (Unit::Activation, 2_000.0, 0.1),
            (Unit::Message, 200_000.0, 10.0),
            (Unit::Run, 2_000_000.0, 100.0),
        ] {
            let series = series(unit, vec![sample.clone()]);
            assert_eq!((series.median("cpu_us"), series.median("stored_bytes")), (Some(cpu), Some(stored)));
        }
        let walk =
            json!({"cpu_s": 0.5, "wall_s": 2.0, "walked_edges": 20e6, "edges": 1e6, "grown_bytes": 12e6});
        let walk = series(Unit::Edge, vec![walk]);
        assert_eq!(walk.median("million_edges_per_cpu_s"), Some(40.0));
        assert_eq!(walk.median("million_edges_per_s"), Some(10.0));
        assert_eq!(walk.median("grown_bytes"), Some(12.0));
        assert_eq!(series(Unit::Path, vec![sample]).median("over_path"), Some(25.0));
        assert_eq!(series(Unit::Tokens, vec![json!({"tg": 5})]).median("tg"), Some(5.0));
    }

    #[test]
    fn a_round_keeps_a_sample_or_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let mut one = series(Unit::Tokens, Vec::new());
        // What ends by itself has all the time that a machine with other work may take.
        for (script, limit) in [
            ("echo '{\"tg\": 1}'", 120_000),
            ("echo lost >&2; exit 2", 120_000),
            ("echo nothing", 120_000),
            ("sleep 9", 300),
            ("echo '{}'", 120_000),
        ] {
            one.arguments = vec!["-c".to_owned(), script.to_owned()];
            one.measure(folder.path(), Duration::from_millis(limit));
        }
        assert_eq!(one.samples, [json!({"tg": 1})]);
        assert_eq!(one.errors.len(), 3);
        assert!(one.errors[0].contains("lost"), "{:?}", one.errors);
        assert!(one.too_slow, "what did not end in time is not tried again");
    }
}
