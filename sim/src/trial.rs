//! One seed: its scenario, its faults, and whether the rules held.

use std::fmt;
use std::sync::Arc;

use superstep_engine::defect::Defect;
use superstep_engine::{Expressions, Fork, Record};

use crate::audit::audit;
use crate::compacted::compacted;
use crate::counters::Counters;
use crate::faults::{Faults, Sabotage};
use crate::history::History;
use crate::reference::{Prediction, covers, predict};
use crate::scenario::{RUN, Scenario};
use crate::seed::Seed;
use crate::words::Words;
use crate::world::{Ended, World};

/// What a trial has come to.
#[derive(Debug)]
pub struct Verdict {
    /// Which rule was broken, if one was.
    pub violation: Option<String>,
    /// How often what happened.
    pub counters: Counters,
    /// The hash of all that the engine wanted done, in order.
    pub trace: [u8; 32],
    /// What happened, if it was asked for.
    pub lines: Vec<String>,
    /// How many writes the run's log took.
    pub writes: u64,
    /// How many events the run took.
    pub events: u64,
}

/// A mistake that a run is made with, to see whether it is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Planted {
    /// Of the driver, the store or the model server.
    Driver(Sabotage),
    /// Of the engine. Without the feature `defects` it has none.
    Engine(Defect),
}

impl fmt::Display for Planted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Driver(sabotage) => write!(f, "{sabotage:?}"),
            Self::Engine(defect) => write!(f, "{defect:?}"),
        }
    }
}

/// Runs the scenario of a seed under its faults, with a mistake if one is planted.
pub fn run_seed(seed: Seed, planted: Option<Planted>, verbose: bool) -> Verdict {
    let (scenario, faults) = seed.unfold();
    run_with(&scenario, &faults, planted, verbose)
}

/// As [`run`], with a mistake if one is planted. That the engine panics breaks a rule too.
pub fn run_with(scenario: &Scenario, faults: &Faults, planted: Option<Planted>, verbose: bool) -> Verdict {
    let (sabotage, defect) = match planted {
        None => (None, None),
        Some(Planted::Driver(sabotage)) => (Some(sabotage), None),
        Some(Planted::Engine(defect)) => (None, Some(defect)),
    };
    plant(defect);
    let faults = Faults { sabotage, ..faults.clone() };
    let judged = std::panic::catch_unwind(|| run(scenario, &faults, verbose));
    plant(None);
    judged.unwrap_or_else(|_| Verdict {
        violation: Some("the engine panics".to_owned()),
        counters: Counters::default(),
        trace: [0; 32],
        lines: Vec::new(),
        writes: 0,
        events: 0,
    })
}

#[cfg(feature = "defects")]
fn plant(defect: Option<Defect>) {
    superstep_engine::defect::plant(defect);
}

#[cfg(not(feature = "defects"))]
fn plant(_: Option<Defect>) {}

/// Runs `scenario` under `faults` and judges it by rule 33: an exact scenario comes to the same as an
/// undisturbed run, and that to what the rules predict; every scenario comes to the same as a replay of
/// its own log.
pub fn run(scenario: &Scenario, faults: &Faults, verbose: bool) -> Verdict {
    Trial::new(scenario).run(faults, verbose)
}

/// A scenario that is run, perhaps many times.
pub struct Trial<'a> {
    scenario: &'a Scenario,
    /// What an undisturbed run of it came to, once it is known.
    undisturbed: Option<Result<History, String>>,
}

impl<'a> Trial<'a> {
    /// The trial of a scenario.
    pub fn new(scenario: &'a Scenario) -> Self {
        Self { scenario, undisturbed: None }
    }

    /// Runs the scenario under `faults` and judges the run.
    pub fn run(&mut self, faults: &Faults, verbose: bool) -> Verdict {
        let ended = World::new(self.scenario, faults, verbose).run();
        let mut counters = ended.counters;
        let violation = self.judge(&ended, &mut counters);
        Verdict {
            violation,
            counters,
            trace: *ended.trace.as_bytes(),
            lines: ended.lines,
            writes: ended.counters.writes,
            events: ended.counters.events,
        }
    }

