//! Whether a run has kept the promises: by its log, by what the model server saw, and by an undisturbed run.

mod objects;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Result, bail};
use serde_json::Value;
use superstep_engine::{CallOutcome, Notice, Record, RunStatus};
use superstep_runtime::{Programs, read_run, replay, tell};
use superstep_store::{RunName, Store};
use superstep_worker::{Loader, Provisions as _};
use tokio::runtime::Runtime;

use crate::checks::Checks;
use crate::ledger::Call;
use crate::run_end::RunEnd;

/// What a run has come to that nothing has disturbed.
#[derive(Clone, Debug)]
pub struct Reference {
    outputs: Value,
    messages: Messages,
}

/// Messages with what became of each, and how many there were of each.
type Messages = BTreeMap<String, u64>;

/// Where runs are, and what looks at them.
pub struct Oracle<'a> {
    /// Where futures are driven.
    pub runtime: &'a Runtime,
    /// Where the runs are.
    pub store: &'a Store<Record>,
    /// The folder in which the objects of the store lie.
    pub objects: &'a Path,
}

/// A run that has ended.
struct Ended {
    name: RunName,
    records: Vec<Record>,
    programs: Arc<Programs>,
    outputs: Value,
    messages: Messages,
}

impl Oracle<'_> {
    fn read(&self, run: &RunName) -> Result<Ended> {
        let (started, records) = read_run(self.store, run)?;
        let loader = Loader::new(self.store.clone());
        let loaded = self.runtime.block_on(loader.programs(run, &started));
        let programs = match loaded {
            Ok(programs) => programs,
            Err(error) => bail!("the programs of {run} cannot be loaded: {error}"),
        };
        let mut messages = Messages::new();
        let (outputs, _) = tell(run, &records, &programs, |notice| {
            if let Notice::Settled { from, port, to, sent, taken, status, .. } = notice {
                let message =
                    format!("{from} {port} -> {to}, sent in {sent}, taken in {taken:?}: {status:?}");
                *messages.entry(message).or_default() += 1;
            }
        })?;
        Ok(Ended { name: run.clone(), records, programs, outputs: outputs.value().clone(), messages })
    }

    /// What later runs are compared with.
    ///
    /// # Errors
    ///
    /// If the run cannot be read.
    pub fn reference(&self, run: &RunName) -> Result<Reference> {
        let ended = self.read(run)?;
        Ok(Reference { outputs: ended.outputs, messages: ended.messages })
    }

    /// How many terms a run has had, as its log has it.
    ///
    /// # Errors
    ///
    /// If the run cannot be read.
    pub fn terms(&self, run: &RunName) -> Result<usize> {
        let (_, records) = read_run(self.store, run)?;
        Ok(records.iter().filter(|record| matches!(record, Record::EpochTaken { .. })).count())
    }

    /// How a run has ended, as its log has it.
    ///
    /// # Errors
    ///
    /// If the run cannot be read, or has not ended.
    pub fn end(&self, run: &RunName) -> Result<RunEnd> {
        let ended = self.read(run)?;
        let status =
            ended.records.iter().rev().find_map(|record| {
                if let Record::Ended(status) = record { Some(status.clone()) } else { None }
            });
        let Some(status) = status else { bail!("the log of {run} has no end") };
        Ok(RunEnd { status, outputs: ended.outputs })
    }

    /// Judges a run that has ended. `reference` has the same answers of the model server unless `nonce`.
    ///
    /// # Errors
    ///
    /// If the run cannot be read.
    pub fn judge(
        &self,
        run: &RunName,
        told: &RunEnd,
        calls: &[Call],
        reference: &Reference,
        nonce: bool,
    ) -> Result<Checks> {
        let ended = self.read(run)?;
        let mut checks = Checks::default();
        let failed = (told.status != RunStatus::Succeeded).then(|| format!("{run}: {:?}", told.status));
        checks.look("runs that did not succeed", 1, failed.into_iter().collect());
        if !nonce {
            let differs = told.outputs != reference.outputs;
            let differs = differs.then(|| format!("{run}: {} and {}", told.outputs, reference.outputs));
            checks.look("results that differ from an undisturbed run", 1, differs.into_iter().collect());
        }
        checks.look(
            "results that differ from a replay of the run's own log",
            1,
            self.replayed(&ended, told)?,
        );
        repeated(&mut checks, &ended, calls);
        messages(&mut checks, &ended.messages, &reference.messages);
        supersteps(&mut checks, &ended);
        objects::check(&mut checks, &self.objects.join("runs").join(run.as_str()))?;
        Ok(checks)
    }

    fn replayed(&self, ended: &Ended, told: &RunEnd) -> Result<Vec<String>> {
        let replayed = self.runtime.block_on(replay(&ended.name, &ended.records, &ended.programs, 0))?;
        let mut differs = Vec::new();
        if let Some(difference) = replayed.difference {
            differs.push(format!("{}: {difference:?}", ended.name));
        } else if ended.outputs != told.outputs || !replayed.not_executed.is_empty() {
            differs.push(format!("{}: {} and {}", ended.name, told.outputs, ended.outputs));
        }
        Ok(differs)
    }
}

