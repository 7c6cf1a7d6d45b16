//! Playing a case: the run as the case tells it, then its crashes and its forks.

use std::collections::BTreeMap;

use serde_json::Value;
use superstep_engine::{Fork, Patch, Payload, QuestionId, Record};
use superstep_graph::{PriorityClass, VertexName};
use superstep_runtime::{Reach, RunError, fork, read_run};
use superstep_store::{RunName, Store};

use super::case::{Answer, Case, Crashes, Found, Kill, Step};
use super::judgement::{Difference, compare};
use super::stage::{OWNER, Stage};
use super::story::{Story, intents};
use super::witness::Seen;
use crate::exit::CommandError;

/// What playing a case has shown.
#[derive(Debug, Default)]
pub(super) struct Played {
    /// The first thing that is not as expected; the case does not hold.
    pub(super) difference: Option<Difference>,
    /// How often the run went on after a crash.
    pub(super) crashes: u64,
    /// How often it was forked.
    pub(super) forks: u64,
    /// Calls that had been completed before crashes, all crashes together.
    pub(super) completed: u64,
    /// Of these, calls that were made again.
    pub(super) repeated: u64,
}

/// Plays a case until something is not as expected.
///
/// # Errors
/// Its files are wrong, or it does to the run what cannot be done.
pub(super) fn play(found: &Found) -> Result<Played, CommandError> {
    let stage = Stage::of(&found.folder)?;
    let name: RunName = found.name.parse().map_err(RunError::Store)?;
    let folder = tempfile::tempdir()?;
    let store = Store::folder(folder.path()).map_err(RunError::from)?;
    let mut player = Player { stage, case: &found.case, name, played: Played::default() };
    let records = player.plain(store)?;
    if player.played.difference.is_none() && found.case.crashes == Crashes::EveryRecord {
        player.crashes(&records)?;
    }
    for superstep in &found.case.forks {
        if player.played.difference.is_none() {
            player.fork(&records, *superstep)?;
        }
    }
    Ok(player.played)
}

struct Player<'a> {
    stage: Stage,
    case: &'a Case,
    name: RunName,
    played: Played,
}

