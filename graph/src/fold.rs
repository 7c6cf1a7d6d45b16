//! Mutations applied to a graph in Pregel's order.

mod adopt;
mod field;

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::mutation::{EdgeRef, Mutation, MutationKind, PriorityClass, Refusal, Request, SetField};
use crate::name::VertexName;
use crate::spec::{EdgeSpec, Governance, GraphSpec, VertexSpec};
use crate::validate::problem_of;

/// What of a vertex or an edge only its runtime can check: whether expressions and templates parse.
pub trait ProgramCheck {
    /// Why `vertex` could not be run.
    ///
    /// # Errors
    /// The reason, in a sentence.
    fn check_vertex(&self, vertex: &VertexSpec) -> Result<(), String>;

    /// Why `edge` could not carry messages.
    ///
    /// # Errors
    /// The reason, in a sentence.
    fn check_edge(&self, edge: &EdgeSpec) -> Result<(), String>;
}

/// What became of one request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// It changed the graph.
    Applied,
    /// An equal request of the same barrier had changed the graph already.
    Collapsed,
    /// It did not change the graph.
    Refused(Refusal),
}

/// The outcome of a barrier's requests.
#[derive(Clone, Debug, PartialEq)]
pub struct Fold {
    /// The graph after them, sorted.
    pub spec: GraphSpec,
    /// What became of each request, in the order they were given in.
    pub verdicts: Vec<Verdict>,
    /// Vertices that were removed, whether or not one of that name was added after, and those that an adopted graph
    /// does not have.
    pub removed: Vec<VertexName>,
}

/// Applies `requests` to `base` in Pregel's order: another graph is adopted, edges are removed, vertices removed,
/// vertices added, edges added, fields set; within a kind by priority class, requester and request. The first
/// request that applies claims its object or field; equal ones collapse; others are refused; of several graphs the
/// last is kept. The order in which `requests` stand does not matter. At most `allowance` requests are applied.
///
/// `past` is what earlier barriers applied, one list for each: it is applied to an adopted graph again. What of it
/// has no place in that graph has no effect, and has its place again when a later one has.
pub fn fold(
    base: &GraphSpec,
    past: &[Vec<Request>],
    requests: &[Request],
    allowance: u64,
    check: &dyn ProgramCheck,
) -> Fold {
    let mut order: Vec<usize> = (0..requests.len()).collect();
    order.sort_by_key(|&index| {
        let kind = requests[index].mutation.kind();
        (kind != MutationKind::Adopt, kind, &requests[index].order)
    });
    let mut folding = Folding::new(base, past, check);
    let mut verdicts = vec![Verdict::Collapsed; requests.len()];
    let mut left = allowance;
    for index in order {
        verdicts[index] = match folding.apply(&requests[index], left) {
            Ok(verdict) => verdict,
            Err(refusal) => Verdict::Refused(refusal),
        };
        if verdicts[index] == Verdict::Applied {
            left -= 1;
        }
    }
    folding.finish(verdicts)
}

type EdgeKey = EdgeRef;

struct Folding<'a> {
    /// The graph before the barrier.
    origin: &'a GraphSpec,
    /// The same, or the one that was adopted.
    base: Cow<'a, GraphSpec>,
    past: &'a [Vec<Request>],
    check: &'a dyn ProgramCheck,
    vertices: BTreeMap<VertexName, VertexSpec>,
    edges: BTreeMap<EdgeKey, EdgeSpec>,
    applied: Vec<&'a Mutation>,
    removed: Vec<VertexName>,
}

impl<'a> Folding<'a> {
    fn new(base: &'a GraphSpec, past: &'a [Vec<Request>], check: &'a dyn ProgramCheck) -> Self {
        Self {
            origin: base,
            base: Cow::Borrowed(base),
            past,
            check,
            vertices: vertices_of(base),
            edges: edges_of(base),
            applied: Vec::new(),
            removed: Vec::new(),
        }
    }

    fn apply<'r: 'a>(&mut self, request: &'r Request, allowance: u64) -> Result<Verdict, Refusal> {
        let mutation = &request.mutation;
        if request.order.class == PriorityClass::Vertex {
            self.demand_allowed(mutation)?;
        }
        if let Mutation::Denied(denied) = mutation {
            return Err(Refusal::Denied(denied.why.clone()));
        }
        if self.applied.contains(&mutation) {
            return Ok(Verdict::Collapsed);
        }
        if let Some(object) = self.applied.iter().find_map(|other| conflict(other, mutation)) {
            return Err(Refusal::Claimed(object));
        }
        if allowance == 0 {
            return Err(Refusal::Limit);
        }
        self.change(request)?;
        self.applied.push(mutation);
        Ok(Verdict::Applied)
    }

    /// Whether the graph takes such a mutation from a vertex. One that waits for somebody's approval is not asked for
    /// before it is approved, so all that comes here was.
    fn demand_allowed(&self, mutation: &Mutation) -> Result<(), Refusal> {
        let (policy, kind) = (&self.base.mutations, mutation.kind());
        if policy.governance == Governance::Deny {
            Err(Refusal::Forbidden)
        } else if kind == MutationKind::Adopt || !policy.allow.contains(&kind) {
            Err(Refusal::NotAllowed(kind))
        } else {
            Ok(())
        }
    }

