//! What is said of a scenario.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use superstep_witness::Checks;

/// The figures of one scenario.
#[derive(Debug)]
pub(crate) struct Report {
    name: String,
    begun: Instant,
    checks: Checks,
    /// What was measured.
    notes: Vec<String>,
    /// What did not happen that should have.
    missing: Vec<String>,
    /// Why the scenario cannot be played here.
    skipped: Option<String>,
}

impl Report {
    pub(crate) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            begun: Instant::now(),
            checks: Checks::default(),
            notes: Vec::new(),
            missing: Vec::new(),
            skipped: None,
        }
    }

    /// Says that the scenario cannot be played here.
    pub(crate) fn skip(&mut self, why: &str) {
        self.skipped = Some(why.to_owned());
    }

    pub(crate) fn is_skipped(&self) -> bool {
        self.skipped.is_some()
    }

    /// Adds a figure.
    pub(crate) fn note(&mut self, note: String) {
        self.notes.push(note);
    }

    /// Adds to what was looked at; `broken` tells of what is wrong.
    pub(crate) fn look(&mut self, what: &'static str, of: usize, broken: Vec<String>) {
        self.checks.look(what, of, broken);
    }

    pub(crate) fn add(&mut self, checks: Checks) {
        self.checks.add(checks);
    }

    /// Demands that something is so.
    pub(crate) fn demand(&mut self, happened: bool, what: &str) {
        if !happened {
            self.missing.push(what.to_owned());
        }
    }

    pub(crate) fn holds(&self) -> bool {
        self.checks.hold() && self.missing.is_empty()
    }

    pub(crate) fn took(&self) -> Duration {
        self.begun.elapsed()
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        if let Some(why) = &self.skipped {
            return vec![format!("=== {}: SKIPPED: {why}", self.name)];
        }
        let verdict = if self.holds() { "passed" } else { "FAILED" };
        let mut lines = vec![format!("=== {}: {verdict}", self.name)];
        let missing = self.missing.iter().map(|what| format!("not so: {what}  <== WRONG"));
        let all = self.notes.iter().cloned().chain(self.checks.lines()).chain(missing);
        lines.extend(all.map(|line| format!("    {line}")));
        lines
    }

    pub(crate) fn json(&self) -> Value {
        json!({
            "name": self.name, "skipped": self.skipped, "passed": self.holds(), "checks": self.checks.json(),
            "notes": self.notes, "missing": self.missing,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_so_fails_a_scenario() {
        let mut report = Report::new("install");
        report.demand(true, "a");
        assert!(report.holds());
        report.demand(false, "b");
        assert!(!report.holds());
        assert!(report.lines()[0].contains("FAILED"));
    }
}
