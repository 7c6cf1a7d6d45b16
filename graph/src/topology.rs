//! A graph compiled for the engine: dense indices in the order of names, edges by sender.

use std::ops::Range;
use std::sync::Arc;

use serde_json::Value;

use crate::name::{Port, VertexName};
use crate::spec::{
    AnyVertex, Combiner, Delivery, EdgeCost, GraphSpec, JoinMode, OnSatisfied, Sends, VertexSpec,
    WhenIncomplete,
};

/// The place of a vertex among the sorted names of one revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VertexIx(pub u32);

/// The place of an edge among the sorted edges of one revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EdgeIx(pub u32);

/// The place of a slot among the sorted predecessors that a join counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SlotIx(pub u32);

/// One vertex of a [`Topology`].
#[derive(Clone, Debug)]
pub struct Vertex {
    /// The name.
    pub name: VertexName,
    /// The document it was made from.
    pub spec: Arc<VertexSpec>,
    /// Its join.
    pub join: Join,
    /// Its combiner.
    pub combiner: Option<Combiner>,
    /// Outgoing edges, as a range of [`Topology::edges`].
    pub out: Range<u32>,
    /// Incoming edges whose sender exists, in order.
    pub incoming: Vec<EdgeIx>,
    /// Declared direct targets that exist.
    pub sends: Vec<VertexIx>,
    /// Whether it may send directly to every vertex.
    pub sends_any: bool,
    /// Vertices that declare it as a direct target; those that may send to everyone are apart.
    pub sent_by: Vec<VertexIx>,
    /// Whether it is a declared output, or one by default.
    pub is_output: bool,
    /// Whether it is a router that weighs costs.
    pub weighs: bool,
}

/// A join, compiled.
#[derive(Clone, Debug)]
pub struct Join {
    /// How many slots are needed, as a rule.
    pub mode: JoinMode,
    /// How many slots are needed, as a number. It may exceed the number of slots: the join is then
    /// never satisfied, and `when_incomplete` decides.
    pub need: usize,
    /// The predecessor of each slot, in order of names; none where `of` names no vertex.
    pub slots: Vec<Option<VertexIx>>,
    /// What becomes of the branches that lose.
    pub on_satisfied: OnSatisfied,
    /// What happens when nothing can complete it.
    pub when_incomplete: WhenIncomplete,
}

/// One edge of a [`Topology`].
#[derive(Clone, Debug)]
pub struct Edge {
    /// The sender.
    pub from: VertexIx,
    /// The receiver; none while no vertex has the name.
    pub to: Option<VertexIx>,
    /// The receiver's name.
    pub to_name: VertexName,
    /// The port listened to.
    pub port: Port,
    /// Whether messages wake the receiver.
    pub delivery: Delivery,
    /// Whether the last message stays visible.
    pub retain: bool,
    /// The condition.
    pub when: Option<Arc<str>>,
    /// The transformation.
    pub transform: Option<Arc<str>>,
    /// The slot of the receiver's join that messages fill; none if the edge is not counted.
    pub slot: Option<SlotIx>,
    /// What a message over it costs as long as nothing was measured.
    pub cost: EdgeCost,
}

/// A graph compiled for the engine. Indices are dense and follow the order of names, so that an
/// order of indices is an order of names.
#[derive(Clone, Debug)]
pub struct Topology {
    vertices: Vec<Vertex>,
    edges: Vec<Edge>,
    entry: Vec<VertexIx>,
    outputs: Vec<VertexIx>,
    any_senders: Vec<VertexIx>,
    weighs: bool,
    parameters: Arc<Value>,
}

impl Topology {
    /// What the graph is made with: an object.
    pub fn parameters(&self) -> &Arc<Value> {
        &self.parameters
    }

