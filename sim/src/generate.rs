//! Random graphs that a user could have written.

mod bounds;
mod mutations;
mod routers;
pub(crate) mod strange;

use std::time::Duration;

use superstep_engine::Patch;
use superstep_graph::{
    Adoption, AggregatorSpec, Combiner, Delivery, DurationSpec, EdgeSpec, ForEachSpec, GraphProgram,
    GraphSpec, JoinMode, JoinSpec, Mutation, MutationKind, OnFailure, OnSatisfied, OnUnknown, OutputSpec,
    Port, PriorityClass, ProgramRef, RetrySpec, Select, Sends, VertexName, VertexSpec, WhenIncomplete,
    validate,
};

use crate::behaviour::Behaviour;
use crate::random::Random;
use crate::scenario::{ROOT, Scenario, vertex};

/// What a graph may have beside vertices, edges and joins.
#[derive(Clone, Copy, Debug)]
struct Taste {
    /// Whether the result may depend on time, the outside or budgets.
    loose: bool,
    /// Graphs that may be opened.
    inner: &'static [&'static str],
    mutable: bool,
    most: u64,
}

/// The scenario of a seed. Half of the scenarios are exact.
pub(crate) fn scenario(random: &mut Random) -> Scenario {
    let loose = random.chance(50);
    let mutable = random.chance(35);
    let leaf = Taste { loose, inner: &[], mutable: false, most: 4 };
    let middle = Taste { inner: &["leaf"], most: 5, mutable: random.chance(15), ..leaf };
    let root = Taste { inner: &["leaf", "middle"], mutable, most: 14, ..leaf };
    let mut scenario = Scenario::default();
    for (name, taste) in [("leaf", leaf), ("middle", middle), (ROOT, root)] {
        scenario.library.insert(name.to_owned(), valid(random, |random| graph(random, taste)));
    }
    scenario.nonce = random.chance(if loose { 50 } else { 0 });
    if loose && random.chance(5) {
        scenario.cancel_at = Some(random.between(1_000, 300_000));
    }
    if loose && random.chance(20) {
        let graph = scenario.library[ROOT].clone();
        for number in 0..random.between(1, 3) {
            let mutations = mutations::some(random, &graph);
            let patch =
                Patch { class: PriorityClass::Person, requester: format!("person{number}"), mutations };
            scenario.patches.push((random.between(1_000, 200_000), patch));
        }
    }
    if loose && random.chance(10) {
        for number in 0..random.between(1, 3) {
            let mut document = valid(random, |random| graph(random, root));
            document.mutations.adopt = if random.chance(10) { Adoption::Pinned } else { Adoption::Barrier };
            let mutations = vec![Mutation::Adopt(Box::new(document))];
            let patch =
                Patch { class: PriorityClass::Person, requester: format!("document{number}"), mutations };
            scenario.patches.push((random.between(1_000, 200_000), patch));
        }
    }
    scenario
}

/// A graph that is valid, of those that `graph` makes.
fn valid(random: &mut Random, graph: impl Fn(&mut Random) -> GraphSpec) -> GraphSpec {
    for _ in 0..20 {
        let spec = graph(random);
        if validate(&spec).is_ok() {
            return spec;
        }
    }
    // Every join of mode Any can fire.
    let mut spec = graph(random);
    spec.vertices.iter_mut().for_each(|vertex| vertex.join = JoinSpec::default());
    spec
}

fn graph(random: &mut Random, taste: Taste) -> GraphSpec {
    let count = random.between(1, taste.most);
    let names: Vec<VertexName> = (0..count).map(|number| format!("v{number}").into()).collect();
    let mut spec = GraphSpec { entry: vec![names[0].clone()], ..GraphSpec::default() };
    if count > 2 && random.chance(20) {
        spec.entry.push(names[1].clone());
    }
    for name in ["sum", "log"] {
        if !random.chance(20) {
            continue;
        }
        let folds = [
            superstep_graph::AggregatorFold::Sum,
            superstep_graph::AggregatorFold::Append,
            superstep_graph::AggregatorFold::Count,
            superstep_graph::AggregatorFold::Last,
        ];
        let fold = random.pick(&folds);
        spec.aggregators.push(AggregatorSpec { name: name.into(), fold, persistent: random.chance(50) });
    }
    spec.edges = edges(random, &names);
    for name in &names {
        let vertex = one_vertex(random, taste, &spec, name, &names);
        spec.vertices.push(vertex);
    }
    if random.chance(50) {
        let select = random.pick(&[Select::Last, Select::First, Select::All]);
        spec.outputs.push(OutputSpec { vertex: random.pick(&names), select });
    }
    if taste.mutable {
        let kinds = [
            MutationKind::RemoveEdge,
            MutationKind::RemoveVertex,
            MutationKind::AddVertex,
            MutationKind::AddEdge,
            MutationKind::Set,
        ];
        spec.mutations.allow = kinds.into_iter().filter(|_| random.chance(80)).collect();
        give_mutations(random, &mut spec);
    }
    bounds::of(random, taste, &mut spec);
    routers::some(taste.loose, &mut spec);
    if taste.loose {
        bounds::cost(&mut spec);
    }
    spec
}