/// What the log has of one call.
#[derive(Default)]
struct Logged<'a> {
    intents: usize,
    outcome: Option<&'a CallOutcome>,
    /// Intents behind the outcome.
    later: usize,
}

impl Logged<'_> {
    /// Whether a call was made again after its outcome was durable: with an intent behind the outcome, without an
    /// intent, or after the only answer that can be the one in the log.
    fn is_again(&self, outcome: &CallOutcome, seen: &[&Call]) -> bool {
        let after = match given(outcome, seen)[..] {
            [answered] => seen.iter().any(|call| call.begun > answered),
            _ => false,
        };
        self.later > 0 || seen.len() > self.intents || after
    }
}

/// When the model server gave the answer of an outcome.
fn given(outcome: &CallOutcome, seen: &[&Call]) -> Vec<Instant> {
    let answered = seen.iter().filter_map(|call| call.answered());
    answered.filter(|(_, text)| has(outcome, text)).map(|(at, _)| at).collect()
}

/// Holds the calls of the log beside those that the model server saw.
fn repeated(checks: &mut Checks, ended: &Ended, calls: &[Call]) {
    let mut logged: BTreeMap<String, Logged<'_>> = BTreeMap::new();
    for record in &ended.records {
        if let Record::CallIntent { call, .. } = record {
            let known = logged.entry(call.idempotency_key(ended.name.as_str())).or_default();
            known.intents += 1;
            known.later += usize::from(known.outcome.is_some());
        }
        if let Record::CallEnded { call, outcome } = record {
            logged.entry(call.idempotency_key(ended.name.as_str())).or_default().outcome = Some(outcome);
        }
    }
    let mut seen: BTreeMap<&str, Vec<&Call>> = BTreeMap::new();
    for call in calls {
        seen.entry(&call.key).or_default().push(call);
    }
    let (mut again, mut strange, mut unknown) = (Vec::new(), Vec::new(), Vec::new());
    let completed = logged.values().filter(|logged| logged.outcome.is_some()).count();
    for (key, logged) in &logged {
        let seen = seen.get(key.as_str()).map(Vec::as_slice).unwrap_or_default();
        let Some(outcome) = logged.outcome else { continue };
        if logged.is_again(outcome, seen) {
            again.push(format!(
                "{key}: {} intents, {} behind the outcome; {seen:?}",
                logged.intents, logged.later
            ));
        }
        if given(outcome, seen).is_empty() {
            strange.push(format!("{key}: {outcome:?}; {seen:?}"));
        }
    }
    for (key, seen) in &seen {
        if !logged.contains_key(*key) {
            unknown.push(format!("{seen:?}"));
        }
    }
    checks.look("completed calls made again", completed, again);
    checks.look("outcomes in the log that the model server did not give", completed, strange);
    checks.look("requests without an intent in the log", calls.len(), unknown);
}