    /// Compiles `spec`, which must be sorted and have unique names. Relations need not hold: what
    /// names nothing is left inert.
    pub(crate) fn compile(spec: &GraphSpec) -> Self {
        let names: Vec<&VertexName> = spec.vertices.iter().map(|vertex| &vertex.name).collect();
        let find = |name: &VertexName| names.binary_search(&name).ok().map(index);
        let mut edges: Vec<Edge> = spec
            .edges
            .iter()
            .filter_map(|edge| {
                Some(Edge {
                    from: find(&edge.from)?,
                    to: find(&edge.to),
                    to_name: edge.to.clone(),
                    port: edge.port.clone(),
                    delivery: edge.delivery,
                    retain: edge.retain,
                    when: edge.when.as_deref().map(Arc::from),
                    transform: edge.transform.as_deref().map(Arc::from),
                    slot: None,
                    cost: edge.cost.unwrap_or_default(),
                })
            })
            .collect();
        edges.sort_by(|a, b| (a.from, &a.port, &a.to_name).cmp(&(b.from, &b.port, &b.to_name)));
        let mut vertices: Vec<Vertex> =
            spec.vertices.iter().map(|vertex| bare_vertex(vertex, &find)).collect();
        attach_edges(&mut vertices, &mut edges, &find);
        let outputs = outputs(spec, &mut vertices, &edges, &find);
        let entry = spec.entry.iter().filter_map(find).collect();
        let any_senders = attach_senders(&mut vertices);
        Self {
            weighs: vertices.iter().any(|vertex| vertex.weighs),
            vertices,
            edges,
            entry,
            outputs,
            any_senders,
            parameters: Arc::new(spec.parameters_with(&Value::Null)),
        }
    }

    /// All vertices, in order of names.
    pub fn vertices(&self) -> &[Vertex] {
        &self.vertices
    }

    /// All edges whose sender exists, in order of (from, port, to).
    pub fn edges(&self) -> &[Edge] {
        &self.edges
    }

    /// The vertex at `ix`.
    pub fn vertex(&self, ix: VertexIx) -> &Vertex {
        &self.vertices[ix.0 as usize]
    }

    /// The edge at `ix`.
    pub fn edge(&self, ix: EdgeIx) -> &Edge {
        &self.edges[ix.0 as usize]
    }

    /// The vertex of that name.
    pub fn find(&self, name: &VertexName) -> Option<VertexIx> {
        self.vertices.binary_search_by(|vertex| vertex.name.cmp(name)).ok().map(index)
    }

    /// The edges that leave `ix`, in order of (port, to).
    pub fn out(&self, ix: VertexIx) -> impl Iterator<Item = (EdgeIx, &Edge)> {
        let range = self.vertex(ix).out.clone();
        range.map(|edge| (EdgeIx(edge), &self.edges[edge as usize]))
    }

    /// The edge of that key.
    pub fn find_edge(&self, from: VertexIx, port: &Port, to: &VertexName) -> Option<EdgeIx> {
        let out = self.vertex(from).out.clone();
        let edges = &self.edges[out.start as usize..out.end as usize];
        let at = edges.binary_search_by(|edge| (&edge.port, &edge.to_name).cmp(&(port, to))).ok()?;
        u32::try_from(at).ok().map(|at| EdgeIx(out.start + at))
    }

    /// Vertices activated in superstep 0, in order.
    pub fn entry(&self) -> &[VertexIx] {
        &self.entry
    }

    /// Vertices that may send directly to every vertex, in order.
    pub fn any_senders(&self) -> &[VertexIx] {
        &self.any_senders
    }

    /// Whether one of its vertices is a router that weighs costs.
    pub fn weighs(&self) -> bool {
        self.weighs
    }

    /// Output vertices, in order.
    pub fn outputs(&self) -> &[VertexIx] {
        &self.outputs
    }
}

fn index(position: usize) -> VertexIx {
    VertexIx(u32::try_from(position).expect("a graph has fewer than 2^32 vertices"))
}

fn bare_vertex(spec: &VertexSpec, find: &dyn Fn(&VertexName) -> Option<VertexIx>) -> Vertex {
    let (sends, sends_any) = match &spec.sends {
        Some(Sends::To(targets)) => (targets.iter().filter_map(find).collect(), false),
        Some(Sends::Any(AnyVertex::Any)) => (Vec::new(), true),
        None => (Vec::new(), false),
    };
    Vertex {
        name: spec.name.clone(),
        spec: Arc::new(spec.clone()),
        join: Join {
            mode: spec.join.mode,
            need: 1,
            slots: Vec::new(),
            on_satisfied: spec.join.on_satisfied,
            when_incomplete: spec.join.when_incomplete,
        },
        combiner: spec.combiner,
        out: 0..0,
        incoming: Vec::new(),
        sends,
        sends_any,
        sent_by: Vec::new(),
        is_output: false,
        weighs: spec.router.as_ref().is_some_and(|router| router.goal().is_some()),
    }
}

