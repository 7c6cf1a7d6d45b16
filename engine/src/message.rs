//! Messages between vertices.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use superstep_graph::{EdgeIx, Port, VertexIx, VertexName};

use crate::ids::FrameId;
use crate::payload::Payload;

/// The identity of a message at its receiver: sender's activation, port and ordinal. Its order is
/// the order in which a program sees messages.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct MessageKey {
    /// The sender.
    pub from: VertexName,
    /// The sender's incarnation.
    pub incarnation: u32,
    /// The superstep in which the sender's activation started.
    pub superstep: u64,
    /// Whether it was sent without an edge.
    pub direct: bool,
    /// The port.
    pub port: Port,
    /// Its number among those of the same activation, port and receiver.
    pub ordinal: u32,
}

/// For each quorum join that a message descends from, by name, the number of the join's last firing.
pub type Trail = Option<Arc<Vec<(VertexName, u64)>>>;

/// The firing of `join` that `trail` descends from.
pub(crate) fn firing_of(trail: &Trail, join: &VertexName) -> Option<u64> {
    let passed = trail.as_ref()?;
    passed.binary_search_by(|(name, _)| name.cmp(join)).ok().map(|index| passed[index].1)
}

/// The trail of an activation that drained messages with `trails`, and fired `own` if it is a
/// quorum join.
pub(crate) fn merge<'a>(trails: impl Iterator<Item = &'a Trail>, own: Option<(VertexName, u64)>) -> Trail {
    let mut merged: Trail = None;
    for trail in trails {
        match (&merged, trail) {
            (_, None) => {}
            (None, Some(_)) => merged.clone_from(trail),
            (Some(one), Some(two)) if Arc::ptr_eq(one, two) => {}
            (Some(one), Some(two)) => {
                let mut all = (**one).clone();
                all.extend(two.iter().cloned());
                merged = Some(Arc::new(latest(all)));
            }
        }
    }
    let Some(own) = own else { return merged };
    let mut all = merged.map(|trail| (*trail).clone()).unwrap_or_default();
    all.push(own);
    Some(Arc::new(latest(all)))
}

fn latest(mut all: Vec<(VertexName, u64)>) -> Vec<(VertexName, u64)> {
    all.sort_by(|a, b| (&a.0, b.1).cmp(&(&b.0, a.1)));
    all.dedup_by(|a, b| a.0 == b.0);
    all
}

/// A committed message on its way.
#[derive(Clone, Debug)]
pub struct Routed {
    /// The frame of sender and receiver.
    pub frame: FrameId,
    /// The receiver.
    pub to: Target,
    /// Its identity at the receiver.
    pub key: MessageKey,
    /// What it says.
    pub payload: Payload,
    /// The quorum joins that it descends from.
    pub trail: Trail,
    /// Whether its edge or its sender was removed on its way.
    pub orphan: bool,
    /// Whether it came over a passive edge.
    pub passive: bool,
    /// The edge under the receiver's present revision, where that is known.
    pub via: Option<EdgeIx>,
}

/// The receiver of a message on its way. Those that are there come before those that are not.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// The vertex under the present revision. Only a message that stays in its partition has it.
    At(VertexIx),
    /// The name: of a vertex in another partition, or one that no vertex had when the message was routed.
    Absent(VertexName),
}

/// What finally became of a message. Every accepted message has exactly one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum MessageStatus {
    /// A program saw it, or it was kept on arrival over a passive edge.
    Delivered,
    /// It was folded into another.
    Combined,
    /// The condition of its edge was false.
    Filtered,
    /// It came after its quorum had fired without it.
    Late,
    /// It waited in a half-filled join that was skipped, or when a limit ended the run or frame.
    Buffered,
    /// It was not delivered when the run or frame ended, or its activation was cancelled.
    Cancelled,
    /// Its receiver is unknown, removed or unreachable.
    DeadLettered,
    /// It was sent directly to a vertex that its sender does not declare.
    Refused,
}
