//! `superstep runs gc`: runs that nobody needs are removed, and kept results that are too old.

use std::io;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use superstep_engine::Record;
use superstep_runtime::{RunPhase, RunSummary, list_runs};
use superstep_store::{Store, StoreError, Swept as SweptResults};

use super::phase_text;
use crate::args::runs::SweepArgs;
use crate::exit::{CommandError, Exit, count};
use crate::kept;
use crate::log;
use crate::output::{self, OutputFormat};
use crate::run::open_store;

/// Removes runs, and tells which and what that freed.
///
/// # Errors
/// The store cannot be read, a run cannot be removed, or stdout cannot be written to.
pub(super) fn sweep(args: &SweepArgs) -> Result<Exit, CommandError> {
    let store = open_store(&args.store)?;
    let runs = list_runs(&store)?;
    let chosen = choose(&runs, args, SystemTime::now());
    let mut swept = Swept::default();
    for run in chosen {
        let outcome = if args.dry_run { Outcome::WouldRemove } else { remove(&store, run) };
        swept.add(run, &outcome);
    }
    let kept =
        if args.dry_run { SweptResults::default() } else { kept::sweep(&args.store, SystemTime::now())? };
    let report = json!({"runs": swept.rows, "removed": swept.removed, "freedBytes": swept.bytes + kept.bytes,
        "keptResults": kept.results, "dryRun": args.dry_run});
    let mut stdout = io::stdout().lock();
    match args.output {
        OutputFormat::Table if swept.rows.is_empty() => {}
        OutputFormat::Table => output::write(&report["runs"], args.output, &mut stdout)?,
        OutputFormat::Json | OutputFormat::Yaml => output::write(&report, args.output, &mut stdout)?,
    }
    let done = if args.dry_run { "would remove" } else { "removed" };
    let (runs, bytes) = (count(swept.removed, "run"), size(swept.bytes));
    log::say(&format!("{done} {runs}, {bytes}"));
    swept.failed.map_or(Ok(Exit::Success), Err)
}

/// The runs that are to go, of all, which stand the newest first.
fn choose<'a>(runs: &'a [RunSummary], args: &SweepArgs, now: SystemTime) -> Vec<&'a RunSummary> {
    let may_go = |run: &&RunSummary| match run.phase {
        RunPhase::Ended(_) => true,
        RunPhase::Unfinished | RunPhase::Unreadable(_) => args.all,
    };
    // A clock that was set back makes no run old.
    let age = |run: &RunSummary| now.duration_since(run.modified).unwrap_or(Duration::ZERO);
    let candidates = runs.iter().filter(may_go).skip(args.keep.unwrap_or(0));
    candidates.filter(|run| args.older_than.is_none_or(|least| age(run) >= least)).collect()
}

enum Outcome {
    Removed,
    WouldRemove,
    /// Another process has it open, or has removed it.
    Left(StoreError),
    Failed(StoreError),
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
        };
        match outcome {
            Outcome::Removed | Outcome::WouldRemove => {
                self.removed += 1;
                self.bytes += run.bytes;
            }
            Outcome::Left(_) => {}
            Outcome::Failed(_) => {
                self.failed.get_or_insert(CommandError::NotRemoved { run: run.name.clone() });
            }
        }
        self.rows.push(json!({
            "run": run.name.as_str(),
            "graph": run.graph,
            "status": phase_text(run),
            "bytes": run.bytes,
            "outcome": told,
        }));
    }
}

/// Bytes in the unit that people read.
fn size(bytes: u64) -> String {
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
    use superstep_engine::{RunStatus, Usage};

    use super::*;
    use crate::args::runs::Store as StoreArgs;

    fn run(name: &str, phase: RunPhase, age: u64) -> RunSummary {
        RunSummary {
            name: name.parse().unwrap(),
            graph: "g".to_owned(),
            phase,
            driven: false,
            started_at: 0,
            supersteps: 1,
            usage: Usage::default(),
            bytes: 1,
            modified: SystemTime::UNIX_EPOCH + Duration::from_secs(1_000 - age),
        }
    }

    #[test]
    fn unfinished_runs_stay_and_both_limits_protect() {
        let ended = || RunPhase::Ended(RunStatus::Succeeded);
        let runs = [
            run("new", ended(), 0),
            run("working", RunPhase::Unfinished, 5),
            run("middle", ended(), 10),
            run("broken", RunPhase::Unreadable("corrupt".to_owned()), 15),
            run("old", ended(), 20),
        ];
        for (keep, older_than, all, expected) in [
            (Some(0), None, false, &["new", "middle", "old"][..]),
            (Some(1), None, false, &["middle", "old"]),
            (Some(9), None, false, &[]),
            (None, Some(10), false, &["middle", "old"]),
            (Some(2), Some(0), false, &["old"]),
            (Some(1), Some(11), false, &["old"]),
            (Some(0), None, true, &["new", "working", "middle", "broken", "old"]),
            (Some(1), Some(15), true, &["broken", "old"]),
        ] {
            let args = SweepArgs {
                keep,
                older_than: older_than.map(Duration::from_secs),
                all,
                dry_run: false,
                store: StoreArgs { folder: None },
                output: OutputFormat::Json,
            };
            let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000);
            let chosen: Vec<&str> = choose(&runs, &args, now).iter().map(|run| run.name.as_str()).collect();
            assert_eq!(chosen, expected, "{keep:?} {older_than:?} {all}");
        }
    }

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
