//! What is drawn of a graph, whatever the language.

use std::collections::BTreeSet;
use std::sync::Arc;

use superstep_engine::EdgeCosts;
use superstep_graph::{
    AnyVertex, BarrierMode, Delivery, EdgeCost, EdgeSpec, GraphSpec, JoinMode, JoinSpec, Port, Program,
    Sends, VertexName, VertexSpec,
};

use crate::costs::{known, label};

/// The longest part of a condition that is shown, in characters.
const MOST_OF_CONDITION: usize = 40;

/// A graph to be drawn. Vertices are in the order of their names, and what edges merely name comes last.
pub(super) struct Drawing {
    /// The name of the graph.
    pub(super) name: String,
    /// What it is for.
    pub(super) description: Option<String>,
    /// The name, and the barrier where it is not the usual one.
    pub(super) title: String,
    /// What is drawn as a shape.
    pub(super) figures: Vec<Figure>,
    /// What is drawn between them.
    pub(super) arrows: Vec<Arrow>,
}

/// A vertex.
#[derive(Clone)]
pub(super) struct Figure {
    /// The name.
    pub(super) name: VertexName,
    /// What it is for.
    pub(super) description: Option<String>,
    /// The member that holds its program; none if it is not there.
    pub(super) program: Option<&'static str>,
    /// What is written into it.
    pub(super) lines: Vec<String>,
    /// What it waits for, where that is not any message.
    pub(super) join: Option<String>,
    /// What it looks like.
    pub(super) shape: Shape,
    /// Whether a run begins here.
    pub(super) is_entry: bool,
    /// Whether the run's result is taken from here.
    pub(super) is_output: bool,
    /// Whether it runs once for each element of a list.
    pub(super) for_each: bool,
}

/// What a vertex looks like.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Prompt,
    Function,
    Router,
    Graph,
    Custom,
    /// Edges name it, but it is not there.
    Absent,
}

/// An edge, or a declared direct message.
#[derive(Clone)]
pub(super) struct Arrow {
    /// The sender.
    pub(super) from: VertexName,
    /// The receiver.
    pub(super) to: VertexName,
    /// The port that an edge listens to.
    pub(super) port: Option<Port>,
    /// The condition of an edge, whole.
    pub(super) when: Option<String>,
    /// What an edge makes of a payload.
    pub(super) transform: Option<String>,
    /// Whether an edge keeps its last message.
    pub(super) retain: bool,
    /// What is written beside it; may be empty.
    pub(super) label: String,
    /// What an edge is taken to cost, where that is drawn.
    pub(super) cost: Option<EdgeCost>,
    /// What it looks like.
    pub(super) stroke: Stroke,
}

/// What an arrow looks like.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Stroke {
    Active,
    Passive,
    Direct,
}

impl Drawing {
    /// The drawing of a graph that is valid and sorted.
    pub(super) fn of(name: &str, spec: &GraphSpec) -> Self {
        let title = match (spec.barrier.mode, spec.barrier.count) {
            (BarrierMode::All, _) => name.to_owned(),
            (BarrierMode::Any, _) => format!("{name} (barrier: any)"),
            (BarrierMode::Quorum, count) => format!("{name} (barrier: {})", count.unwrap_or(1)),
        };
        let outputs = outputs(spec);
        let mut figures: Vec<Figure> = spec
            .vertices
            .iter()
            .map(|vertex| Figure {
                name: vertex.name.clone(),
                description: vertex.description.clone(),
                program: vertex.program().map(|program| program.kind()),
                lines: lines(vertex),
                join: join(&vertex.join),
                shape: shape(vertex),
                is_entry: spec.entry.contains(&vertex.name),
                is_output: outputs.contains(&vertex.name),
                for_each: vertex.for_each.is_some(),
            })
            .collect();
        let mut arrows: Vec<Arrow> = spec.edges.iter().map(arrow).collect();
        arrows.extend(spec.vertices.iter().flat_map(direct));
        figures.extend(absent(spec, &arrows));
        Self { name: name.to_owned(), description: spec.description.clone(), title, figures, arrows }
    }

    /// Writes beside each edge what it is taken to cost.
    pub(super) fn with_costs(&mut self, spec: &GraphSpec, costs: Option<&Arc<EdgeCosts>>) {
        for edge in &spec.edges {
            let drawn = |arrow: &&mut Arrow| {
                arrow.from == edge.from && arrow.to == edge.to && arrow.port.as_ref() == Some(&edge.port)
            };
            let (Some(known), Some(arrow)) = (known(edge, costs), self.arrows.iter_mut().find(drawn)) else {
                continue;
            };
            arrow.cost = Some(known.0);
            let before = if arrow.label.is_empty() { String::new() } else { format!("{}: ", arrow.label) };
            arrow.label = format!("{before}{}", label(known));
        }
    }
}

fn outputs(spec: &GraphSpec) -> BTreeSet<&VertexName> {
    if !spec.outputs.is_empty() {
        return spec.outputs.iter().map(|output| &output.vertex).collect();
    }
    let sends_on = |name: &VertexName| {
        spec.edges
            .iter()
            .any(|edge| edge.from == *name && edge.to != *name && edge.delivery == Delivery::Active)
    };
    spec.vertices.iter().map(|vertex| &vertex.name).filter(|name| !sends_on(name)).collect()
}

