//! One run under a fault: what it took to go on, and what it came to.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::json;
use superstep_engine::Record;
use superstep_store::{ObjectPlace, RunName, Store};
use superstep_witness::{
    CALLS, Call, Checks, Ledger, Oracle, Progress, Random, Reference, RunEnd, Step, asking,
};
use tokio::runtime::Runtime;

use crate::group::{Group, Plan};

/// How long a run may take in all.
const PATIENCE: Duration = Duration::from_secs(300);
/// How long an answer takes on average from the moment of a fault until the fault has begun: so that the run goes on until
/// then, and calls are under way.
const HELD: Duration = Duration::from_secs(5);

/// A group of workers with what sees to it.
pub(crate) struct Rig {
    pub(crate) runtime: Arc<Runtime>,
    pub(crate) ledger: Ledger,
    /// How long an answer takes on average.
    latency: Duration,
    /// Where the model server is, for the workers.
    pub(crate) model: String,
    pub(crate) store: Store<Record>,
    /// The folder in which the objects of the store lie.
    pub(crate) objects: PathBuf,
    pub(crate) group: Group,
    pub(crate) random: Random,
}

/// When a fault began, and when it was over.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fault {
    pub(crate) begun: Instant,
    pub(crate) over: Instant,
}

/// What became of one run.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    /// From the fault to the next call that was answered, or superstep that was committed.
    pub(crate) progress: Option<Duration>,
    /// From the fault to the next superstep that was committed.
    pub(crate) commit: Option<Duration>,
    /// From the end of the fault to the next superstep that was committed.
    pub(crate) healed: Option<Duration>,
    /// The longest time without a call that was answered or a superstep that was committed, of what came after the
    /// fault had begun.
    pub(crate) stall: Duration,
    /// Requests that the model server saw, and calls among them that are different.
    pub(crate) requests: usize,
    pub(crate) calls: usize,
    /// Requests whose client hung up.
    pub(crate) cut: usize,
    /// Terms of the run.
    pub(crate) terms: usize,
    /// Whether the run had not ended when the fault was over.
    pub(crate) outlived: bool,
    pub(crate) took: Duration,
    pub(crate) checks: Checks,
}

/// A rig's parts that depend on where it is.
pub(crate) struct Place {
    pub(crate) plan: Plan,
    pub(crate) objects: PathBuf,
    pub(crate) model: String,
}

impl Rig {
    pub(crate) fn new(runtime: &Arc<Runtime>, ledger: &Ledger, place: Place, random: Random) -> Result<Self> {
        let url = place.plan.store.parse::<ObjectPlace>()?;
        let settings = place.plan.environment.iter().filter(|(name, _)| name.starts_with("AWS_"));
        let url = settings.fold(url, |url, (name, value)| url.with(name, value));
        Ok(Self {
            runtime: Arc::clone(runtime),
            ledger: ledger.clone(),
            latency: *ledger.latency().borrow(),
            model: place.model,
            store: Store::object(&url)?,
            objects: place.objects,
            group: Group::new(place.plan, Arc::clone(runtime))?,
            random,
        })
    }