    fn judge(&mut self, ended: &Ended, counters: &mut Counters) -> Option<String> {
        if let Some(violation) = &ended.violation {
            return Some(violation.clone());
        }
        let history = History::of(&ended.notices, ended.status.clone(), ended.outputs.clone());
        counters.replayed_runs += 1;
        let audited = match audit(self.scenario, &ended.log) {
            Ok(audited) => audited,
            Err(error) => return Some(format!("the log cannot be replayed: {error}")),
        };
        counters.programs_again += audited.again;
        if let Some(difference) = history.difference(&audited.history) {
            return Some(format!("the run and the replay of its log differ:\n    {difference}"));
        }
        if let Some(message) = audited.astray {
            return Some(message);
        }
        if let Some(passed) = audited.overdrawn {
            return Some(passed);
        }
        if let Some(place) = audited.unreported {
            return Some(format!(
                "a graph came to a good end, and what waited at {place} was never reported"
            ));
        }
        if !matches!(ended.log.last(), Some(Record::Ended(_))) {
            return Some("the log does not end with the end of the run".to_owned());
        }
        let keep = Record::supersteps(&ended.log) / 2;
        match compacted(self.scenario, &ended.log, keep) {
            Ok(shorter) => counters.compacted += u64::from(shorter),
            Err(disagreement) => return Some(disagreement.to_string()),
        }
        if !self.scenario.is_exact() {
            return None;
        }
        counters.exact_runs += 1;
        let first = self.undisturbed.is_none();
        let scenario = self.scenario;
        let undisturbed = self.undisturbed.get_or_insert_with(|| undisturbed(scenario, counters));
        let undisturbed = match undisturbed {
            Ok(undisturbed) => &*undisturbed,
            Err(violation) => return Some(violation.clone()),
        };
        if let Some(difference) = history.difference(undisturbed) {
            return Some(format!("the run and an undisturbed one differ:\n    {difference}"));
        }
        if first { forked(scenario, &ended.log, undisturbed, counters) } else { None }
    }
}

/// What an undisturbed run comes to.
///
/// # Errors
/// It breaks a rule, or the rules say something else.
fn undisturbed(scenario: &Scenario, counters: &mut Counters) -> Result<History, String> {
    let calm = World::new(scenario, &Faults::none(1), false).run();
    if let Some(violation) = calm.violation {
        return Err(format!("without any fault: {violation}"));
    }
    let undisturbed = History::of(&calm.notices, calm.status, calm.outputs);
    if covers(scenario) {
        counters.predicted_runs += 1;
        let Prediction { status, outputs, notices } = predict(scenario);
        let predicted = History::of(&notices, Some(status), outputs);
        if let Some(difference) = undisturbed.difference(&predicted) {
            return Err(format!("an undisturbed run and what the rules say differ:\n    {difference}"));
        }
    }
    Ok(undisturbed)
}

/// Lets the run go on anew from a superstep of it: with pure answers it comes to the same.
fn forked(
    scenario: &Scenario,
    log: &[Record],
    undisturbed: &History,
    counters: &mut Counters,
) -> Option<String> {
    let goes_on = |record: &&Record| matches!(record, Record::Committed(commit) if commit.closing.is_none());
    let last = log.iter().filter(goes_on).count() as u64;
    // The name stays, and with it the keys of calls, which decide what the model server does.
    let fork = |superstep| Fork { run: RUN.to_owned(), superstep, mutations: Vec::new(), started_at: 0 };
    let words: Arc<dyn Expressions + Send + Sync> = Arc::new(Words);
    for superstep in [0, last / 2, last] {
        let records = match fork(superstep).records(scenario.config(1), &words, log) {
            Ok(records) => records,
            Err(error) => return Some(format!("the run cannot be forked from {superstep}: {error}")),
        };
        counters.forks += 1;
        let forked = World::new(scenario, &Faults::none(1), false).after(records).run();
        if let Some(violation) = forked.violation {
            return Some(format!("forked from {superstep}: {violation}"));
        }
        let history = History::of(&forked.notices, forked.status, forked.outputs);
        if let Some(difference) = history.difference(undisturbed) {
            return Some(format!("the run and its fork from {superstep} differ:\n    {difference}"));
        }
    }
    None
}
