//! No graph comes to a good end over a join that neither fired nor was reported.

use std::collections::{BTreeMap, BTreeSet};

use superstep_engine::{FailureClass, FrameId, MessageStatus, Notice, RunStatus};
use superstep_graph::{VertexName, WhenIncomplete};

use crate::scenario::Scenario;

/// What is known of the frame of a sub-graph.
#[derive(Debug)]
struct Frame {
    /// The superstep in which its own limit ends it, if it is still there.
    ends: u64,
    /// Whether a limit made something in it fail, which ends it too.
    limited: bool,
}

/// Where something waited in a join when a frame came to a good end, the run's own or that of a sub-graph or of an
/// element, though no join there said in that superstep that it was incomplete. What a limit ends may wait unsaid.
///
/// The notices are those of one partition, in their order.
pub(crate) fn unreported(
    scenario: &Scenario,
    notices: &[Notice],
    status: Option<&RunStatus>,
) -> Option<String> {
    let last = notices.iter().filter(|notice| matches!(notice, Notice::Committed { .. })).count() as u64;
    let mut superstep = 0;
    let mut frames: BTreeMap<FrameId, Frame> = BTreeMap::new();
    let mut reported: BTreeSet<(u64, FrameId, &VertexName)> = BTreeSet::new();
    for notice in notices {
        match notice {
            Notice::Committed { .. } => superstep += 1,
            Notice::Opened { frame, graph, by } => {
                let most = scenario.library.get(graph).map_or(0, |graph| graph.limits.supersteps);
                frames.insert(*frame, Frame { ends: by.superstep + most, limited: false });
            }
            Notice::Completed { activation, failure: Some(failure), .. }
                if failure.class == FailureClass::Limit =>
            {
                if let Some(frame) = frames.get_mut(&activation.frame) {
                    frame.limited = true;
                }
            }
            Notice::JoinIncomplete { frame, vertex, action: WhenIncomplete::Skip, .. } => {
                reported.insert((superstep, *frame, vertex));
            }
            Notice::Settled { frame, to, status: MessageStatus::Buffered, .. } => {
                let by_limit = frames.get(frame).is_some_and(|own| own.limited || superstep >= own.ends);
                // In the last superstep the end of the run ends all that is open.
                let with_run = superstep == last && status != Some(&RunStatus::Succeeded);
                if !by_limit && !with_run && !reported.contains(&(superstep, *frame, to)) {
                    return Some(format!("{to} of frame {} in superstep {superstep}", frame.0));
                }
            }
            Notice::SuperstepStarted { .. }
            | Notice::Started { .. }
            | Notice::Called(_)
            | Notice::Retrying { .. }
            | Notice::Asked { .. }
            | Notice::Completed { .. }
            | Notice::Cancelled { .. }
            | Notice::JoinIncomplete { .. }
            | Notice::Settled { .. }
            | Notice::Mutated { .. }
            | Notice::Paused
            | Notice::Resumed { .. }
            | Notice::Ended { .. }
            | Notice::Suspended => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use superstep_engine::{LimitKind, Opener};
    use superstep_graph::{GraphSpec, Port, ValidatedGraph};

    use super::*;

    fn inner() -> Scenario {
        let mut spec = GraphSpec::default();
        spec.limits.supersteps = 3;
        Scenario { library: [("inner".to_owned(), spec)].into(), ..Scenario::default() }
    }

    fn opened(frame: u32) -> Notice {
        let by = Opener { frame: FrameId::ROOT, vertex: "open".into(), superstep: 0, element: 1 };
        Notice::Opened { frame: FrameId(frame), graph: "inner".to_owned(), by }
    }

    fn committed(superstep: u64) -> Notice {
        let revision = ValidatedGraph::after_mutation(GraphSpec::default()).revision();
        Notice::Committed { superstep, completed: 1, revision }
    }

    fn waited(frame: u32) -> Notice {
        let (from, to, port) = ("a".into(), "join".into(), Port::default());
        let (frame, status) = (FrameId(frame), MessageStatus::Buffered);
        Notice::Settled { frame, from, port, to, sent: 0, taken: None, status }
    }

    fn skipped(frame: u32) -> Notice {
        let (frame, vertex, action) = (FrameId(frame), "join".into(), WhenIncomplete::Skip);
        Notice::JoinIncomplete { frame, vertex, action, missing: Vec::new() }
    }

    #[test]
    fn what_waits_is_reported_in_its_own_frame_and_superstep() {
        let succeeded = Some(&RunStatus::Succeeded);
        let found = |notices: &[Notice]| unreported(&inner(), notices, succeeded).is_some();
        assert!(found(&[committed(0), waited(0)]));
        assert!(!found(&[committed(0), skipped(0), waited(0)]));
        assert!(found(&[opened(4), committed(0), waited(4), committed(1)]));
        assert!(!found(&[opened(4), committed(0), skipped(4), waited(4), committed(1)]));
        assert!(found(&[opened(4), opened(5), committed(0), skipped(5), waited(4), committed(1)]));
        assert!(found(&[opened(4), skipped(4), committed(0), waited(4), committed(1)]));
    }

    #[test]
    fn what_a_limit_ends_may_wait_unsaid() {
        let (early, late) = (
            [opened(4), committed(0), committed(1), waited(4), committed(2)],
            [opened(4), committed(0), committed(1), committed(2), waited(4), committed(3)],
        );
        let succeeded = Some(&RunStatus::Succeeded);
        assert!(unreported(&inner(), &early, succeeded).is_some());
        assert_eq!(unreported(&inner(), &late, succeeded), None);
        let limit = RunStatus::LimitReached(LimitKind::Calls);
        let with_run = [opened(4), committed(0), waited(4), waited(0)];
        assert_eq!(unreported(&inner(), &with_run, Some(&limit)), None);
        assert!(unreported(&inner(), &early, Some(&limit)).is_some());
    }
}
