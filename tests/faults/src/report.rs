//! What is said of a scenario.

use std::time::Duration;

use serde_json::{Value, json};
use superstep_witness::Checks;

use crate::trial::Outcome;

/// The figures of one scenario.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) name: String,
    rounds: usize,
    progress: Vec<Duration>,
    commit: Vec<Duration>,
    healed: Vec<Duration>,
    stall: Vec<Duration>,
    requests: usize,
    calls: usize,
    cut: usize,
    terms: usize,
    outlived: usize,
    took: Vec<Duration>,
    checks: Checks,
    /// What proves that the fault happened, and what was measured beside.
    notes: Vec<String>,
    /// What did not happen that should have.
    missing: Vec<String>,
    /// Why the scenario cannot be played here.
    skipped: Option<String>,
}

impl Report {
    pub(crate) fn new(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }

    /// A scenario that cannot be played here.
    pub(crate) fn skipped(name: &str, why: &str) -> Self {
        Self { skipped: Some(why.to_owned()), ..Self::new(name) }
    }

    pub(crate) fn is_skipped(&self) -> bool {
        self.skipped.is_some()
    }

    pub(crate) fn add(&mut self, outcome: Outcome) {
        self.rounds += 1;
        self.progress.extend(outcome.progress);
        self.commit.extend(outcome.commit);
        self.healed.extend(outcome.healed.filter(|_| outcome.outlived));
        self.stall.push(outcome.stall);
        self.requests += outcome.requests;
        self.calls += outcome.calls;
        self.cut += outcome.cut;
        self.terms += outcome.terms;
        self.outlived += usize::from(outcome.outlived);
        self.took.push(outcome.took);
        self.checks.add(outcome.checks);
    }

    /// Adds a figure.
    pub(crate) fn note(&mut self, note: String) {
        self.notes.push(note);
    }

    /// Adds to what was looked at.
    pub(crate) fn look(&mut self, what: &'static str, of: usize, broken: Vec<String>) {
        self.checks.look(what, of, broken);
    }

    /// Demands that a fault has happened.
    pub(crate) fn demand(&mut self, happened: bool, what: &str) {
        if !happened {
            self.missing.push(what.to_owned());
        }
    }

    pub(crate) fn holds(&self) -> bool {
        self.checks.hold() && self.missing.is_empty()
    }

    /// Requests beyond one for each call, in percent.
    fn extra(&self) -> f64 {
        let count = |number: usize| f64::from(u32::try_from(number).unwrap_or(u32::MAX));
        if self.calls == 0 { 0.0 } else { count(self.requests - self.calls) * 100.0 / count(self.calls) }
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        if let Some(why) = &self.skipped {
            return vec![format!("=== {}: SKIPPED: {why}", self.name)];
        }
        let verdict = if self.holds() { "passed" } else { "FAILED" };
        let mut lines = vec![format!("=== {}: {verdict}, {} rounds", self.name, self.rounds)];
        if self.rounds > 0 {
            for (what, times) in [
                ("from the fault to the next answer or commit", &self.progress),
                ("from the fault to the next commit", &self.commit),
                ("from the end of the fault to the next commit", &self.healed),
                ("the longest time without an answer or a commit", &self.stall),
                ("a whole run", &self.took),
            ] {
                lines.push(format!("{what}: {}", spread(times)));
            }
            lines.push(format!(
                "{:.1} % extra calls: {} requests for {} calls, {} cut off; {} terms; {} runs outlived the fault",
                self.extra(),
                self.requests,
                self.calls,
                self.cut,
                self.terms,
                self.outlived
            ));
        }
        lines.extend(self.notes.iter().cloned());
        lines.extend(self.checks.lines());
        lines.extend(self.missing.iter().map(|what| format!("did not happen: {what}  <== WRONG")));
        let first = lines.remove(0);
        std::iter::once(first).chain(lines.into_iter().map(|line| format!("    {line}"))).collect()
    }

    pub(crate) fn json(&self) -> Value {
        let seconds = |times: &[Duration]| -> Vec<f64> { times.iter().map(Duration::as_secs_f64).collect() };
        json!({
            "name": self.name, "skipped": self.skipped, "passed": self.holds(), "rounds": self.rounds,
            "progressSeconds": seconds(&self.progress), "commitSeconds": seconds(&self.commit),
            "healedSeconds": seconds(&self.healed), "stallSeconds": seconds(&self.stall), "runSeconds": seconds(&self.took),
            "requests": self.requests, "calls": self.calls, "extraPercent": self.extra(), "cut": self.cut,
            "terms": self.terms, "checks": self.checks.json(), "notes": self.notes, "missing": self.missing,
        })
    }
}

/// The middle and the largest of some times.
pub(crate) fn spread(times: &[Duration]) -> String {
    let mut times = times.to_vec();
    times.sort_unstable();
    match (times.get(times.len() / 2), times.last()) {
        (Some(middle), Some(last)) => {
            format!("p50 {:.2} s, max {:.2} s, n {}", middle.as_secs_f64(), last.as_secs_f64(), times.len())
        }
        _ => "none".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_did_not_happen_fails_a_scenario() {
        let mut report = Report::new("kill");
        assert!(report.holds());
        report.demand(true, "a kill");
        assert!(report.holds());
        report.demand(false, "a kill");
        assert!(!report.holds());
        assert!(report.lines()[0].contains("FAILED"));
    }

    #[test]
    fn the_middle_and_the_largest() {
        let times: Vec<Duration> = [3, 1, 2].into_iter().map(Duration::from_secs).collect();
        assert_eq!(spread(&times), "p50 2.00 s, max 3.00 s, n 3");
        assert_eq!(spread(&[]), "none");
    }
}
