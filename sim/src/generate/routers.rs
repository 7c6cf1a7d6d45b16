//! Routers that weigh costs, in place of other vertices.

use superstep_graph::{
    CheapestPath, CostUnit, Delivery, EdgeCost, FastestPath, GraphSpec, ParetoPath, Port, RouterProgram,
    VertexName, Weights,
};

use crate::random::Random;

/// Makes routers of some vertices from which several edges lead on. Where nothing may depend on time they
/// weigh tokens, which do not. They are drawn from the graph itself, so that other graphs of a seed stay the same.
pub(super) fn some(loose: bool, spec: &mut GraphSpec) {
    let text = serde_json::to_string(spec).unwrap_or_default();
    let [a, b, c, d, e, f, g, h, ..] = *blake3::hash(text.as_bytes()).as_bytes();
    let random = &mut Random::new(u64::from_le_bytes([a, b, c, d, e, f, g, h]));
    for at in 0..spec.vertices.len() {
        let name = spec.vertices[at].name.clone();
        let ways = spec.edges.iter().filter(|edge| edge.from == name && edge.delivery == Delivery::Active);
        if ways.count() < 2 || spec.vertices[at].for_each.is_some() || !random.chance(20) {
            continue;
        }
        part(random, spec, &name);
        let names: Vec<VertexName> = spec.vertices.iter().map(|vertex| vertex.name.clone()).collect();
        let later = &names[(at + 1).min(names.len() - 1)..];
        let router = router(random, loose, random_of(later, spec, &name));
        let vertex = &mut spec.vertices[at];
        (vertex.custom, vertex.graph, vertex.router) = (None, None, Some(Box::new(router)));
        vertex.effects = superstep_graph::Effects::default();
    }
}

/// Gives each edge of a router a port of its own.
fn part(random: &mut Random, spec: &mut GraphSpec, name: &VertexName) {
    for (number, edge) in spec.edges.iter_mut().filter(|edge| edge.from == *name).enumerate() {
        if edge.delivery == Delivery::Active && edge.port.as_str() != Port::ERROR {
            edge.port = Port::from(format!("r{number}"));
            let tokens = u32::try_from(random.below(60)).unwrap_or(0);
            edge.cost = random.chance(50).then(|| EdgeCost { tokens: tokens.into(), ..EdgeCost::default() });
        }
    }
}

/// The last vertex that comes later and is reached over one edge or two, else the last of all.
fn random_of(later: &[VertexName], spec: &GraphSpec, from: &VertexName) -> VertexName {
    let leads = |from: &VertexName, to: &VertexName| {
        let edge = |edge: &&superstep_graph::EdgeSpec| edge.from == *from && edge.to == *to;
        spec.edges
            .iter()
            .filter(edge)
            .any(|edge| edge.delivery == Delivery::Active && edge.port.as_str() != Port::ERROR)
    };
    let reached = |to: &&VertexName| {
        leads(from, to) || later.iter().any(|between| leads(from, between) && leads(between, to))
    };
    later.iter().rev().find(reached).or(later.last()).cloned().unwrap_or_else(|| from.clone())
}

fn router(random: &mut Random, loose: bool, to: VertexName) -> RouterProgram {
    let explore = random.chance(40).then(|| u32::try_from(random.between(1, 4)).unwrap_or(1));
    let tokens = Weights { tokens: 1.0, ..Weights::default() };
    let by_tokens = CheapestPath { to: to.clone(), weigh: Some(tokens), explore };
    match random.below(if loose { 4 } else { 1 }) {
        0 => RouterProgram { cheapest: Some(by_tokens), ..RouterProgram::default() },
        1 => {
            let cheapest = CheapestPath { weigh: None, ..by_tokens };
            RouterProgram { cheapest: Some(cheapest), ..RouterProgram::default() }
        }
        2 => RouterProgram { fastest: Some(FastestPath { to, explore }), ..RouterProgram::default() },
        _ => {
            let prefer = random.pick(&[None, Some(CostUnit::Latency), Some(CostUnit::Tokens)]);
            RouterProgram { pareto: Some(ParetoPath { to, prefer, explore }), ..RouterProgram::default() }
        }
    }
}
