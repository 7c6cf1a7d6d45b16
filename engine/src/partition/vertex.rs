//! The state of one vertex: its value, its inbox, its join, and what it keeps.

use superstep_graph::{
    Delivery, Edge, EdgeIx, JoinMode, Port, SlotIx, Topology, Vertex, VertexIx, VertexName,
};

use crate::defect::{self, Defect};
use crate::message::{MessageKey, Trail, firing_of};
use crate::payload::Payload;

/// A message that waits in an inbox.
#[derive(Clone, Debug)]
pub(super) struct Queued {
    pub(super) key: MessageKey,
    pub(super) payload: Payload,
    pub(super) trail: Trail,
    pub(super) rank: Rank,
    /// The edge that it came over, if that is still there.
    pub(super) via: Option<EdgeIx>,
}

/// What a waiting message does for its receiver's join.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rank {
    /// It fills a slot.
    Counted(SlotIx),
    /// It activates on its own: a direct message, or one over an edge that the join does not count.
    Uncounted,
    /// Its edge or sender was removed: it waits for the next firing.
    Orphan,
}

/// A message that stays visible as `from.X`.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) key: MessageKey,
    pub(super) payload: Payload,
}

/// One vertex of a partition.
#[derive(Clone, Debug)]
pub(super) struct VertexState {
    pub(super) incarnation: u32,
    pub(super) value: Payload,
    pub(super) inbox: Vec<Queued>,
    pub(super) kept: Vec<Kept>,
    pub(super) flight: Option<u32>,
    join: JoinState,
}

/// Slots of a join; empty for mode Any, which needs none.
#[derive(Clone, Debug, Default)]
struct JoinState {
    filled: Vec<u32>,
    owes: Vec<u32>,
    firing: u64,
}

/// What the inbox of a vertex that is not in flight leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Readiness {
    /// Nothing waits.
    Idle,
    /// The join is satisfied and drains everything.
    Fires,
    /// Only messages that activate on their own are drained.
    Poked,
    /// Messages wait for the join.
    HalfFilled,
}

impl VertexState {
    pub(super) fn new(vertex: &Vertex, incarnation: u32) -> Self {
        let mut state = Self {
            incarnation,
            value: initial_value(vertex),
            inbox: Vec::new(),
            kept: Vec::new(),
            flight: None,
            // Numbers of firings are never used twice: what descends from an earlier vertex of the name
            // descends from no firing of this one.
            join: JoinState { firing: u64::from(incarnation) << 32, ..JoinState::default() },
        };
        state.resize_join(vertex);
        state
    }

    /// Whether the value is not the one that the graph gives.
    pub(super) fn has_changed(&self, vertex: &Vertex) -> bool {
        !self.value.says(&vertex.spec.value)
    }

    fn resize_join(&mut self, vertex: &Vertex) {
        let slots = if vertex.join.mode == JoinMode::Any { 0 } else { vertex.join.slots.len() };
        self.join.filled = vec![0; slots];
        self.join.owes.resize(slots, 0);
    }

    /// Puts a message into the inbox; or gives it back, where the round that it belongs to is over.
    pub(super) fn receive(
        &mut self,
        message: Queued,
        name: &VertexName,
        mode: JoinMode,
    ) -> Result<(), Queued> {
        if let Rank::Counted(SlotIx(slot)) = message.rank
            && mode != JoinMode::Any
        {
            let slot = slot as usize;
            if mode == JoinMode::Quorum && self.join.owes[slot] > 0 {
                if firing_of(&message.trail, name) != Some(self.join.firing) {
                    self.join.owes[slot] -= 1;
                    return Err(message);
                }
                self.join.owes[slot] = 0;
            }
            self.join.filled[slot] += 1;
        }
        self.inbox.push(message);
        Ok(())
    }

