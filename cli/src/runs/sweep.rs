//! `superstep runs gc`: runs that nobody needs are removed, older supersteps of others, and kept results that are too
//! old.

mod shorten;

use std::io;
use std::time::SystemTime;

use serde_json::{Value, json};
use superstep_engine::Record;
use superstep_provision::with_causes;
use superstep_runtime::{Retention, RunSummary, list_runs};
use superstep_store::{Store, StoreError, Swept as SweptResults};

use super::phase_text;
use crate::args::runs::SweepArgs;
use crate::exit::{CommandError, Exit, count};
use crate::kept;
use crate::log;
use crate::output::{self, OutputFormat};
use crate::run::open_store;

/// Removes runs and older supersteps of runs, and tells of which and what that freed.
///
/// # Errors
/// The store cannot be read, a run cannot be removed or shortened, or stdout cannot be written to.
pub(super) fn sweep(args: &SweepArgs) -> Result<Exit, CommandError> {
    let store = open_store(&args.store)?;
    let runs = list_runs(&store)?;
    let retention = Retention { newest: args.keep, age: args.older_than, unfinished: args.all };
    // A retention without limits would let every run go.
    let removes = args.keep.is_some() || args.older_than.is_some();
    let chosen = if removes { retention.lets_go(&runs, SystemTime::now()) } else { Vec::new() };
    let stays = |run: &&RunSummary| !chosen.iter().any(|gone| gone.name == run.name);
    let staying: Vec<&RunSummary> = runs.iter().filter(stays).collect();
    let mut swept = Swept::default();
    for run in chosen {
        let outcome = if args.dry_run { Outcome::WouldRemove } else { remove(&store, run) };
        swept.add(run, &outcome);
    }
    if let Some(keep) = args.keep_supersteps {
        for run in staying {
            if let Some(outcome) = shorten::older_supersteps(&store, run, keep, args.dry_run) {
                swept.add(run, &outcome);
            }
        }
    }
    let kept =
        if args.dry_run { SweptResults::default() } else { kept::sweep(&args.store, SystemTime::now())? };
    let report = json!({"runs": swept.rows, "removed": swept.removed, "shortened": swept.shortened, "freedBytes": swept.bytes + kept.bytes,
        "keptResults": kept.results, "dryRun": args.dry_run});
    let mut stdout = io::stdout().lock();
    match args.output {
        OutputFormat::Table if swept.rows.is_empty() => {}
        OutputFormat::Table => output::write(&report["runs"], args.output, &mut stdout)?,
        OutputFormat::Json | OutputFormat::Yaml => output::write(&report, args.output, &mut stdout)?,
    }
    let done = if args.dry_run { "would remove" } else { "removed" };
    let (runs, bytes) = (count(swept.removed, "run"), size(swept.bytes));
    let shortened = match (args.keep_supersteps, args.dry_run) {
        (None, _) => String::new(),
        (Some(_), true) => format!(", and shorten {}", count(swept.shortened, "run")),
        (Some(_), false) => format!(", and shortened {}", count(swept.shortened, "run")),
    };
    log::say(&format!("{done} {runs}{shortened}, {bytes}"));
    swept.failed.map_or(Ok(Exit::Success), Err)
}

enum Outcome {
    Removed,
    WouldRemove,
    /// Its older supersteps are gone.
    Shortened {
        before: u64,
        after: u64,
    },
    WouldShorten {
        supersteps: u64,
    },
    /// Another process has it open, or has removed it.
    Left(StoreError),
    Failed(StoreError),
    NotShortened(CommandError),
}

fn remove(store: &Store<Record>, run: &RunSummary) -> Outcome {
    match store.remove(&run.name) {
        Ok(()) => Outcome::Removed,
        Err(error @ (StoreError::Locked { .. } | StoreError::NotFound { .. })) => Outcome::Left(error),
        Err(error) => Outcome::Failed(error),
    }
}

#[derive(Default)]
struct Swept {
    rows: Vec<Value>,
    removed: usize,
    shortened: usize,
    bytes: u64,
    /// The first failure.
    failed: Option<CommandError>,
}

impl Swept {
    fn add(&mut self, run: &RunSummary, outcome: &Outcome) {
        let told = match outcome {
            Outcome::Removed => "removed".to_owned(),
            Outcome::WouldRemove => "would be removed".to_owned(),
            Outcome::Left(why) => format!("left: {why}"),
            Outcome::Failed(why) => format!("failed: {why}"),
            Outcome::Shortened { after, .. } => format!("shortened to {}", size(*after)),
            Outcome::WouldShorten { supersteps } => format!("would lose its first {supersteps} supersteps"),
            Outcome::NotShortened(why) => format!("failed: {}", with_causes(why)),
        };
        match outcome {
            Outcome::Removed | Outcome::WouldRemove => {
                self.removed += 1;
                self.bytes += run.bytes;
            }
            Outcome::Shortened { before, after } => {
                self.shortened += 1;
                self.bytes += before.saturating_sub(*after);
            }
            Outcome::WouldShorten { .. } => self.shortened += 1,
            Outcome::Left(_) => {}
            Outcome::Failed(_) | Outcome::NotShortened(_) => {
                self.failed.get_or_insert(CommandError::NotRemoved { run: run.name.clone() });
            }
        }
        self.rows.push(json!({
            "run": run.name.as_str(),
            "graph": run.graph,
            "status": phase_text(&run.phase, run.driven),
            "bytes": run.bytes,
            "outcome": told,
        }));
    }
}

/// Bytes in the unit that people read.
pub(crate) fn size(bytes: u64) -> String {
    let mut size = bytes as f64;
    let mut units = ["bytes", "KiB", "MiB", "GiB"].into_iter();
    let mut unit = units.next().unwrap_or_default();
    for next in units {
        if size < 1024.0 {
            break;
        }
        (size, unit) = (size / 1024.0, next);
    }
    if unit == "bytes" { format!("{bytes} bytes") } else { format!("{size:.1} {unit}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_a_unit() {
        for (bytes, expected) in [
            (0, "0 bytes"),
            (1_023, "1023 bytes"),
            (1_536, "1.5 KiB"),
            (3 << 30, "3.0 GiB"),
            (5 << 42, "20480.0 GiB"),
        ] {
            assert_eq!(size(bytes), expected);
        }
    }
}