fn shape(vertex: &VertexSpec) -> Shape {
    match vertex.program() {
        Some(Program::Prompt(_) | Program::Agent(_) | Program::Judge(_)) => Shape::Prompt,
        Some(Program::Function(_)) => Shape::Function,
        Some(Program::Router(_)) => Shape::Router,
        Some(Program::Graph(_)) => Shape::Graph,
        Some(
            Program::Tool(_)
            | Program::Human(_)
            | Program::Embed(_)
            | Program::Retrieve(_)
            | Program::Algorithm(_)
            | Program::Custom(_),
        ) => Shape::Custom,
        None => Shape::Absent,
    }
}

fn lines(vertex: &VertexSpec) -> Vec<String> {
    let mut lines = vec![vertex.name.to_string()];
    lines.extend(vertex.program().map(|program| match program {
        Program::Prompt(prompt) => format!("prompt {}", prompt.model),
        Program::Graph(graph) => format!("graph {}", graph.reference.name),
        Program::Agent(agent) => format!("agent {}", agent.model),
        Program::Judge(judge) => format!("judge {}", judge.model),
        Program::Tool(tool) => format!("tool {}", tool.name),
        Program::Embed(embed) => format!("embed {}", embed.model),
        Program::Retrieve(retrieve) => format!("retrieve {}", retrieve.model),
        Program::Algorithm(algorithm) => {
            algorithm.algorithm().map_or("algorithm", |found| found.name()).to_owned()
        }
        Program::Custom(custom) => format!("custom {}", custom.name),
        Program::Router(router) => match router.goal() {
            Some(goal) => format!("{} path to {}", router.goal_field(), goal.to),
            None => program.kind().to_owned(),
        },
        Program::Function(_) | Program::Human(_) => program.kind().to_owned(),
    }));
    if vertex.for_each.is_some() {
        lines.push("for each element".to_owned());
    }
    lines.extend(join(&vertex.join));
    if let Some(Sends::Any(AnyVertex::Any)) = vertex.sends {
        lines.push("sends to any".to_owned());
    }
    if vertex.effects.mutations.is_some() {
        lines.push("changes the graph".to_owned());
    }
    lines
}

fn join(join: &JoinSpec) -> Option<String> {
    let of = |names: &Vec<VertexName>| {
        let mut names: Vec<&str> = names.iter().map(VertexName::as_str).collect();
        names.sort_unstable();
        format!(" of {}", names.join(", "))
    };
    let of = join.of.as_ref().map(of).unwrap_or_default();
    match (join.mode, join.count) {
        (JoinMode::Any, _) => None,
        (JoinMode::All, _) => Some(format!("join: all{of}")),
        (JoinMode::Quorum, count) => Some(format!("join: {}{of}", count.unwrap_or(1))),
    }
}

fn arrow(edge: &EdgeSpec) -> Arrow {
    let mut parts = Vec::new();
    if !edge.port.is_default() {
        parts.push(format!("port {}", edge.port));
    }
    parts.extend(edge.when.as_deref().map(shortened));
    if edge.transform.is_some() {
        parts.push("transformed".to_owned());
    }
    if edge.retain {
        parts.push("retained".to_owned());
    }
    let stroke = match edge.delivery {
        Delivery::Active => Stroke::Active,
        Delivery::Passive => Stroke::Passive,
    };
    Arrow {
        from: edge.from.clone(),
        to: edge.to.clone(),
        port: Some(edge.port.clone()),
        when: edge.when.clone(),
        transform: edge.transform.clone(),
        retain: edge.retain,
        label: parts.join(", "),
        cost: None,
        stroke,
    }
}

fn direct(vertex: &VertexSpec) -> Vec<Arrow> {
    let targets = match &vertex.sends {
        Some(Sends::To(targets)) => targets.as_slice(),
        Some(Sends::Any(AnyVertex::Any)) | None => &[],
    };
    let arrow = |to: &VertexName| Arrow {
        from: vertex.name.clone(),
        to: to.clone(),
        port: None,
        when: None,
        transform: None,
        retain: false,
        label: "direct".to_owned(),
        cost: None,
        stroke: Stroke::Direct,
    };
    targets.iter().map(arrow).collect()
}

/// Figures for what arrows name and the graph does not have.
fn absent(spec: &GraphSpec, arrows: &[Arrow]) -> Vec<Figure> {
    let present: BTreeSet<&VertexName> = spec.vertices.iter().map(|vertex| &vertex.name).collect();
    let named: BTreeSet<&VertexName> = arrows.iter().flat_map(|arrow| [&arrow.from, &arrow.to]).collect();
    let figure = |name: &VertexName| Figure {
        name: name.clone(),
        description: None,
        program: None,
        join: None,
        lines: vec![name.to_string(), "not there yet".to_owned()],
        shape: Shape::Absent,
        is_entry: false,
        is_output: false,
        for_each: false,
    };
    named.difference(&present).map(|name| figure(name)).collect()
}

fn shortened(condition: &str) -> String {
    let condition = condition.split_whitespace().collect::<Vec<_>>().join(" ");
    if condition.chars().count() <= MOST_OF_CONDITION {
        return condition;
    }
    let start: String = condition.chars().take(MOST_OF_CONDITION - 1).collect();
    format!("{start}…")
}
