//! What became of the mutations that were asked of a run, as its log tells.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use superstep_engine::{FrameId, Notice, Record, Remains};
use superstep_graph::{Mutation, Revision, Verdict};
use superstep_store::RunName;

use super::{RunError, config_of, told_by};
use crate::programs::Programs;

/// What one requester asked for that was judged at one barrier.
#[derive(Clone, Debug, PartialEq)]
pub struct JudgedPatch {
    /// Who asked: the name of the patch, or of the activation.
    pub requester: String,
    /// Whether it came from outside, and not from a vertex.
    pub from_outside: bool,
    /// The frame whose graph it is about.
    pub frame: FrameId,
    /// The superstep at whose barrier it was judged; of what the end of the run left unjudged, the one that did not
    /// take place any more.
    pub superstep: u64,
    /// Its mutations, with what became of each.
    pub mutations: Vec<(Mutation, Verdict)>,
    /// The revision of the frame's graph behind the barrier; none of a sub-graph that the barrier did not change, and
    /// where the records are gone that told it.
    pub revision: Option<Revision>,
}

/// What became of the mutations that were asked of a run, by its vertices and from outside, in the order in which they
/// were judged. In a compacted run only what its log still tells is there.
///
/// # Errors
/// The records do not follow from each other, or a graph is not valid to this version.
pub fn judged(
    name: &RunName,
    records: &[Record],
    programs: &Arc<Programs>,
) -> Result<Vec<JudgedPatch>, RunError> {
    let config = config_of(name, records)?;
    let begun = config.library.get(&config.started.root).map(superstep_graph::ValidatedGraph::revision);
    let asked = Asked::of(records);
    let mut judging = Judging { superstep: asked.kept_from, root: begun, ..Judging::default() };
    told_by(config, (name, records), programs, |notice, _| judging.notice(notice, &asked))?;
    judging.close(&asked);
    Ok(judging.judged)
}

/// What the records say beside what follows from them.
struct Asked {
    /// Who asked from outside; none if the records that tell it are gone.
    outside: Option<BTreeSet<String>>,
    /// The revisions that barriers made.
    made: BTreeMap<(u64, FrameId), Revision>,
    /// The first superstep of which the log has everything.
    kept_from: u64,
}

impl Asked {
    fn of(records: &[Record]) -> Self {
        let requesters = records.iter().filter_map(|record| {
            if let Record::Patched(patch) = record { Some(patch.requester.clone()) } else { None }
        });
        let commits = records
            .iter()
            .filter_map(|record| if let Record::Committed(commit) = record { Some(commit) } else { None });
        let made = commits.flat_map(|commit| {
            commit.revisions.iter().map(|(frame, revision)| ((commit.superstep, *frame), *revision))
        });
        let remains = Remains::of(records);
        Self {
            outside: remains.is_none().then(|| requesters.collect()),
            made: made.collect(),
            kept_from: remains.map_or(0, |remains| remains.from),
        }
    }

    fn is_outside(&self, requester: &str) -> bool {
        // The name of an activation has the superstep in which it started.
        self.outside.as_ref().map_or_else(|| !requester.contains('@'), |outside| outside.contains(requester))
    }
}

/// Gathers what is told of mutations.
#[derive(Default)]
struct Judging {
    judged: Vec<JudgedPatch>,
    /// How many of them were judged at barriers that are known to be over.
    closed: usize,
    superstep: u64,
    /// The revision of the run's own graph.
    root: Option<Revision>,
}

impl Judging {
    fn notice(&mut self, notice: Notice, asked: &Asked) {
        match notice {
            Notice::Mutated { frame, requester, mutation, verdict } => {
                self.mutated(frame, requester, (mutation, verdict), asked);
            }
            Notice::Committed { superstep, revision, .. } => {
                self.root = Some(revision);
                self.superstep = superstep;
                self.close(asked);
                self.superstep = superstep + 1;
            }
            Notice::SuperstepStarted { .. }
            | Notice::Started { .. }
            | Notice::Opened { .. }
            | Notice::Called(_)
            | Notice::Retrying { .. }
            | Notice::Asked { .. }
            | Notice::Completed { .. }
            | Notice::Cancelled { .. }
            | Notice::JoinIncomplete { .. }
            | Notice::Settled { .. }
            | Notice::Paused
            | Notice::Suspended
            | Notice::Resumed { .. }
            | Notice::Ended { .. } => {}
        }
    }

    fn mutated(&mut self, frame: FrameId, requester: String, judged: (Mutation, Verdict), asked: &Asked) {
        let open = self.judged.get_mut(self.closed..).and_then(<[_]>::last_mut);
        if let Some(same) = open.filter(|open| open.frame == frame && open.requester == requester) {
            same.mutations.push(judged);
            return;
        }
        self.judged.push(JudgedPatch {
            from_outside: asked.is_outside(&requester),
            requester,
            frame,
            superstep: 0,
            mutations: vec![judged],
            revision: None,
        });
    }

    /// Gives what was judged since the last barrier the superstep and the revision of this one.
    fn close(&mut self, asked: &Asked) {
        for judged in self.judged.iter_mut().skip(self.closed) {
            judged.superstep = self.superstep;
            judged.revision = match judged.frame {
                FrameId::ROOT => self.root,
                frame => asked.made.get(&(self.superstep, frame)).copied(),
            };
        }
        self.closed = self.judged.len();
    }
}