    pub(super) fn readiness(&self, vertex: &Vertex) -> Readiness {
        if self.inbox.is_empty() {
            return Readiness::Idle;
        }
        let has = |wanted: fn(Rank) -> bool| self.inbox.iter().any(|message| wanted(message.rank));
        let counted = |rank| matches!(rank, Rank::Counted(_));
        let satisfied = match vertex.join.mode {
            JoinMode::Any => has(counted),
            JoinMode::All | JoinMode::Quorum => self.slots_filled() >= vertex.join.need,
        };
        if satisfied {
            Readiness::Fires
        } else if has(|rank| rank == Rank::Uncounted) {
            Readiness::Poked
        } else {
            Readiness::HalfFilled
        }
    }

    fn slots_filled(&self) -> usize {
        self.join.filled.iter().filter(|count| **count > 0).count()
    }

    /// Slots without a message, under the present revision.
    pub(super) fn missing(&self, vertex: &Vertex) -> Vec<SlotIx> {
        let filled = |slot: usize| match vertex.join.mode {
            JoinMode::Any => false,
            JoinMode::All | JoinMode::Quorum => self.join.filled[slot] > 0,
        };
        (0u32..).take(vertex.join.slots.len()).filter(|slot| !filled(*slot as usize)).map(SlotIx).collect()
    }

    /// Slots that owe a message of a round that is over.
    pub(super) fn owing(&self) -> Vec<SlotIx> {
        (0u32..).zip(&self.join.owes).filter(|(_, owes)| **owes > 0).map(|(slot, _)| SlotIx(slot)).collect()
    }

    pub(super) fn pardon(&mut self, slot: SlotIx) {
        if let Some(owes) = self.join.owes.get_mut(slot.0 as usize) {
            *owes = 0;
        }
    }

    /// Empties every slot and forgets what it owes.
    pub(super) fn forget_join(&mut self) {
        self.join.filled.fill(0);
        self.join.owes.fill(0);
    }

    /// The slots that will owe when the join fires.
    pub(super) fn owed_after_firing(&self, vertex: &Vertex) -> Vec<SlotIx> {
        let owes = |slot: &SlotIx| self.join.owes.get(slot.0 as usize).is_some_and(|owes| *owes > 0);
        let missing = self.missing(vertex);
        (0u32..)
            .take(vertex.join.slots.len())
            .map(SlotIx)
            .filter(|slot| missing.contains(slot) || owes(slot))
            .collect()
    }

    /// Takes what an activation drains, in the order of message ids. A firing also opens the next
    /// round of the join; its number is returned for a quorum.
    pub(super) fn drain(&mut self, vertex: &Vertex, fires: bool) -> (Vec<Queued>, Option<u64>) {
        let mut drained = if fires {
            std::mem::take(&mut self.inbox)
        } else {
            let (drained, rest) = std::mem::take(&mut self.inbox)
                .into_iter()
                .partition(|message| message.rank == Rank::Uncounted);
            self.inbox = rest;
            drained
        };
        if drained.len() > 1 {
            drained.sort_by(|a, b| a.key.cmp(&b.key));
            if defect::is(Defect::HashOrder) {
                let first = defect::salt() % drained.len();
                drained.rotate_left(first);
            }
        }
        (drained, if fires { self.next_round(vertex.join.mode) } else { None })
    }

    /// Takes everything that waits, without a firing.
    pub(super) fn empty(&mut self) -> Vec<Queued> {
        self.join.filled.fill(0);
        let mut waiting = std::mem::take(&mut self.inbox);
        waiting.sort_by(|a, b| a.key.cmp(&b.key));
        waiting
    }

    fn next_round(&mut self, mode: JoinMode) -> Option<u64> {
        let number = match mode {
            JoinMode::Any | JoinMode::All => None,
            JoinMode::Quorum => {
                for (owes, filled) in self.join.owes.iter_mut().zip(&self.join.filled) {
                    *owes += u32::from(*filled == 0 && !defect::is(Defect::DebtForgotten));
                }
                self.join.firing += 1;
                Some(self.join.firing)
            }
        };
        self.join.filled.fill(0);
        number
    }

    /// Keeps the last message of an edge visible. Kept messages stand in the order of their ids.
    pub(super) fn keep(&mut self, key: &MessageKey, payload: &Payload) {
        self.kept.retain(|kept| kept.key.from != key.from || kept.key.port != key.port);
        let at = self.kept.partition_point(|kept| kept.key < *key);
        self.kept.insert(at, Kept { key: key.clone(), payload: payload.clone() });
    }

