//! Branches that lost a quorum, and can have no other observable effect.

use std::collections::{BTreeMap, BTreeSet};

use superstep_graph::{Delivery, JoinMode, OnUnknown, Program, SlotIx, ValidatedGraph, Vertex, VertexIx};

use super::reach::{reached_without, sources_of};

/// Which of `live` are cancelled when `join` fires owing `owed`.
pub(super) fn losers(
    graph: &ValidatedGraph,
    library: &BTreeMap<String, ValidatedGraph>,
    join: VertexIx,
    owed: &[SlotIx],
    live: &BTreeSet<VertexIx>,
) -> Vec<VertexIx> {
    let topology = graph.topology();
    let slots = &topology.vertex(join).join.slots;
    let targets: Vec<VertexIx> = owed.iter().filter_map(|slot| slots[slot.0 as usize]).collect();
    let candidates = sources_of(topology, &targets, join, false);
    live.iter()
        .copied()
        .filter(|at| *at != join && candidates[at.0 as usize])
        .filter(|at| !is_observable(graph, library, *at, join))
        .collect()
}

/// Whether anything that a user could notice is reached from `start`, the satisfied join and every
/// edge into it left out.
fn is_observable(
    graph: &ValidatedGraph,
    library: &BTreeMap<String, ValidatedGraph>,
    start: VertexIx,
    join: VertexIx,
) -> bool {
    let topology = graph.topology();
    reached_without(topology, start, join).into_iter().any(|at| {
        let vertex = topology.vertex(at);
        let passive =
            |edge: &superstep_graph::Edge| edge.delivery == Delivery::Passive && edge.to != Some(join);
        (at != start && vertex.join.mode != JoinMode::Any)
            || vertex.is_output
            || topology.out(at).any(|(_, edge)| passive(edge))
            || has_effects(vertex, graph, library)
    })
}

fn has_effects(vertex: &Vertex, graph: &ValidatedGraph, library: &BTreeMap<String, ValidatedGraph>) -> bool {
    let spec = &vertex.spec;
    if spec.sends.is_some() || spec.effects.mutations.is_some() || !spec.effects.contribute.is_empty() {
        return true;
    }
    // Nobody knows what the result of a registered program holds.
    let may_change = !graph.spec().mutations.allow.is_empty() || !graph.spec().aggregators.is_empty();
    (spec.custom.is_some() && may_change) || tool_inside(vertex, library, 0)
}

/// Whether it may do something outside that a repetition would do again. Of a sub-graph only that can
/// be noticed: its sends, mutations and aggregators stay inside.
fn tool_inside(vertex: &Vertex, library: &BTreeMap<String, ValidatedGraph>, depth: u32) -> bool {
    match vertex.spec.program() {
        // A program that is not declared to be repeatable counts as a tool that is not idempotent.
        Some(Program::Custom(_)) => vertex.spec.on_unknown != Some(OnUnknown::Retry),
        Some(Program::Graph(graph)) => library.get(&graph.reference.name).is_none_or(|inner| {
            depth > 16
                || inner.topology().vertices().iter().any(|vertex| tool_inside(vertex, library, depth + 1))
        }),
        Some(Program::Prompt(_) | Program::Function(_) | Program::Router(_)) | None => false,
    }
}
