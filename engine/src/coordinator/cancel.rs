//! Branches that lost a quorum, and can have no other observable effect.

use std::collections::{BTreeMap, BTreeSet};

use superstep_graph::{
    Delivery, JoinMode, OnUnknown, Program, SlotIx, ToolSpec, ValidatedGraph, Vertex, VertexIx, VertexName,
};

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
            || has_effects(graph, vertex, library)
    })
}

fn has_effects(graph: &ValidatedGraph, vertex: &Vertex, library: &BTreeMap<String, ValidatedGraph>) -> bool {
    let spec = &vertex.spec;
    // Nobody knows what the result of a registered program holds.
    let may_change = !graph.spec().mutations.allow.is_empty() || !graph.spec().aggregators.is_empty();
    spec.sends.is_some()
        || (spec.custom.is_some() && may_change)
        || spec.effects.mutations.is_some()
        || !spec.effects.contribute.is_empty()
        || reaches_outside(graph, vertex, library, 0)
}

/// Whether its program does something outside that is not to be done twice. Of a sub-graph only that can
/// be noticed: its sends, mutations and aggregators stay inside.
fn reaches_outside(
    graph: &ValidatedGraph,
    vertex: &Vertex,
    library: &BTreeMap<String, ValidatedGraph>,
    depth: u32,
) -> bool {
    let is_repeatable = vertex.spec.on_unknown == Some(OnUnknown::Retry);
    match vertex.spec.program() {
        // Somebody may be at the answer.
        Some(Program::Human(_)) => true,
        // A program that is not declared to be repeatable counts as a tool that is not idempotent.
        Some(Program::Custom(_)) => !is_repeatable,
        Some(Program::Tool(_) | Program::Agent(_)) => {
            !is_repeatable && !vertex.spec.tools_used().all(|tool| is_idempotent(graph, tool))
        }
        Some(Program::Graph(inner)) => library.get(&inner.reference.name).is_none_or(|inner| {
            let mut vertices = inner.topology().vertices().iter();
            depth > 16 || vertices.any(|vertex| reaches_outside(inner, vertex, library, depth + 1))
        }),
        Some(Program::Function(function)) => {
            !is_repeatable && function.command.as_ref().is_some_and(|command| !command.idempotent)
        }
        Some(
            Program::Prompt(_)
            | Program::Judge(_)
            | Program::Router(_)
            | Program::Embed(_)
            | Program::Retrieve(_)
            | Program::Algorithm(_),
        )
        | None => false,
    }
}

fn is_idempotent(graph: &ValidatedGraph, tool: &VertexName) -> bool {
    let tools = &graph.spec().tools;
    tools.iter().find(|known| known.name == *tool).is_some_and(ToolSpec::is_idempotent)
}
