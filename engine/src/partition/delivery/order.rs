//! The order in which messages are delivered: by receiver, then by identity.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use superstep_graph::{Topology, VertexName};

use super::super::frame::Frame;
use crate::defect::{self, Defect};
use crate::ids::FrameId;
use crate::message::{Routed, Target};

/// Puts messages in the order of their receivers and identities, and drops repetitions. Those whose receivers are known
/// by place come before those that name them.
///
/// Names are compared once, with the graph, whose order they have: a message has two of them, and would be held against
/// a dozen others by them.
pub(super) fn sort_and_dedup(messages: &mut Vec<Routed>, frames: &BTreeMap<FrameId, Frame>) {
    if messages.windows(2).all(|pair| by_name(&pair[0], &pair[1]) == Ordering::Less) {
        return;
    }
    let mut ranks = Ranks::default();
    let rank = |(at, message)| Ranked { rank: ranks.of(message, frames), at };
    let mut ranked: Vec<Ranked> = messages.iter().enumerate().map(rank).collect();
    // Of repetitions the one that came first is kept.
    ranked.sort_unstable_by(|one, other| {
        let names = || by_name(&messages[one.at], &messages[other.at]);
        one.rank.cmp(&other.rank).then_with(names).then(one.at.cmp(&other.at))
    });
    let mut taken: Vec<Option<Routed>> = std::mem::take(messages).into_iter().map(Some).collect();
    let all = defect::is(Defect::RepetitionsDelivered);
    let mut last = None;
    messages.reserve_exact(taken.len());
    for Ranked { rank, at } in ranked {
        let Some(message) = taken[at].take() else { continue };
        let near = messages.last().filter(|_| last == Some(rank) && !all);
        if near.is_none_or(|near| by_name(near, &message) != Ordering::Equal) {
            messages.push(message);
        }
        last = Some(rank);
    }
}

fn by_name(one: &Routed, other: &Routed) -> Ordering {
    (one.frame, &one.to, &one.key).cmp(&(other.frame, &other.to, &other.key))
}

/// A message by its place among those that are sorted. Two that differ in rank are in the order of their ranks.
struct Ranked {
    rank: u128,
    at: usize,
}

/// Where names stand in the graphs of frames. Messages of one sender stand together, and so do their receivers, so that
/// a name is most likely the last one or beside it.
#[derive(Default)]
struct Ranks {
    to: usize,
    from: usize,
}

impl Ranks {
    /// Frame, whether the receiver is named, where it stands, and where the sender does, from the highest bits on.
    fn of(&mut self, message: &Routed, frames: &BTreeMap<FrameId, Frame>) -> u128 {
        let topology = frames.get(&message.frame).map(|frame| &*frame.topology);
        let (named, to) = match &message.to {
            Target::At(at) => (false, u64::from(at.0)),
            Target::Absent(name) => (true, standing(topology, name, &mut self.to)),
        };
        // Receivers that are no vertices can stand at one place and differ: names tell, before the senders do.
        let is_known = !named || to % 2 == 1;
        let from = if is_known { standing(topology, &message.key.from, &mut self.from) } else { 0 };
        let receiver = u128::from(named) << 40 | u128::from(to);
        u128::from(message.frame.0) << 96 | receiver << 40 | u128::from(from)
    }
}

/// Where a name stands among those of a graph: an odd number if it is one of them, else the even one between those that
/// are its neighbours; the same for all names where there is no graph.
fn standing(topology: Option<&Topology>, name: &VertexName, last: &mut usize) -> u64 {
    let vertices = topology.map(Topology::vertices).unwrap_or_default();
    let is = |at: &usize| vertices.get(*at).is_some_and(|vertex| vertex.name == *name);
    let near = [*last, last.wrapping_add(1), last.wrapping_sub(1)].into_iter().find(is);
    let found = near.map_or_else(|| vertices.binary_search_by(|vertex| vertex.name.cmp(name)), Ok);
    match found {
        Ok(at) => {
            *last = at;
            2 * at as u64 + 1
        }
        Err(between) => 2 * between as u64,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;
    use superstep_graph::{GraphSpec, Port, ValidatedGraph, VertexIx};

    use super::*;
    use crate::homes::Homes;
    use crate::message::MessageKey;
    use crate::payload::Payload;
    use crate::protocol::Opening;

    /// Names of vertices, and some that are none: before, between and behind them.
    const NAMES: [&str; 9] = ["a", "b1", "b10", "b2", "c", "gone", "m", "x", "z"];
    const VERTICES: [&str; 5] = ["b1", "b10", "b2", "m", "x"];

    fn frames() -> BTreeMap<FrameId, Frame> {
        let vertices: Vec<_> =
            VERTICES.iter().map(|name| json!({"name": name, "custom": {"name": "p"}})).collect();
        let spec: GraphSpec = serde_json::from_value(json!({"entry": ["b1"], "vertices": vertices})).unwrap();
        let open = |number| {
            let opening = Opening {
                frame: FrameId(number),
                graph: ValidatedGraph::after_mutation(spec.clone()),
                input: Payload::null(),
                parent: None,
                costs: None,
                carried: None,
            };
            (FrameId(number), Frame::open(&opening, &Homes::one()))
        };
        // The frame 1 is closed.
        [0, 2].map(open).into()
    }

    fn target() -> impl Strategy<Value = Target> {
        let named = proptest::sample::select(&NAMES[..]).prop_map(|name| Target::Absent(name.into()));
        prop_oneof![3 => named, 1 => (0_u32..5).prop_map(|at| Target::At(VertexIx(at)))]
    }

    fn message() -> impl Strategy<Value = Routed> {
        let from = proptest::sample::select(&NAMES[..]);
        (0_u32..3, target(), from, any::<bool>(), 0_u32..2, 0_u64..2).prop_map(
            |(frame, to, from, direct, ordinal, superstep)| Routed {
                frame: FrameId(frame),
                to,
                key: MessageKey {
                    from: from.into(),
                    incarnation: 0,
                    superstep,
                    direct,
                    port: Port::default(),
                    ordinal,
                },
                payload: Payload::null(),
                trail: None,
                orphan: false,
                passive: false,
                via: None,
            },
        )
    }

    proptest! {
        #[test]
        fn the_order_is_that_of_names_and_repetitions_are_dropped(
            mut messages in proptest::collection::vec(message(), 0..60),
        ) {
            let mut expected = messages.clone();
            expected.sort_by(by_name);
            expected.dedup_by(|one, other| by_name(one, other) == Ordering::Equal);
            sort_and_dedup(&mut messages, &frames());
            let same = |(one, other): (&Routed, &Routed)| by_name(one, other) == Ordering::Equal;
            prop_assert_eq!(messages.len(), expected.len());
            prop_assert!(messages.iter().zip(&expected).all(same));
        }
    }
}
