//! A run that breaks a rule, made as small as it can be while it still breaks one.

use superstep_graph::{EdgeSpec, GraphSpec, JoinSpec, VertexName, validate};

use crate::faults::{Faults, Hazards};
use crate::scenario::{ROOT, Scenario, behaviour_of, set_behaviour};

type Run = (Scenario, Faults);

/// Takes away vertices, edges, what vertices do and what goes wrong, as long as `fails` says that the rest
/// still breaks a rule. At most `most` runs are tried.
pub fn shrink(
    scenario: &Scenario,
    faults: &Faults,
    most: usize,
    fails: &dyn Fn(&Scenario, &Faults) -> bool,
) -> (Scenario, Faults) {
    let mut smallest = (scenario.clone(), faults.clone());
    let mut tried = 0;
    loop {
        let mut shrunk = false;
        for smaller in smaller(&smallest) {
            tried += 1;
            if tried > most {
                return smallest;
            }
            if is_sound(&smaller.0) && fails(&smaller.0, &smaller.1) {
                smallest = smaller;
                shrunk = true;
                break;
            }
        }
        if !shrunk {
            return smallest;
        }
    }
}

fn is_sound(scenario: &Scenario) -> bool {
    scenario.library.values().all(|graph| validate(graph).is_ok())
}

/// The runs that lack one thing, those that lack most first.
fn smaller((scenario, faults): &Run) -> Vec<Run> {
    let mut found: Vec<Run> = Vec::new();
    for name in scenario.library.keys().filter(|name| *name != ROOT) {
        let mut less = scenario.clone();
        less.library.remove(name);
        let opens = |vertex: &superstep_graph::VertexSpec| {
            vertex.graph.as_ref().is_some_and(|graph| graph.reference.name == *name)
        };
        if !less.library.values().any(|graph| graph.vertices.iter().any(opens)) {
            found.push((less, faults.clone()));
        }
    }
    for (name, graph) in &scenario.library {
        for less in smaller_graphs(graph) {
            let mut smaller = scenario.clone();
            smaller.library.insert(name.clone(), less);
            found.push((smaller, faults.clone()));
        }
    }
    for index in 0..scenario.patches.len() {
        let mut less = scenario.clone();
        less.patches.remove(index);
        found.push((less, faults.clone()));
    }
    if scenario.cancel_at.is_some() {
        found.push((Scenario { cancel_at: None, ..scenario.clone() }, faults.clone()));
    }
    let calmer = calmer(faults).into_iter().filter(|calmer| calmer != faults);
    found.extend(calmer.map(|calmer| (scenario.clone(), calmer)));
    found
}

fn smaller_graphs(graph: &GraphSpec) -> Vec<GraphSpec> {
    let mut found = Vec::new();
    for vertex in &graph.vertices {
        let mut less = graph.clone();
        less.vertices.retain(|other| other.name != vertex.name);
        less.entry.retain(|name| *name != vertex.name);
        less.outputs.retain(|output| output.vertex != vertex.name);
        forget_edges(&mut less, |edge| edge.from == vertex.name || edge.to == vertex.name);
        found.push(less);
    }
    for edge in &graph.edges {
        let mut less = graph.clone();
        forget_edges(&mut less, |other| other.key() == edge.key());
        found.push(less);
    }
    for index in 0..graph.vertices.len() {
        found.extend(simpler_vertices(graph, index));
    }
    for index in 0..graph.edges.len() {
        let mut less = graph.clone();
        (less.edges[index].when, less.edges[index].transform) = (None, None);
        less.edges[index].retain = false;
        found.push(less);
    }
    found.push(GraphSpec { outputs: Vec::new(), ..graph.clone() });
    found.retain(|less| less != graph);
    found
}

/// Drops edges, and those they came from out of joins that count them by name.
fn forget_edges(graph: &mut GraphSpec, gone: impl Fn(&EdgeSpec) -> bool) {
    graph.edges.retain(|edge| !gone(edge));
    let edges = graph.edges.clone();
    for vertex in &mut graph.vertices {
        let leads = |from: &VertexName| edges.iter().any(|edge| edge.from == *from && edge.to == vertex.name);
        if let Some(of) = &mut vertex.join.of {
            of.retain(|from| leads(from));
        }
    }
}

fn simpler_vertices(graph: &GraphSpec, index: usize) -> Vec<GraphSpec> {
    let mut found = Vec::new();
    let mut with = |change: &dyn Fn(&mut superstep_graph::VertexSpec)| {
        let mut less = graph.clone();
        change(&mut less.vertices[index]);
        found.push(less);
    };
    with(&|vertex| vertex.join = JoinSpec::default());
    with(&|vertex| vertex.for_each = None);
    with(&|vertex| vertex.combiner = None);
    with(&|vertex| vertex.sends = None);
    with(&|vertex| vertex.timeout = None);
    let changes: [fn(&mut crate::behaviour::Behaviour); 9] = [
        |it| it.calls = 0,
        |it| it.calls = it.calls.min(1),
        |it| it.list = None,
        |it| it.transient = 0,
        |it| it.permanent = 0,
        |it| it.asks = 0,
        |it| it.direct = Vec::new(),
        |it| it.mutations = Vec::new(),
        |it| (it.counts, it.remembers, it.contributes) = (false, false, Vec::new()),
    ];
    for change in changes {
        with(&|vertex| {
            let mut behaviour = behaviour_of(vertex);
            change(&mut behaviour);
            set_behaviour(vertex, &behaviour);
        });
    }
    found
}

fn calmer(faults: &Faults) -> Vec<Faults> {
    let with = |change: &dyn Fn(&mut Faults)| {
        let mut calmer = faults.clone();
        change(&mut calmer);
        calmer
    };
    let mut found = vec![
        with(&|it| it.hazards = Hazards::default()),
        with(&|it| it.hazards.lost = 0),
        with(&|it| it.hazards.slow = 0),
        with(&|it| it.hazards.torn = 0),
        with(&|it| it.hazards.sleeps = 0),
        with(&|it| it.hazards.stale = 0),
        with(&|it| it.partitions = 1),
        with(&|it| it.rescales = false),
        with(&|it| it.latency = false),
        with(&|it| it.duplicates = 0),
        with(&|it| it.late = 0),
        with(&|it| it.crash = 0),
        with(&|it| it.store = 0),
        with(&|it| it.recovery = 0),
        with(&|it| it.suspensions.clear()),
    ];
    if faults.most_crashes > 0 {
        found.push(with(&|it| it.most_crashes = 0));
        found.push(with(&|it| it.most_crashes -= 1));
    }
    found
}
