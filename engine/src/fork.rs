//! Runs that begin with a part of another run.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use superstep_graph::{
    Capabilities, GraphSpec, Mutation, MutationOrder, PriorityClass, Problems, Refusal, Request,
    ValidatedGraph, Verdict, VertexName, fold, validate,
};

use crate::coordinator::RunConfig;
use crate::expressions::Expressions;
use crate::ids::{ActivationId, FrameId};
use crate::notice::Notice;
use crate::record::{CallKey, Patch, Record, RunStarted};
use crate::solo::{Action, ReplayError, Solo};

/// A run to be made of all that another one committed before a superstep.
#[derive(Clone, Debug)]
pub struct Fork {
    /// The name of the new run.
    pub run: String,
    /// The first superstep of its own; with 0 it begins anew.
    pub superstep: u64,
    /// What a person wants changed in the run's own graph. It is judged at the barrier before that superstep;
    /// with superstep 0, before the run begins.
    pub mutations: Vec<Mutation>,
    /// Seconds since 1970 when the new run is started, for people.
    pub started_at: u64,
}

/// Why a run cannot be forked.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ForkError {
    /// The log does not begin with the start of a run.
    #[error("there is no run to fork")]
    Empty,
    /// The run has not come so far.
    #[error("superstep {superstep} has not come: the last one to fork from is {last}")]
    Future {
        /// What was asked for.
        superstep: u64,
        /// The superstep after the last commit.
        last: u64,
    },
    /// The run ended with the commit before it.
    #[error(
        "superstep {superstep} never began, for the run ended with the one before: the last one to fork from is {last}"
    )]
    Over {
        /// What was asked for.
        superstep: u64,
        /// The last superstep.
        last: u64,
    },
    /// The records of its older supersteps are gone, and with them all that a fork could begin with.
    #[error(
        "what its supersteps had committed is gone, for its log was compacted: only superstep 0 is left to fork from"
    )]
    Compacted,
    /// A change is refused.
    #[error("{}", refusals(.0))]
    Refused(Vec<(Mutation, Refusal)>),
    /// What the changes make of the graph is no graph to begin with.
    #[error("the graph would not be valid: {0}")]
    Graph(Problems),
    /// The records do not follow from each other.
    #[error(transparent)]
    Replay(#[from] ReplayError),
}

fn refusals(refused: &[(Mutation, Refusal)]) -> String {
    let one = |(mutation, refusal): &(Mutation, Refusal)| match mutation {
        Mutation::Set(set) => format!("{} cannot be set: {refusal}", set.field),
        Mutation::RemoveEdge(_)
        | Mutation::RemoveVertex(_)
        | Mutation::AddVertex(_)
        | Mutation::AddEdge(_)
        | Mutation::Adopt(_)
        | Mutation::Denied(_) => format!("{:?} is refused: {refusal}", mutation.kind()),
    };
    refused.iter().map(one).collect::<Vec<_>>().join("; ")
}

impl Fork {
    /// The records with which the new run begins, from those of `config`'s run. Whoever resumes them goes on
    /// from there. Calls that had not ended by then are calls of the new run, if they are made.
    ///
    /// # Errors
    /// The run has no such superstep, or a change is refused.
    pub fn records(
        &self,
        config: RunConfig,
        expressions: &Arc<dyn Expressions + Send + Sync>,
        records: &[Record],
    ) -> Result<Vec<Record>, ForkError> {
        let Some(Record::RunStarted(before)) = records.first() else { return Err(ForkError::Empty) };
        if config.remains.is_some() && self.superstep > 0 {
            return Err(ForkError::Compacted);
        }
        let end = self.end(records)?;
        let prefix = own_part(&records[..end]);
        let mut started =
            RunStarted { run: self.run.clone(), started_at: self.started_at, ..RunStarted::clone(before) };
        let mut library = config.library;
        if self.superstep == 0 && !self.mutations.is_empty() {
            let root = started.graphs.get_mut(&started.root).ok_or(ForkError::Empty)?;
            let changed = self.changed(root, &**expressions)?;
            *root = Arc::new(changed.spec().clone());
            library.insert(started.root.clone(), changed);
        }
        let origin = Record::Forked { run: before.run.clone(), superstep: self.superstep };
        let started = Arc::new(started);
        let first = [Record::RunStarted(Arc::clone(&started))];
        let carried = config.carried.clone().map(Record::Continued);
        let known = (!config.costs.is_empty()).then(|| Record::Known(config.costs.clone()));
        let start = first.into_iter().chain(carried).chain([origin]).chain(known);
        let mut forked: Vec<Record> = start.chain(prefix).collect();
        let mut solo =
            Solo::new(RunConfig { started, library, remains: None, ..config }, Arc::clone(expressions));
        if self.superstep == 0 || self.mutations.is_empty() {
            solo.replay(&forked)?;
        } else {
            self.change(&mut solo, &mut forked)?;
        }
        Ok(forked)
    }

