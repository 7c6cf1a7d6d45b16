//! Random changes of a graph, sensible and otherwise.

use serde_json::json;
use superstep_graph::{
    Delivery, EdgeRef, EdgeSpec, GraphSpec, Mutation, Port, SetField, VertexName, VertexRef,
};

use crate::behaviour::Behaviour;
use crate::random::Random;
use crate::scenario::vertex;

/// One to four changes of `graph`.
pub(super) fn some(random: &mut Random, graph: &GraphSpec) -> Vec<Mutation> {
    (0..random.between(1, 4)).filter_map(|_| one(random, graph)).collect()
}

fn one(random: &mut Random, graph: &GraphSpec) -> Option<Mutation> {
    let names: Vec<VertexName> = graph.vertices.iter().map(|vertex| vertex.name.clone()).collect();
    let with_new: Vec<VertexName> =
        if names.is_empty() { new_names() } else { names.iter().cloned().chain(new_names()).collect() };
    Some(match random.below(6) {
        0 => Mutation::RemoveEdge(random_edge(random, graph)?),
        1 => Mutation::RemoveVertex(VertexRef { name: random.pick(&with_new) }),
        2 | 3 => {
            let behaviour = Behaviour {
                calls: u32::from(random.chance(30)),
                until: 4,
                contributes: graph.aggregators.iter().map(|known| known.name.clone()).collect(),
                ..Behaviour::default()
            };
            // Also a vertex that has just been removed comes back.
            Mutation::AddVertex(Box::new(vertex(random.pick(&with_new).as_str(), &behaviour)))
        }
        4 => Mutation::AddEdge(EdgeSpec {
            from: random.pick(&with_new),
            to: random.pick(&with_new),
            port: Port::default(),
            delivery: if random.chance(15) { Delivery::Passive } else { Delivery::Active },
            retain: false,
            cost: None,
            when: Some(format!("superstep < {}", random.between(3, 9))),
            transform: None,
        }),
        _ => set(random, graph, &with_new)?,
    })
}

fn set(random: &mut Random, graph: &GraphSpec, names: &[VertexName]) -> Option<Mutation> {
    let vertex = random.chance(60).then(|| random.pick(names));
    let edge = if vertex.is_none() { Some(random_edge(random, graph)?) } else { None };
    let (field, value) = match (&vertex, random.below(4)) {
        (Some(_), 0) => ("join.mode", json!("All")),
        (Some(_), 1) => ("onFailure", json!("Ignore")),
        (Some(_), _) => ("join.whenIncomplete", json!("Skip")),
        (None, 0) => ("when", json!("nonsense")),
        (None, 1) => ("delivery", json!("Passive")),
        (None, _) => ("when", json!("superstep < 5")),
    };
    Some(Mutation::Set(SetField { vertex, edge, field: field.to_owned(), value }))
}

fn random_edge(random: &mut Random, graph: &GraphSpec) -> Option<EdgeRef> {
    if graph.edges.is_empty() {
        return None;
    }
    let edge = random.pick(&graph.edges);
    Some(EdgeRef { from: edge.from, port: edge.port, to: edge.to })
}

fn new_names() -> Vec<VertexName> {
    vec!["n0".into(), "n1".into()]
}