    fn change(&mut self, request: &Request) -> Result<(), Refusal> {
        match &request.mutation {
            Mutation::RemoveEdge(edge) => match self.edges.remove(edge) {
                Some(_) => Ok(()),
                None => Err(Refusal::Absent(edge_text(edge))),
            },
            Mutation::RemoveVertex(vertex) => match self.vertices.remove(&vertex.name) {
                Some(_) => {
                    self.removed.push(vertex.name.clone());
                    Ok(())
                }
                None => Err(Refusal::Absent(vertex_text(&vertex.name))),
            },
            Mutation::AddVertex(vertex) => {
                if self.vertices.contains_key(&vertex.name) {
                    return Err(Refusal::Exists(vertex_text(&vertex.name)));
                }
                self.put_vertex((**vertex).clone(), request)
            }
            Mutation::AddEdge(edge) => {
                if self.edges.contains_key(&key_of(edge)) {
                    return Err(Refusal::Exists(edge_text(&key_of(edge))));
                }
                self.put_edge(edge.clone())
            }
            Mutation::Set(set) => self.set(set, request),
            Mutation::Adopt(graph) => self.adopt(graph),
            Mutation::Denied(denied) => Err(Refusal::Denied(denied.why.clone())),
        }
    }

    fn set(&mut self, set: &SetField, request: &Request) -> Result<(), Refusal> {
        match (&set.vertex, &set.edge) {
            (Some(name), None) => {
                let vertex = self.vertices.get(name).ok_or_else(|| Refusal::Absent(vertex_text(name)))?;
                let changed =
                    field::set(vertex, &["name"], set).map_err(|why| invalid(vertex_text(name), why))?;
                self.put_vertex(changed, request)
            }
            (None, Some(key)) => {
                let edge = self.edges.get(key).ok_or_else(|| Refusal::Absent(edge_text(key)))?;
                let changed = field::set(edge, &["from", "to", "port"], set)
                    .map_err(|why| invalid(edge_text(key), why))?;
                self.put_edge(changed)
            }
            (Some(_), Some(_)) | (None, None) => {
                Err(invalid(format!("field {:?}", set.field), "name either a vertex or an edge".to_owned()))
            }
        }
    }

    fn put_vertex(&mut self, vertex: VertexSpec, request: &Request) -> Result<(), Refusal> {
        let object = vertex_text(&vertex.name);
        if !vertex.name.is_well_formed() {
            return Err(invalid(object, "a name has the form [a-z][a-z0-9_]*".to_owned()));
        }
        if let Some(why) = problem_of(&self.base, &vertex) {
            return Err(invalid(object, why));
        }
        self.check.check_vertex(&vertex).map_err(|why| invalid(object, why))?;
        if let Some(capability) = request.capabilities.exceeded_by(&vertex) {
            return Err(Refusal::Widens { vertex: vertex.name, capability });
        }
        self.vertices.insert(vertex.name.clone(), vertex);
        Ok(())
    }

    fn put_edge(&mut self, edge: EdgeSpec) -> Result<(), Refusal> {
        let key = key_of(&edge);
        if !edge.from.is_well_formed() || !edge.to.is_well_formed() || !edge.port.is_well_formed() {
            return Err(invalid(edge_text(&key), "a name or port has the form [a-z][a-z0-9_]*".to_owned()));
        }
        self.check.check_edge(&edge).map_err(|why| invalid(edge_text(&key), why))?;
        self.edges.insert(key, edge);
        Ok(())
    }

    fn finish(mut self, verdicts: Vec<Verdict>) -> Fold {
        self.lose_vertices();
        let mut spec = self.base.into_owned();
        spec.vertices = self.vertices.into_values().collect();
        spec.edges = self.edges.into_values().collect();
        spec.sort();
        Fold { spec, verdicts, removed: self.removed }
    }
}

fn vertices_of(spec: &GraphSpec) -> BTreeMap<VertexName, VertexSpec> {
    spec.vertices.iter().map(|vertex| (vertex.name.clone(), vertex.clone())).collect()
}

fn edges_of(spec: &GraphSpec) -> BTreeMap<EdgeKey, EdgeSpec> {
    spec.edges.iter().map(|edge| (key_of(edge), edge.clone())).collect()
}

/// The object that `earlier` has claimed and `later` wants too. Removing and adding one object in a
/// barrier is no conflict: each kind claims for itself.
fn conflict(earlier: &Mutation, later: &Mutation) -> Option<String> {
    if let (Mutation::AddVertex(one), Mutation::AddVertex(two)) = (earlier, later)
        && one.name == two.name
    {
        return Some(vertex_text(&one.name));
    }
    if let (Mutation::AddEdge(one), Mutation::AddEdge(two)) = (earlier, later)
        && one.key() == two.key()
    {
        return Some(edge_text(&key_of(one)));
    }
    if let (Mutation::Set(one), Mutation::Set(two)) = (earlier, later)
        && (&one.vertex, &one.edge) == (&two.vertex, &two.edge)
        && field::overlap(&one.field, &two.field)
    {
        return Some(format!("field {:?}", two.field));
    }
    None
}

fn key_of(edge: &EdgeSpec) -> EdgeKey {
    EdgeRef { from: edge.from.clone(), port: edge.port.clone(), to: edge.to.clone() }
}

fn vertex_text(name: &VertexName) -> String {
    format!("vertex {name:?}")
}

fn edge_text(edge: &EdgeRef) -> String {
    format!("edge {} -> {} on port {:?}", edge.from, edge.to, edge.port)
}

fn invalid(object: String, why: String) -> Refusal {
    Refusal::Invalid { object, why }
}

#[cfg(test)]
mod tests;