    fn oracle(&self) -> Oracle<'_> {
        Oracle { runtime: &self.runtime, store: &self.store, objects: &self.objects }
    }

    /// A run that nothing disturbs, and how long it takes.
    pub(crate) fn undisturbed(&mut self, scenario: &str) -> Result<(Reference, Duration)> {
        let name = &format!("undisturbed-{scenario}");
        self.ledger.set_nonce(false);
        let begun = Instant::now();
        let end = self.run(name)?;
        let took = begun.elapsed();
        let run: RunName = name.parse()?;
        let reference = self.oracle().reference(&run)?;
        let calls = self.ledger.of(name);
        let checks = self.oracle().judge(&run, &end, &calls, &reference, false)?;
        let (different, terms) = (different(&calls), self.oracle().terms(&run)?);
        // A worker that stands still for long, with other work on the machine, is taken for dead, and others ask again.
        let is_complete = different == CALLS && (calls.len() == CALLS || terms > 1);
        if !checks.hold() || !is_complete {
            let requests = calls.len();
            bail!(
                "the undisturbed run is wrong, with {requests} requests for {different} calls in {terms} terms: {:#?}",
                checks.lines()
            );
        }
        Ok((reference, took))
    }

    fn documents(&self) -> Vec<String> {
        asking(&self.model).iter().map(ToString::to_string).collect()
    }

    fn run(&mut self, name: &str) -> Result<RunEnd> {
        self.group.submit(name, &self.documents(), &json!({"run": name}))?;
        self.group.end(name, PATIENCE)
    }

    /// One run under a fault, which is given the name of the run that has just begun.
    pub(crate) fn trial(
        &mut self,
        name: &str,
        (reference, nonce): (&Reference, bool),
        fault: impl FnOnce(&mut Self, &str) -> Result<Fault>,
    ) -> Result<Outcome> {
        self.ledger.set_nonce(nonce);
        let run: RunName = name.parse()?;
        let begun = Instant::now();
        let progress = Progress::follow(&self.store, &run);
        self.group.submit(name, &self.documents(), &json!({"run": name}))?;
        let begun_and_over = fault(self, name);
        self.goes_on();
        let fault = begun_and_over.with_context(|| format!("in run {name}"))?;
        let outlived = progress.times(|step| step == Step::Ended).is_empty();
        let end = self.group.end(name, PATIENCE)?;
        let took = begun.elapsed();
        progress.finish();
        let calls = self.ledger.of(name);
        let checks = self.oracle().judge(&run, &end, &calls, reference, nonce)?;
        let commits = progress.times(|step| step == Step::Committed);
        let answers = calls.iter().filter_map(|call| call.answered().map(|(at, _)| at));
        let after = |times: &[Instant], since: Instant| {
            times.iter().filter(|at| **at > since).min().map(|at| at.duration_since(since))
        };
        let mut steps: Vec<Instant> = answers.chain(commits.iter().copied()).collect();
        steps.sort_unstable();
        Ok(Outcome {
            progress: after(&steps, fault.begun),
            commit: after(&commits, fault.begun),
            healed: after(&commits, fault.over),
            stall: longest_gap(&steps, fault.begun),
            requests: calls.len(),
            calls: different(&calls),
            cut: calls.iter().filter(|call| call.is_cut()).count(),
            terms: progress.times(|step| step == Step::Term).len(),
            outlived,
            took,
            checks,
        })
    }

    /// Waits for a random moment of a run, by the answers that it had: from `low` to `high` percent of all, and a
    /// little more; then until as many calls as are asked for are under way, or there are no more. From then on answers
    /// take long, until the run [goes on](Self::goes_on).
    pub(crate) fn moment(&mut self, run: &str, (low, high): (u64, u64), under_way: usize) -> Result<()> {
        let answers = self.random.between(CALLS as u64 * low / 100, CALLS as u64 * high / 100);
        let answers = usize::try_from(answers)?;
        self.wait(run, |(answered, _)| answered >= answers)?;
        sleep(self.random.millis(0, 150));
        self.ledger.set_latency(HELD);
        self.wait(run, |(answered, calls)| calls >= under_way || answered >= CALLS)
    }

    /// Answers take as long as before the moment of the fault.
    pub(crate) fn goes_on(&self) {
        self.ledger.set_latency(self.latency);
    }

    fn wait(&self, run: &str, until: impl Fn((usize, usize)) -> bool) -> Result<()> {
        let begun = Instant::now();
        while !until(self.ledger.counts(run)) {
            if begun.elapsed() > PATIENCE {
                bail!("run {run} does not go on: {:?}", self.group.get(run)?);
            }
            sleep(Duration::from_millis(2));
        }
        Ok(())
    }
}

/// How many calls there are that are different.
fn different(calls: &[Call]) -> usize {
    calls.iter().map(|call| call.key.as_str()).collect::<BTreeSet<_>>().len()
}

/// The longest time from one of `steps`, which are sorted, to the next, of what is after `since`.
fn longest_gap(steps: &[Instant], since: Instant) -> Duration {
    let behind = steps.iter().copied().filter(|at| *at > since);
    let mut longest = Duration::ZERO;
    let mut last = since;
    for at in behind {
        longest = longest.max(at - last);
        last = at;
    }
    longest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_gap_is_that_behind_the_fault() {
        let begun = Instant::now();
        let at = |second| begun + Duration::from_secs(second);
        let steps = [at(0), at(20), at(21), at(25)];
        for (since, longest) in [(0, 20), (19, 4), (20, 4), (24, 1), (30, 0)] {
            assert_eq!(longest_gap(&steps, at(since)), Duration::from_secs(longest), "{since}");
        }
    }
}