fn has(outcome: &CallOutcome, text: &str) -> bool {
    let answer = outcome.answer.as_ref().map(|answer| answer.value().to_string());
    answer.is_ok_and(|answer| answer.contains(&format!("\"{text}\"")))
}

/// Each message of the run has become what it becomes undisturbed, and once.
fn messages(checks: &mut Checks, found: &Messages, expected: &Messages) {
    let differ = |one: &Messages, other: &Messages, what: &str| -> Vec<String> {
        let more = one.iter().filter(|(message, count)| other.get(*message) < Some(count));
        more.map(|(message, count)| format!("{what}: {message} ({count})")).collect()
    };
    let mut wrong = differ(expected, found, "lost");
    wrong.extend(differ(found, expected, "doubled"));
    let of = usize::try_from(expected.values().sum::<u64>()).unwrap_or(usize::MAX);
    checks.look("messages lost or doubled", of, wrong);
}

fn supersteps(checks: &mut Checks, ended: &Ended) {
    let commits = ended.records.iter().filter_map(|record| {
        if let Record::Committed(commit) = record { Some(commit.superstep) } else { None }
    });
    let commits: Vec<u64> = commits.collect();
    let wrong = (0..).zip(&commits).filter(|(number, commit)| number != *commit);
    let wrong =
        wrong.map(|(number, commit)| format!("{}: {commit} in place of {number}", ended.name)).collect();
    checks.look("supersteps committed twice or left out", commits.len(), wrong);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_completed_call_that_is_made_again_is_found() {
        use crate::ledger::End;
        use std::time::Duration;
        use superstep_engine::{Payload, Usage};
        let start = Instant::now();
        let at = |second| start + Duration::from_secs(second);
        let call = |begun, ended, end| Call {
            run: "run".to_owned(),
            key: "key".to_owned(),
            request: "request".to_owned(),
            begun: at(begun),
            end: Some((at(ended), end)),
        };
        let answered = |begun, ended, text: &str| call(begun, ended, End::Answered(text.to_owned()));
        let outcome = CallOutcome {
            answer: Ok(Payload::from(serde_json::json!({"text": "one"}))),
            usage: Usage::default(),
        };
        for (intents, later, seen, expected) in [
            (1, 0, vec![answered(0, 1, "one")], false),
            (2, 0, vec![call(0, 1, End::Cut), answered(2, 3, "one")], false),
            // Its answer was lost with who had asked.
            (2, 0, vec![answered(0, 1, "other"), answered(2, 3, "one")], false),
            (2, 1, vec![answered(0, 1, "one")], true),
            (1, 0, vec![call(0, 1, End::Cut), answered(2, 3, "one")], true),
            (2, 0, vec![answered(0, 1, "one"), answered(2, 3, "other")], true),
        ] {
            let logged = Logged { intents, outcome: Some(&outcome), later };
            let seen: Vec<&Call> = seen.iter().collect();
            assert_eq!(logged.is_again(&outcome, &seen), expected, "{intents}, {later}, {seen:?}");
        }
    }

    #[test]
    fn a_message_that_is_lost_and_one_that_comes_twice_are_found() {
        let of = |messages: &[(&str, u64)]| -> Messages {
            messages.iter().map(|(message, count)| ((*message).to_owned(), *count)).collect()
        };
        let expected = of(&[("a", 1), ("b", 2)]);
        for (found, wrong) in [
            (of(&[("a", 1), ("b", 2)]), 0),
            (of(&[("b", 2)]), 1),
            (of(&[("a", 2), ("b", 2)]), 1),
            (of(&[("a", 1), ("b", 1)]), 1),
            (of(&[("a", 1), ("b", 2), ("c", 1)]), 1),
            (of(&[("a", 1), ("c", 2)]), 2),
        ] {
            let mut checks = Checks::default();
            messages(&mut checks, &found, &expected);
            assert!(
                checks.lines()[0].starts_with(&format!("{wrong} of 3 ")),
                "{found:?}: {:?}",
                checks.lines()
            );
        }
    }
}