fn attach_edges(vertices: &mut [Vertex], edges: &mut [Edge], find: &dyn Fn(&VertexName) -> Option<VertexIx>) {
    for (position, edge) in (0u32..).zip(edges.iter()) {
        let out = &mut vertices[edge.from.0 as usize].out;
        *out = if out.start == out.end { position..position + 1 } else { out.start..position + 1 };
        if let Some(to) = edge.to {
            vertices[to.0 as usize].incoming.push(EdgeIx(position));
        }
    }
    for vertex in vertices {
        vertex.join.slots = slots(vertex, edges, find);
        vertex.join.need = match vertex.join.mode {
            JoinMode::Any => 1,
            JoinMode::All => vertex.join.slots.len().max(1),
            JoinMode::Quorum => vertex.spec.join.count.unwrap_or(1).max(1) as usize,
        };
        for &ix in &vertex.incoming {
            let edge = &mut edges[ix.0 as usize];
            if edge.delivery == Delivery::Active {
                edge.slot = vertex.join.slots.binary_search(&Some(edge.from)).ok().map(slot);
            }
        }
    }
}

fn attach_senders(vertices: &mut [Vertex]) -> Vec<VertexIx> {
    let declared: Vec<(VertexIx, VertexIx)> = (0u32..)
        .zip(vertices.iter())
        .flat_map(|(from, vertex)| vertex.sends.iter().map(move |to| (VertexIx(from), *to)))
        .collect();
    for (from, to) in declared {
        vertices[to.0 as usize].sent_by.push(from);
    }
    (0u32..).zip(vertices.iter()).filter(|(_, vertex)| vertex.sends_any).map(|(ix, _)| VertexIx(ix)).collect()
}

fn slot(position: usize) -> SlotIx {
    SlotIx(u32::try_from(position).expect("a join has fewer than 2^32 slots"))
}

fn slots(
    vertex: &Vertex,
    edges: &[Edge],
    find: &dyn Fn(&VertexName) -> Option<VertexIx>,
) -> Vec<Option<VertexIx>> {
    let active = |ix: &&EdgeIx| edges[ix.0 as usize].delivery == Delivery::Active;
    let mut slots: Vec<Option<VertexIx>> = match &vertex.spec.join.of {
        Some(names) => names.iter().map(find).collect(),
        None => vertex.incoming.iter().filter(active).map(|ix| Some(edges[ix.0 as usize].from)).collect(),
    };
    slots.sort_unstable();
    // Names without a vertex stay apart: each is a slot that nothing fills.
    slots.dedup_by(|a, b| a.is_some() && a == b);
    slots
}

fn outputs(
    spec: &GraphSpec,
    vertices: &mut [Vertex],
    edges: &[Edge],
    find: &dyn Fn(&VertexName) -> Option<VertexIx>,
) -> Vec<VertexIx> {
    let mut outputs: Vec<VertexIx> = if spec.outputs.is_empty() {
        let sends_on = |vertex: &Vertex, ix: VertexIx| {
            edges[vertex.out.start as usize..vertex.out.end as usize]
                .iter()
                .any(|edge| edge.delivery == Delivery::Active && edge.to.is_some_and(|to| to != ix))
        };
        vertices
            .iter()
            .enumerate()
            .map(|(at, vertex)| (index(at), vertex))
            .filter(|(ix, vertex)| !sends_on(vertex, *ix))
            .map(|(ix, _)| ix)
            .collect()
    } else {
        spec.outputs.iter().filter_map(|output| find(&output.vertex)).collect()
    };
    outputs.sort_unstable();
    outputs.dedup();
    for output in &outputs {
        vertices[output.0 as usize].is_output = true;
    }
    outputs
}