    /// Fits the state to a changed graph: messages whose edge or sender is gone become orphans,
    /// slots are counted anew, and rounds are carried over slot by slot. What waited on an edge that is passive
    /// in the new graph is kept, as if it had come over it, and given back.
    pub(super) fn adopt(
        &mut self,
        old: (&Topology, VertexIx),
        new: (&Topology, VertexIx),
        removed: &[VertexName],
    ) -> Vec<Queued> {
        let (before, after) = (old.0.vertex(old.1), new.0.vertex(new.1));
        let owed: Vec<(VertexName, u32)> = before
            .join
            .slots
            .iter()
            .zip(&self.join.owes)
            .filter_map(|(from, owes)| from.map(|from| (old.0.vertex(from).name.clone(), *owes)))
            .collect();
        self.join.owes.clear();
        self.resize_join(after);
        for (name, owes) in owed {
            let position =
                new.0.find(&name).and_then(|from| after.join.slots.binary_search(&Some(from)).ok());
            if let Some(owing) = position.and_then(|position| self.join.owes.get_mut(position)) {
                *owing = owes;
            }
        }
        let edge = |key: &MessageKey| {
            let at = edge_ix(new.0, &key.from, &key.port, &after.name)?;
            (!removed.contains(&key.from)).then(|| new.0.edge(at))
        };
        self.kept.retain(|kept| edge(&kept.key).is_some_and(keeps));
        let is_passive = |message: &Queued| {
            let waits_for_edge = message.rank != Rank::Orphan && !message.key.direct;
            waits_for_edge && edge(&message.key).is_some_and(|edge| edge.delivery == Delivery::Passive)
        };
        let (mut passive, inbox): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.inbox).into_iter().partition(is_passive);
        self.inbox = inbox;
        passive.sort_by(|a, b| a.key.cmp(&b.key));
        passive.iter().for_each(|message| self.keep(&message.key, &message.payload));
        for message in &mut self.inbox {
            message.rank = rank_after(message, new.0, &after.name, removed);
            let known = message.rank != Rank::Orphan && !message.key.direct;
            message.via =
                known.then(|| edge_ix(new.0, &message.key.from, &message.key.port, &after.name)).flatten();
            if let Rank::Counted(SlotIx(slot)) = message.rank
                && let Some(filled) = self.join.filled.get_mut(slot as usize)
            {
                *filled += 1;
            }
        }
        passive
    }
}

/// Whether an edge keeps its last message visible.
pub(super) fn keeps(edge: &Edge) -> bool {
    edge.retain || edge.delivery == Delivery::Passive
}

fn rank_after(message: &Queued, topology: &Topology, to: &VertexName, removed: &[VertexName]) -> Rank {
    if message.rank == Rank::Orphan || message.key.direct {
        return message.rank;
    }
    match edge_of(topology, &message.key.from, &message.key.port, to) {
        Some(edge) if !removed.contains(&message.key.from) => rank_of(edge),
        Some(_) | None => Rank::Orphan,
    }
}

/// The value before the first activation; most vertices have none.
fn initial_value(vertex: &Vertex) -> Payload {
    let value = &vertex.spec.value;
    if value.is_null() { Payload::null() } else { Payload::from(value.clone()) }
}

/// What a message over `edge` does for the join.
pub(super) fn rank_of(edge: &Edge) -> Rank {
    edge.slot.map_or(Rank::Uncounted, Rank::Counted)
}

/// The edge that a message came over, if it is still there.
pub(super) fn edge_of<'a>(
    topology: &'a Topology,
    from: &VertexName,
    port: &Port,
    to: &VertexName,
) -> Option<&'a Edge> {
    edge_ix(topology, from, port, to).map(|edge| topology.edge(edge))
}

/// The place of that edge.
pub(super) fn edge_ix(
    topology: &Topology,
    from: &VertexName,
    port: &Port,
    to: &VertexName,
) -> Option<EdgeIx> {
    let from = topology.find(from)?;
    topology.find_edge(from, port, to)
}