impl Player<'_> {
    /// Plays what the case tells, and gives the log that it leaves.
    fn plain(&mut self, mut store: Store<Record>) -> Result<Vec<Record>, CommandError> {
        let during = |step: &Step| match step {
            Step::Intrude(vertex) => Some(vertex.clone()),
            Step::Kill(_) | Step::Answer(_) | Step::Patch(_) | Step::Cancel | Step::Resume => None,
        };
        let steps = &self.case.steps;
        let (first, steps) = match steps.split_first() {
            Some((first @ Step::Intrude(_), rest)) => (during(first), rest),
            Some(_) | None => (None, steps.as_slice()),
        };
        let run = "the run";
        let driven = self.stage.begin(&store, &self.name, first)?;
        self.watch(&[], &driven.records, &driven.seen, run);
        let mut all = vec![driven.seen];
        for step in steps {
            let (_, records) = read_run(&store, &self.name)?;
            match step {
                Step::Kill(kill) => store = self.stage.with_log(&self.name, cut(&records, kill))?,
                Step::Answer(answer) => self.answer(&store, &records, answer)?,
                Step::Patch(mutations) => {
                    let before = records.iter().filter(|record| matches!(record, Record::Patched(_))).count();
                    let requester = format!("patch-{before}");
                    let patch =
                        Patch { class: PriorityClass::Person, requester, mutations: mutations.clone() };
                    self.stage.wait(self.reach(&store)?.patch(patch))?;
                }
                Step::Cancel => {
                    self.stage.wait(self.reach(&store)?.cancel())?;
                }
                Step::Resume | Step::Intrude(_) => {
                    let driven = self.stage.resume(&store, &self.name, during(step))?;
                    self.watch(&records, &driven.records, &driven.seen, run);
                    all.push(driven.seen);
                }
            }
        }
        let (_, records) = read_run(&store, &self.name)?;
        let again = all.iter().map(|seen| seen.resent).sum();
        let refused: u64 = all.iter().map(|seen| seen.refused).sum();
        self.judge(&self.name.clone(), &records, again, run)?;
        if refused != self.case.expect.refused {
            self.tell(run, "refused", self.case.expect.refused.into(), refused.into());
        }
        Ok(records)
    }

    fn reach(&self, store: &Store<Record>) -> Result<Reach, CommandError> {
        Ok(Reach::new(store, &self.name, self.stage.programs()?, OWNER))
    }

    fn answer(&self, store: &Store<Record>, records: &[Record], answer: &Answer) -> Result<(), CommandError> {
        let open = self.stage.questions(&self.name, records)?;
        let asks = open.into_iter().find(|question| question.activation.vertex == answer.vertex);
        let question = asks.ok_or_else(|| CommandError::NoQuestion {
            run: self.name.clone(),
            vertex: Some(answer.vertex.to_string()),
        })?;
        self.stage.answer(store, &self.name, (question, Payload::from(answer.with.clone())))
    }

    /// Goes on after a crash behind each record: behind the last change from outside, for that would not come
    /// again by itself. Answers are given again.
    fn crashes(&mut self, records: &[Record]) -> Result<(), CommandError> {
        let patched = records.iter().rposition(|record| matches!(record, Record::Patched(_)));
        let answers = answers(records);
        for end in patched.unwrap_or_default() + 1..=records.len() {
            let store = self.stage.with_log(&self.name, &records[..end])?;
            let run = format!("after a crash behind record {end} of {}", records.len());
            self.go_on(&store, &self.name.clone(), &answers, &run)?;
            self.played.crashes += 1;
            if self.played.difference.is_some() {
                break;
            }
        }
        Ok(())
    }

    /// Forks the run before a superstep, and drives the fork.
    fn fork(&mut self, records: &[Record], superstep: u64) -> Result<(), CommandError> {
        let store = self.stage.with_log(&self.name, records)?;
        let plan = Fork {
            run: format!("{}-fork-{}", self.name, self.played.forks),
            superstep,
            mutations: Vec::new(),
            started_at: 0,
        };
        let programs = self.stage.programs()?;
        let made = fork(&store, (&self.name, records), &programs, OWNER, &plan);
        let name = self.stage.wait(made)?;
        let run = format!("fork {} before superstep {superstep}", self.played.forks);
        self.go_on(&store, &name, &answers(records), &run)?;
        self.played.forks += 1;
        Ok(())
    }

    /// Drives a run that has a log to its end, giving the answers that were given before.
    fn go_on(
        &mut self,
        store: &Store<Record>,
        name: &RunName,
        answers: &Answers,
        run: &str,
    ) -> Result<(), CommandError> {
        let mut again = 0;
        loop {
            let (_, before) = read_run(store, name)?;
            let driven = self.stage.resume(store, name, None)?;
            self.watch(&before, &driven.records, &driven.seen, run);
            again += driven.seen.resent;
            let mut answered = false;
            for question in self.stage.questions(name, &driven.records)? {
                if let Some(answer) = answers.get(&(question.activation.vertex.clone(), question.number)) {
                    self.stage.answer(store, name, (question, answer.clone()))?;
                    answered = true;
                }
            }
            if !answered {
                return self.judge(name, &driven.records, again, run);
            }
        }
    }

    /// Compares the calls that were made in one drive with what the log says of them.
    fn watch(&mut self, before: &[Record], after: &[Record], seen: &Seen, run: &str) {
        let ended =
            |record: &&Record| matches!(record, Record::CallEnded { outcome, .. } if outcome.answer.is_ok());
        self.played.completed += before.iter().filter(ended).count() as u64;
        self.played.repeated += seen.repeated;
        let meant = intents(after) - intents(before);
        if seen.made != meant {
            self.tell(run, "calls with an intent in the log", seen.made.into(), meant.into());
        }
        if seen.repeated > 0 {
            self.tell(run, "calls repeated", 0.into(), seen.repeated.into());
        }
    }

    fn judge(
        &mut self,
        name: &RunName,
        records: &[Record],
        again: u64,
        run: &str,
    ) -> Result<(), CommandError> {
        let story = Story::of(name, records, &self.stage.programs()?)?;
        if self.played.difference.is_none() {
            self.played.difference = compare(&self.case.expect, &story, again, run);
        }
        Ok(())
    }

    fn tell(&mut self, run: &str, what: &str, expected: Value, found: Value) {
        let difference = Difference::of(run, (what.to_owned(), expected, found));
        self.played.difference.get_or_insert(difference);
    }
}

type Answers = BTreeMap<(VertexName, u32), Payload>;

/// The answers in a log, by who asked.
fn answers(records: &[Record]) -> Answers {
    let answer = |record: &Record| {
        let Record::Answered { question: QuestionId { activation, number }, answer } = record else {
            return None;
        };
        Some(((activation.vertex.clone(), *number), answer.clone()))
    };
    records.iter().filter_map(answer).collect()
}

/// What a process that was killed has left.
fn cut<'a>(records: &'a [Record], kill: &Kill) -> &'a [Record] {
    let last = |record: &Record| match (record, kill.after_superstep) {
        (Record::Committed(commit), Some(superstep)) => commit.superstep == superstep,
        (Record::EpochTaken { .. }, None) => true,
        (_, _) => false,
    };
    let end = records.iter().position(last).map_or(records.len(), |place| place + 1);
    &records[..end]
}
