//! One seed: its scenario, its faults, and whether the rules held.

use std::sync::Arc;

use superstep_engine::{Expressions, Fork, Record};

use crate::audit::audit;
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
}

/// Runs the scenario of a seed under its faults.
pub fn run_seed(seed: Seed, sabotage: Option<Sabotage>, verbose: bool) -> Verdict {
    let judged = std::panic::catch_unwind(|| {
        let (scenario, mut faults) = seed.unfold();
        faults.sabotage = sabotage;
        run(&scenario, &faults, verbose)
    });
    judged.unwrap_or_else(|_| Verdict {
        violation: Some("the engine panics".to_owned()),
        counters: Counters::default(),
        trace: [0; 32],
        lines: Vec::new(),
        writes: 0,
    })
}

/// Runs `scenario` under `faults` and judges it by rule 33: an exact scenario comes to the same as an
/// undisturbed run, and every scenario to the same as a replay of its own log.
pub fn run(scenario: &Scenario, faults: &Faults, verbose: bool) -> Verdict {
    let ended = World::new(scenario, faults, verbose).run();
    let mut counters = ended.counters;
    let violation = judge(scenario, &ended, &mut counters);
    Verdict {
        violation,
        counters,
        trace: *ended.trace.as_bytes(),
        lines: ended.lines,
        writes: ended.counters.writes,
    }
}

fn judge(scenario: &Scenario, ended: &Ended, counters: &mut Counters) -> Option<String> {
    if let Some(violation) = &ended.violation {
        return Some(violation.clone());
    }
    let history = History::of(&ended.notices, ended.status.clone(), ended.outputs.clone());
    counters.replayed_runs += 1;
    let audited = match audit(scenario, &ended.log) {
        Ok(audited) => audited,
        Err(error) => return Some(format!("the log cannot be replayed: {error}")),
    };
    counters.programs_again += audited.again;
    if let Some(difference) = history.difference(&audited.history) {
        return Some(format!("the run and the replay of its log differ:\n    {difference}"));
    }
    if audited.sent != audited.settled {
        return Some(format!("{} messages were sent, and {} have a status", audited.sent, audited.settled));
    }
    if !matches!(ended.log.last(), Some(Record::Ended(_))) {
        return Some("the log does not end with the end of the run".to_owned());
    }
    if !scenario.is_exact() {
        return None;
    }
    counters.exact_runs += 1;
    let reference = World::new(scenario, &Faults::none(1), false).run();
    if let Some(violation) = reference.violation {
        return Some(format!("without any fault: {violation}"));
    }
    let undisturbed = History::of(&reference.notices, reference.status, reference.outputs);
    if covers(scenario) {
        counters.predicted_runs += 1;
        let Prediction { status, outputs, notices } = predict(scenario);
        let predicted = History::of(&notices, Some(status), outputs);
        if let Some(difference) = undisturbed.difference(&predicted) {
            return Some(format!("an undisturbed run and what the rules say differ:\n    {difference}"));
        }
    }
    if let Some(difference) = history.difference(&undisturbed) {
        return Some(format!("the run and an undisturbed one differ:\n    {difference}"));
    }
    forked(scenario, &ended.log, &undisturbed, counters)
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
