//! Random graphs that nobody would write: edges between any two vertices and from a vertex to itself,
//! parts that nothing reaches, joins on cycles and cycles of joins, conditions everywhere, cycles that
//! only a limit ends. All of them are exact, and the model of the rules covers them.

use superstep_graph::{Delivery, EdgeSpec, GraphSpec, Port, VertexName};

use super::{Taste, bounds, one_vertex, valid};
use crate::random::Random;
use crate::scenario::{ROOT, Scenario};

/// A scenario of such graphs, some of them inside another.
pub(crate) fn scenario(random: &mut Random) -> Scenario {
    let leaf = Taste { loose: false, inner: &[], mutable: false, most: 3 };
    let root = Taste { inner: if random.chance(25) { &["leaf"] } else { &[] }, most: 9, ..leaf };
    let mut scenario = Scenario::default();
    for (name, taste) in [("leaf", leaf), (ROOT, root)] {
        scenario.library.insert(name.to_owned(), valid(random, |random| graph(random, taste)));
    }
    scenario
}

fn graph(random: &mut Random, taste: Taste) -> GraphSpec {
    let count = random.between(2, taste.most);
    let names: Vec<VertexName> = (0..count).map(|number| format!("v{number}").into()).collect();
    let entry =
        (0..random.between(1, 2)).map(|_| random.pick(&names)).collect::<std::collections::BTreeSet<_>>();
    let mut spec = GraphSpec { entry: entry.into_iter().collect(), ..GraphSpec::default() };
    let (conditional, bounded) = (random.chance(30), random.chance(80));
    for _ in 0..random.between(count, 3 * count) {
        let edge = edge(random, &names, conditional, bounded);
        if spec.edges.iter().all(|other| other.key() != edge.key()) {
            spec.edges.push(edge);
        }
    }
    for name in &names {
        let vertex = one_vertex(random, taste, &spec, name, &names);
        spec.vertices.push(vertex);
    }
    spec.limits.supersteps = random.between(4, 14);
    bounds::activations(&mut spec);
    spec
}

fn edge(random: &mut Random, names: &[VertexName], conditional: bool, bounded: bool) -> EdgeSpec {
    let (from, to) = (random.index(names.len()), random.index(names.len()));
    let port = match random.below(12) {
        0 => Port::from("a"),
        1 => Port::from(Port::ERROR),
        _ => Port::default(),
    };
    let bound = format!("superstep < {}", random.between(2, 9));
    let when = match random.below(if conditional { 4 } else { 30 }) {
        0 => Some("odd".to_owned()),
        1 => Some(format!("< {}", random.between(100, 900))),
        2 => Some(bound),
        3 if random.chance(20) => Some("fails".to_owned()),
        _ => (from >= to && bounded).then_some(bound),
    };
    let delivery = if random.chance(12) { Delivery::Passive } else { Delivery::Active };
    EdgeSpec {
        from: names[from].clone(),
        to: names[to].clone(),
        port,
        delivery,
        retain: delivery == Delivery::Active && random.chance(12),
        when,
        transform: random.chance(8).then(|| random.pick(&["wrap".to_owned(), "digit".to_owned()])),
        cost: None,
    }
}