    /// Where the records end that were written up to the commit before the superstep.
    fn end(&self, records: &[Record]) -> Result<usize, ForkError> {
        let Some(wanted) = self.superstep.checked_sub(1) else { return Ok(1) };
        let mut last = 0;
        for (position, record) in records.iter().enumerate() {
            let Record::Committed(commit) = record else { continue };
            last = commit.superstep + 1;
            if commit.superstep != wanted {
                continue;
            }
            return match commit.closing {
                Some(_) => Err(ForkError::Over { superstep: self.superstep, last: wanted }),
                None => Ok(position + 1),
            };
        }
        Err(ForkError::Future { superstep: self.superstep, last })
    }

    /// Lets the last commit of `forked` judge the changes too.
    fn change(&self, solo: &mut Solo, forked: &mut Vec<Record>) -> Result<(), ForkError> {
        let Some(Record::Committed(last)) = forked.pop() else { return Err(ForkError::Empty) };
        let requester = format!("fork {}", self.run);
        let mutations = self.mutations.clone();
        let patch = Patch { class: PriorityClass::Person, requester: requester.clone(), mutations };
        forked.push(Record::Patched(patch));
        solo.replay(forked)?;
        while solo.poll_action().is_some() {}
        let made = solo.commit_again(&last, &requester);
        let made = made.map_err(|why| ReplayError { position: forked.len(), why })?;
        forked.push(Record::Committed(made));
        let mut refused = Vec::new();
        while let Some(action) = solo.poll_action() {
            if let Action::Notify(Notice::Mutated { requester: asked, mutation, verdict, .. }) = action
                && let Verdict::Refused(refusal) = verdict
                && asked == requester
            {
                refused.push((mutation, refusal));
            }
        }
        if refused.is_empty() { Ok(()) } else { Err(ForkError::Refused(refused)) }
    }

    /// What the changes make of the graph with which the run begins.
    fn changed(&self, base: &GraphSpec, expressions: &dyn Expressions) -> Result<ValidatedGraph, ForkError> {
        let request = |(request, mutation): (u32, &Mutation)| Request {
            order: MutationOrder { class: PriorityClass::Person, requester: String::new(), request },
            mutation: mutation.clone(),
            capabilities: Capabilities::unlimited(),
        };
        let requests: Vec<Request> = (0u32..).zip(&self.mutations).map(request).collect();
        let folded = fold(base, &[], &requests, u64::MAX, expressions);
        let judged = self.mutations.iter().zip(folded.verdicts);
        let refused = judged.filter_map(|(mutation, verdict)| match verdict {
            Verdict::Refused(refusal) => Some((mutation.clone(), refusal)),
            Verdict::Applied | Verdict::Collapsed => None,
        });
        let refused: Vec<_> = refused.collect();
        if !refused.is_empty() {
            return Err(ForkError::Refused(refused));
        }
        validate(&folded.spec).map_err(ForkError::Graph)
    }
}

/// What of a run's records another run can have: not who drove it and where it came from, and not what it
/// was about to call.
fn own_part(records: &[Record]) -> impl Iterator<Item = Record> {
    let ended = calls_that_ended(records);
    let kept = move |record: &&Record| match record {
        Record::RunStarted(_)
        | Record::EpochTaken { .. }
        | Record::Forked { .. }
        | Record::Continued(_)
        | Record::Placed(_)
        | Record::Ended(_)
        | Record::Known(_)
        | Record::Compacted(_)
        | Record::Told(_)
        | Record::RunSuspended(_) => false,
        Record::CallIntent { call, .. } => ended.contains(call),
        Record::CallEnded { .. }
        | Record::AttemptFailed { .. }
        | Record::Suspended { .. }
        | Record::Answered { .. }
        | Record::Patched(_)
        | Record::Committed(_)
        | Record::Measured(_) => true,
    };
    records.iter().filter(kept).cloned()
}

/// The calls of which an outcome is known, about which a person was asked, or whose activation is over.
fn calls_that_ended(records: &[Record]) -> BTreeSet<CallKey> {
    let mut ended = BTreeSet::new();
    let mut open: BTreeMap<(FrameId, VertexName), BTreeSet<CallKey>> = BTreeMap::new();
    let place = |activation: &ActivationId| (activation.frame, activation.vertex.clone());
    for record in records {
        match record {
            Record::CallIntent { call, .. } => {
                open.entry(place(&call.activation)).or_default().insert(call.clone());
            }
            Record::CallEnded { call, .. } | Record::Suspended { doubt: Some(call), .. } => {
                ended.insert(call.clone());
            }
            Record::Committed(commit) => {
                for completion in &commit.completed {
                    let over = open.remove(&(completion.frame, completion.vertex.clone()));
                    ended.extend(over.into_iter().flatten());
                }
            }
            Record::RunStarted(_)
            | Record::EpochTaken { .. }
            | Record::AttemptFailed { .. }
            | Record::Suspended { doubt: None, .. }
            | Record::Answered { .. }
            | Record::Patched(_)
            | Record::Ended(_)
            | Record::Known(_)
            | Record::Measured(_)
            | Record::Forked { .. }
            | Record::Continued(_)
            | Record::Placed(_)
            | Record::Compacted(_)
            | Record::Told(_)
            | Record::RunSuspended(_) => {}
        }
    }
    ended
}