fn edges(random: &mut Random, names: &[VertexName]) -> Vec<EdgeSpec> {
    let mut edges: Vec<EdgeSpec> = Vec::new();
    let mut add = |random: &mut Random, from: usize, to: usize| {
        let port = match random.below(16) {
            0 => Port::from("a"),
            1 => Port::from("b"),
            2 => Port::from(Port::ERROR),
            _ => Port::default(),
        };
        let when = if from >= to {
            // Cycles are bounded.
            Some(format!("superstep < {}", random.between(2, 8)))
        } else if port.as_str() == Port::ERROR {
            None
        } else {
            match random.below(20) {
                0 | 1 => Some("odd".to_owned()),
                2 | 3 => Some(format!("< {}", random.between(100, 900))),
                4 if random.chance(30) => Some("fails".to_owned()),
                _ => None,
            }
        };
        let delivery = if random.chance(10) { Delivery::Passive } else { Delivery::Active };
        let retain = delivery == Delivery::Active && random.chance(10);
        let transform = random.chance(10).then(|| random.pick(&["wrap".to_owned(), "digit".to_owned()]));
        let edge = EdgeSpec {
            from: names[from].clone(),
            to: names[to].clone(),
            port,
            delivery,
            retain,
            when,
            transform,
            cost: None,
        };
        if edges.iter().all(|other| other.key() != edge.key()) {
            edges.push(edge);
        }
    };
    for to in 1..names.len() {
        for _ in 0..random.between(1, 3) {
            let from = random.index(to);
            add(random, from, to);
        }
    }
    for _ in 0..random.below(3) {
        let from = random.index(names.len());
        let to = random.index(from + 1);
        add(random, from, to);
    }
    edges
}

fn one_vertex(
    random: &mut Random,
    taste: Taste,
    spec: &GraphSpec,
    name: &VertexName,
    names: &[VertexName],
) -> VertexSpec {
    let ports: Vec<String> = spec
        .edges
        .iter()
        .filter(|edge| edge.from == *name && edge.port.as_str() != Port::ERROR)
        .map(|edge| edge.port.to_string())
        .collect();
    let senders: Vec<VertexName> = spec
        .edges
        .iter()
        .filter(|edge| edge.to == *name && edge.delivery == Delivery::Active)
        .map(|edge| edge.from.clone())
        .collect();
    let behaviour = behaviour(random, taste, spec, ports);
    let mut made = vertex(name.as_str(), &behaviour);
    if random.chance(20) {
        made.sends = Some(if random.chance(20) {
            Sends::Any(superstep_graph::AnyVertex::Any)
        } else {
            Sends::To(vec![random.pick(names)])
        });
        let targets: Vec<VertexName> = (0..random.between(1, 2)).map(|_| random.pick(names)).collect();
        made = with(made, |behaviour| {
            behaviour.direct = targets;
            behaviour.until = behaviour.until.max(3);
        });
    }
    // Most that take a list are given one.
    let lists = senders.iter().any(|sender| gives_list(spec, sender));
    made.for_each = random.chance(if lists { 50 } else { 4 }).then_some(ForEachSpec {});
    if made.for_each.is_some() {
        made = with(made, |behaviour| (behaviour.counts, behaviour.remembers) = (false, false));
    }
    let combiners =
        [Combiner::Sum, Combiner::Min, Combiner::Max, Combiner::First, Combiner::Last, Combiner::Append];
    made.combiner = random.chance(15).then(|| random.pick(&combiners));
    made.on_failure = if random.chance(75) { OnFailure::Ignore } else { OnFailure::FailRun };
    made.retry = RetrySpec {
        max_attempts: u32::try_from(random.between(1, 4)).unwrap_or(1),
        backoff: DurationSpec::from(Duration::from_millis(5)),
        max_backoff: DurationSpec::from(Duration::from_millis(15)),
    };
    if taste.loose && random.chance(10) {
        made.timeout = Some(DurationSpec::from(Duration::from_millis(random.between(10, 60))));
    }
    if taste.loose && random.chance(20) {
        made.on_unknown = random.pick(&[Some(OnUnknown::Fail), None]);
    }
    if !taste.inner.is_empty() && random.chance(15) {
        made.custom = None;
        made.sends = None;
        // A sub-graph has no attempts of its own.
        (made.timeout, made.retry) = (None, RetrySpec::default());
        made.graph = Some(GraphProgram {
            reference: ProgramRef { name: random.pick(taste.inner).to_owned() },
            parameters: serde_json::Value::Null,
        });
    }
    made.join = join(random, senders);
    made
}

