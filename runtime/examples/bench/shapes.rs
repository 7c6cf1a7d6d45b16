//! The graphs that are measured, and what their vertices do.

mod agents;
mod branches;
mod checked;
mod flood;
mod plain;
mod subgraphs;
mod wide;

use std::collections::BTreeMap;

use serde_json::{Value, json};
use superstep_engine::{Emission, Failure, Outcome, Payload, ProgramResult, View};
use superstep_graph::{GraphSpec, ValidatedGraph, validate};
use superstep_runtime::{Activation, Execution, Models, Program, Programs};

/// How many runs the shape `concurrent` has at the same time.
const WIDTH: usize = 100;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// N vertices in a line.
    Chain,
    /// Two vertices that send to each other, N supersteps with 1 KB each.
    Loop,
    /// One vertex, N elements, one vertex.
    Fanout,
    /// 100 runs of a chain of N at the same time.
    Concurrent,
    /// N elements, each of which opens a sub-graph of twelve supersteps.
    Subgraphs,
    /// An agent whose model calls a tool N times.
    React,
    /// Six vertices that hold fifteen growing fields, until there are more than N messages.
    Wide,
    /// The same, all that they read checked by schemas.
    WideChecked,
    /// A fast branch beside a slow one.
    Branches,
    /// N vertices that each send ten messages.
    Flood,
}

/// A shape of a size: its graphs, and what a run of it does.
pub(crate) struct Work {
    /// The graph named `bench`, and those that it opens.
    pub(crate) graphs: BTreeMap<String, ValidatedGraph>,
    pub(crate) input: Payload,
    /// How many runs go on at the same time.
    pub(crate) width: usize,
    /// Whether the memory that a run takes is told, apart from that of its graph.
    pub(crate) growth_matters: bool,
    /// Those of all runs.
    pub(crate) supersteps: u64,
    pub(crate) activations: u64,
    prepare: Box<dyn Fn(&mut Programs)>,
    models: Models,
}

impl Work {
    fn new(graph: ValidatedGraph, supersteps: usize, activations: usize) -> Self {
        Self {
            graphs: BTreeMap::from([("bench".to_owned(), graph)]),
            input: Payload::from(json!({"x": 1})),
            width: 1,
            growth_matters: false,
            supersteps: supersteps as u64,
            activations: activations as u64,
            prepare: Box::new(|_| ()),
            models: Models::default(),
        }
    }

    fn with(self, prepare: impl Fn(&mut Programs) + 'static) -> Self {
        Self { prepare: Box::new(prepare), ..self }
    }

    /// The programs of a run, made anew.
    pub(crate) fn programs(&self) -> Programs {
        let mut programs = Programs::new(self.models.clone());
        (self.prepare)(&mut programs);
        programs
    }
}

impl Shape {
    pub(crate) const ALL: [Self; 10] = [
        Self::Chain,
        Self::Loop,
        Self::Fanout,
        Self::Concurrent,
        Self::Subgraphs,
        Self::React,
        Self::Wide,
        Self::WideChecked,
        Self::Branches,
        Self::Flood,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Chain => "chain",
            Self::Loop => "loop",
            Self::Fanout => "fanout",
            Self::Concurrent => "concurrent",
            Self::Subgraphs => "subgraphs",
            Self::React => "react",
            Self::Wide => "wide",
            Self::WideChecked => "wide-checked",
            Self::Branches => "branches",
            Self::Flood => "flood",
        }
    }

    pub(crate) fn named(name: &str) -> Result<Self, String> {
        let names = || Self::ALL.map(Self::name).join(", ");
        let found = Self::ALL.into_iter().find(|shape| shape.name() == name);
        found.ok_or_else(|| format!("--shape is one of {}, not {name}", names()))
    }

    /// The least N that does all that the shape is about.
    pub(crate) fn smallest(self) -> usize {
        match self {
            Self::Branches => 1,
            Self::Flood => 20,
            Self::Chain
            | Self::Loop
            | Self::Fanout
            | Self::Concurrent
            | Self::Subgraphs
            | Self::React
            | Self::Wide
            | Self::WideChecked => 3,
        }
    }

    /// Whether running it once more, to warm up, costs next to nothing.
    pub(crate) fn is_quick(self) -> bool {
        !matches!(self, Self::Branches | Self::Flood)
    }

    pub(crate) fn work(self, n: usize, graph_size: usize) -> Work {
        match self {
            Self::Chain => plain::chain(n),
            Self::Concurrent => plain::concurrent(n),
            Self::Loop => plain::round(n, graph_size),
            Self::Fanout => plain::fanout(n),
            Self::Subgraphs => subgraphs::work(n),
            Self::React => agents::work(n),
            Self::Wide => wide::work(n, false),
            Self::WideChecked => wide::work(n, true),
            Self::Branches => branches::work(n),
            Self::Flood => flood::work(n),
        }
    }
}

/// A program that is a function of what it sees.
struct Vertex<F>(F);

impl<F> Program for Vertex<F>
where
    F: Fn(&View) -> ProgramResult + Send + Sync,
{
    fn start(&self, activation: Activation) -> Execution {
        Execution::Ready(Outcome::Done((self.0)(&activation.view)))
    }
}

/// The vertex named `name` that runs the registered program `program`.
fn custom(name: &str, program: &str) -> Value {
    json!({"name": name, "custom": {"name": program}})
}

fn edges(pairs: &[(&str, &str)]) -> Value {
    pairs.iter().map(|(from, to)| json!({"from": from, "to": to})).collect()
}

/// A graph without limits that matter.
fn graph(mut document: Value) -> ValidatedGraph {
    document["limits"] = json!({
        "supersteps": 100_000_000, "activations": 100_000_000, "fanOut": 100_000_000, "calls": 1_000_000,
    });
    let spec: GraphSpec = serde_json::from_value(document).expect("it is a graph");
    validate(&spec).expect("it is valid")
}

/// A result that sends `payload` on `port`.
fn on_port(port: &str, payload: Payload) -> ProgramResult {
    let emissions = vec![Emission { port: port.into(), payload }];
    ProgramResult { emissions, ..ProgramResult::default() }
}

/// What comes from the only message.
fn message(view: &View) -> Result<Payload, Failure> {
    let only = view.messages.first().map(|message| message.payload.clone());
    only.ok_or_else(|| Failure::permanent("nothing has come"))
}
