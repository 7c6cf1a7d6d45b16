//! What the vertices of a run's open graphs execute.

use std::collections::BTreeMap;
use std::sync::Arc;

use superstep_engine::FrameId;
use superstep_graph::{GraphSpec, Mutation, Program, VertexName, VertexSpec};

/// What a vertex executes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Executed {
    /// The member of the vertex that has its program.
    pub(crate) program: &'static str,
    /// The graph that it opens, if it does.
    pub(crate) opens: Option<String>,
    /// The model that it asks, by its name in the graph.
    pub(crate) model: Option<VertexName>,
}

impl Executed {
    fn by(vertex: &VertexSpec) -> Option<Self> {
        let program = vertex.program()?;
        let opens = match program {
            Program::Graph(graph) => Some(graph.reference.name.clone()),
            Program::Prompt(_)
            | Program::Function(_)
            | Program::Router(_)
            | Program::Judge(_)
            | Program::Human(_)
            | Program::Agent(_)
            | Program::Tool(_)
            | Program::Embed(_)
            | Program::Retrieve(_)
            | Program::Algorithm(_)
            | Program::Custom(_) => None,
        };
        let model = match program {
            Program::Prompt(prompt) => Some(prompt.model.clone()),
            Program::Agent(agent) => Some(agent.model.clone()),
            Program::Judge(judge) => Some(judge.model.clone()),
            Program::Embed(embed) => Some(embed.model.clone()),
            Program::Retrieve(retrieve) => Some(retrieve.model.clone()),
            Program::Function(_)
            | Program::Router(_)
            | Program::Graph(_)
            | Program::Human(_)
            | Program::Tool(_)
            | Program::Algorithm(_)
            | Program::Custom(_) => None,
        };
        Some(Self { program: program.kind(), opens, model })
    }
}

type Vertices = Arc<BTreeMap<VertexName, Executed>>;

/// The graphs of a run, and those that are open.
#[derive(Clone, Debug)]
pub(crate) struct Graphs {
    library: BTreeMap<String, Vertices>,
    open: BTreeMap<FrameId, Vertices>,
}

impl Graphs {
    pub(crate) fn of<'a>(root: &str, specs: impl Iterator<Item = (&'a String, &'a GraphSpec)>) -> Self {
        let library: BTreeMap<String, Vertices> =
            specs.map(|(name, spec)| (name.clone(), Arc::new(vertices(spec)))).collect();
        let open = library.get(root).map(|graph| (FrameId::ROOT, Arc::clone(graph)));
        Self { open: open.into_iter().collect(), library }
    }

    pub(crate) fn opened(&mut self, frame: FrameId, graph: &str) {
        if let Some(vertices) = self.library.get(graph) {
            self.open.insert(frame, Arc::clone(vertices));
        }
    }

    /// A frame has a graph as it was sent.
    pub(crate) fn opened_as(&mut self, frame: FrameId, spec: &GraphSpec) {
        self.open.insert(frame, Arc::new(vertices(spec)));
    }

    /// A frame is over: nothing starts in it any more.
    pub(crate) fn closed(&mut self, frame: FrameId) {
        self.open.remove(&frame);
    }

    /// How many are open.
    #[cfg(test)]
    pub(crate) fn count(&self) -> usize {
        self.open.len()
    }

    /// Follows mutations as [`Self::mutated`] does, by the graph that they have led to.
    pub(crate) fn changed(&mut self, frame: FrameId, spec: &GraphSpec, removed: &[VertexName]) {
        let Some(known) = self.open.get_mut(&frame) else { return };
        let is_new = |name: &VertexName| removed.contains(name) || !known.contains_key(name);
        let new: Vec<_> = vertices(spec).into_iter().filter(|(name, _)| is_new(name)).collect();
        if !new.is_empty() {
            Arc::make_mut(known).extend(new);
        }
    }

    /// Follows a mutation that was applied. What a field was set to is not followed: it changes no kind of
    /// program that a vertex has.
    pub(crate) fn mutated(&mut self, frame: FrameId, mutation: &Mutation) {
        let Mutation::AddVertex(vertex) = mutation else { return };
        if let (Some(vertices), Some(executed)) = (self.open.get_mut(&frame), Executed::by(vertex)) {
            Arc::make_mut(vertices).insert(vertex.name.clone(), executed);
        }
    }

    pub(crate) fn executed(&self, frame: FrameId, vertex: &VertexName) -> Option<&Executed> {
        self.open.get(&frame)?.get(vertex)
    }
}

fn vertices(spec: &GraphSpec) -> BTreeMap<VertexName, Executed> {
    let executed = |vertex: &VertexSpec| Some((vertex.name.clone(), Executed::by(vertex)?));
    spec.vertices.iter().filter_map(executed).collect()
}