fn gives_list(spec: &GraphSpec, name: &VertexName) -> bool {
    let custom =
        spec.vertices.iter().find(|vertex| vertex.name == *name).and_then(|vertex| vertex.custom.as_ref());
    custom.is_some_and(|custom| custom.parameters["list"].is_u64())
}

fn join(random: &mut Random, mut senders: Vec<VertexName>) -> JoinSpec {
    senders.sort();
    senders.dedup();
    let mode = match random.below(if senders.len() > 1 { 6 } else { 40 }) {
        0 | 1 => JoinMode::All,
        2 | 3 => JoinMode::Quorum,
        _ => JoinMode::Any,
    };
    if mode == JoinMode::Any || senders.is_empty() {
        return JoinSpec::default();
    }
    let fails = random.chance(20);
    let of = (fails || random.chance(40)).then(|| {
        let mut counted: Vec<VertexName> = senders.iter().filter(|_| random.chance(70)).cloned().collect();
        if counted.is_empty() {
            counted.push(random.pick(&senders));
        }
        counted
    });
    let slots = of.as_ref().map_or(senders.len(), Vec::len) as u64;
    let quorum = mode == JoinMode::Quorum;
    JoinSpec {
        mode,
        of,
        count: quorum.then(|| u32::try_from(random.between(1, slots)).unwrap_or(1)),
        on_satisfied: if quorum && random.chance(50) { OnSatisfied::CancelRest } else { OnSatisfied::LetRun },
        when_incomplete: match (fails, random.chance(40)) {
            (true, _) => WhenIncomplete::Fail,
            (false, true) => WhenIncomplete::Skip,
            (false, false) => WhenIncomplete::Fire,
        },
    }
}

fn behaviour(random: &mut Random, taste: Taste, spec: &GraphSpec, ports: Vec<String>) -> Behaviour {
    let number = |random: &mut Random, low, high| u32::try_from(random.between(low, high)).unwrap_or(0);
    let value = random.below(10);
    Behaviour {
        calls: if random.chance(40) { number(random, 1, 3) } else { 0 },
        together: random.chance(30),
        same: random.chance(20),
        list: random.chance(30).then(|| number(random, 0, 4)),
        ports,
        transient: if random.chance(15) { number(random, 1, 2) } else { 0 },
        permanent: if random.chance(10) { random.between(10, 100) } else { 0 },
        asks: if taste.loose && random.chance(15) { number(random, 1, 2) } else { 0 },
        answer_is_output: random.chance(50),
        direct: Vec::new(),
        mutations: Vec::new(),
        until: 0,
        contributes: spec.aggregators.iter().map(|known| known.name.clone()).collect(),
        counts: value == 0,
        remembers: value == 1,
        silent: random.chance(5),
    }
}

fn give_mutations(random: &mut Random, spec: &mut GraphSpec) {
    let graph = spec.clone();
    for vertex in spec.vertices.iter_mut().filter(|vertex| vertex.custom.is_some()) {
        if !random.chance(40) || graph.mutations.allow.is_empty() {
            continue;
        }
        let wanted = mutations::some(random, &graph);
        let until = random.between(2, 6);
        *vertex = with(vertex.clone(), |behaviour| {
            behaviour.mutations = wanted;
            behaviour.until = until;
        });
        vertex.effects.mutations = Some("they".to_owned());
    }
}

/// The vertex with a changed behaviour.
fn with(mut made: VertexSpec, change: impl FnOnce(&mut Behaviour)) -> VertexSpec {
    if let Some(custom) = &mut made.custom {
        let mut behaviour: Behaviour = serde_json::from_value(custom.parameters.clone()).unwrap_or_default();
        change(&mut behaviour);
        custom.parameters = serde_json::to_value(behaviour).unwrap_or_default();
    }
    made
}
