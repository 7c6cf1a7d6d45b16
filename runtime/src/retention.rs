//! Which runs of a store are kept, and the removal of the others.

use std::time::{Duration, SystemTime};

use superstep_engine::Record;
use superstep_graph::{DurationSpec, RetentionSpec};
use superstep_store::{RunName, Store, StoreError};

use crate::catalogue::{RunPhase, RunSummary, list_runs};
use crate::runner::RunError;

/// Which runs are kept. A run is let go when every limit that is given lets it go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// So many of the newest are kept of those that could go.
    pub newest: Option<usize>,
    /// Those are kept that were last written to within this time.
    pub age: Option<Duration>,
    /// Whether runs could go that have not ended, and those whose logs cannot be read.
    pub unfinished: bool,
}

impl From<RetentionSpec> for Retention {
    fn from(spec: RetentionSpec) -> Self {
        let newest = spec.runs.map(|runs| usize::try_from(runs).unwrap_or(usize::MAX));
        Self { newest, age: spec.age.map(DurationSpec::duration), unfinished: false }
    }
}

impl Retention {
    /// The runs that are let go, of `runs`, which stand the newest first.
    pub fn lets_go<'a>(
        &self,
        runs: impl IntoIterator<Item = &'a RunSummary>,
        now: SystemTime,
    ) -> Vec<&'a RunSummary> {
        let may_go = |run: &&RunSummary| match run.phase {
            RunPhase::Ended(_) => true,
            RunPhase::Unfinished | RunPhase::Unreadable(_) => self.unfinished,
        };
        // A clock that was set back makes no run old.
        let age = |run: &RunSummary| now.duration_since(run.modified).unwrap_or(Duration::ZERO);
        let candidates = runs.into_iter().filter(may_go).skip(self.newest.unwrap_or(0));
        candidates.filter(|run| self.age.is_none_or(|least| age(run) >= least)).collect()
    }
}

/// A run that was to go, and whether it went.
#[derive(Debug)]
pub struct Removal {
    /// The run, as it was.
    pub run: RunSummary,
    /// Whether it is removed.
    pub outcome: Result<(), StoreError>,
}

/// Removes the runs of `graph` that its retention lets go now that its run `ended` is the newest of them, with all
/// that belongs to them; what became of each. Those that can be resumed are kept, and so is one that another
/// process has open.
///
/// # Errors
/// The store cannot be listed.
pub fn retain(
    store: &Store<Record>,
    (graph, ended): (&str, &RunName),
    retention: RetentionSpec,
) -> Result<Vec<Removal>, RunError> {
    if retention.runs.is_none() && retention.age.is_none() {
        return Ok(Vec::new());
    }
    let runs = list_runs(store)?;
    let others = runs.iter().filter(|run| run.graph == graph && run.name != *ended);
    let all = Retention::from(retention);
    let beside = Retention { newest: all.newest.map(|newest| newest.saturating_sub(1)), ..all };
    let gone = beside.lets_go(others, SystemTime::now());
    let remove = |run: &RunSummary| Removal { run: run.clone(), outcome: store.remove(&run.name) };
    Ok(gone.into_iter().map(remove).collect())
}

#[cfg(test)]
mod tests {
    use superstep_engine::{RunStatus, Usage};

    use super::*;

    fn run(name: &str, phase: RunPhase, age: u64) -> RunSummary {
        RunSummary {
            name: name.parse().unwrap(),
            graph: "g".to_owned(),
            origin: None,
            phase,
            driven: false,
            left: false,
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
        for (newest, age, unfinished, expected) in [
            (Some(0), None, false, &["new", "middle", "old"][..]),
            (Some(1), None, false, &["middle", "old"]),
            (Some(9), None, false, &[]),
            (None, Some(10), false, &["middle", "old"]),
            (Some(2), Some(0), false, &["old"]),
            (Some(1), Some(11), false, &["old"]),
            (Some(0), None, true, &["new", "working", "middle", "broken", "old"]),
            (Some(1), Some(15), true, &["broken", "old"]),
        ] {
            let retention = Retention { newest, age: age.map(Duration::from_secs), unfinished };
            let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000);
            let gone: Vec<&str> = retention.lets_go(&runs, now).iter().map(|run| run.name.as_str()).collect();
            assert_eq!(gone, expected, "{newest:?} {age:?} {unfinished}");
        }
    }
}
