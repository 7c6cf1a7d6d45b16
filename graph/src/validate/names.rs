//! Names are well formed, unique, and resolve.

use std::collections::{BTreeMap, BTreeSet};

use super::{may_grow, routers::is_cost};
use crate::name::{Port, VertexName};
use crate::problem::{FieldPath, Problem};
use crate::spec::{AnyVertex, EdgeCost, EdgeSpec, GraphSpec, Program, Sends};

pub(super) fn check(spec: &GraphSpec, problems: &mut Vec<Problem>) {
    let root = FieldPath::default();
    for (list, names) in [
        ("models", spec.models.iter().map(|model| &model.name).collect::<Vec<_>>()),
        ("tools", spec.tools.iter().map(|tool| &tool.name).collect()),
        ("vertices", spec.vertices.iter().map(|vertex| &vertex.name).collect()),
        ("aggregators", spec.aggregators.iter().map(|aggregator| &aggregator.name).collect()),
    ] {
        unique(&root.field(list), &names, problems);
    }
    let resolve = Resolve { spec, known: spec.vertices.iter().map(|vertex| vertex.name.as_str()).collect() };
    for (index, name) in spec.entry.iter().enumerate() {
        resolve.vertex(root.field("entry").index(index), name, false, problems);
    }
    for (index, output) in spec.outputs.iter().enumerate() {
        if spec.outputs[..index].iter().any(|other| other.vertex == output.vertex) {
            let place = root.field("outputs").index(index).field("vertex");
            let message = format!("vertex {:?} is an output already", output.vertex);
            problems.push(Problem::error(place, message).hint("an output has one select"));
        }
        resolve.vertex(root.field("outputs").index(index).field("vertex"), &output.vertex, true, problems);
    }
    edges(&resolve, problems);
    for (index, vertex) in spec.vertices.iter().enumerate() {
        let path = root.field("vertices").index(index);
        for (position, name) in vertex.join.of.iter().flatten().enumerate() {
            resolve.vertex(path.field("join").field("of").index(position), name, true, problems);
        }
        match &vertex.sends {
            Some(Sends::To(targets)) => {
                for (position, name) in targets.iter().enumerate() {
                    resolve.vertex(path.field("sends").index(position), name, true, problems);
                }
            }
            Some(Sends::Any(AnyVertex::Any)) | None => {}
        }
        if let Some((router, goal)) = vertex.router.as_ref().and_then(|router| Some((router, router.goal()?)))
        {
            let place = path.field("router").field(router.goal_field()).field("to");
            resolve.vertex(place, goal.to, true, problems);
        }
    }
}

fn unique(path: &FieldPath, names: &[&VertexName], problems: &mut Vec<Problem>) {
    let mut seen: BTreeMap<&VertexName, usize> = BTreeMap::new();
    for (index, name) in names.iter().enumerate() {
        let place = path.index(index).field("name");
        if !name.is_well_formed() {
            let problem = Problem::error(place.clone(), format!("{name:?} is no name"));
            let hint =
                "a name begins with a-z and goes on with a-z, 0-9 and _ (CEL would subtract at a hyphen)";
            problems.push(problem.hint(hint));
        }
        if let Some(first) = seen.insert(name, index) {
            problems
                .push(Problem::error(place, format!("{name:?} is taken by item {first} of the same list")));
        }
    }
}

struct Resolve<'a> {
    spec: &'a GraphSpec,
    known: BTreeSet<&'a str>,
}

impl Resolve<'_> {
    fn vertex(&self, path: FieldPath, name: &VertexName, may_come_later: bool, problems: &mut Vec<Problem>) {
        if self.known.contains(name.as_str()) {
            return;
        }
        let message = format!("no vertex is named {name:?}");
        // No vertex can ever come that has an ill-formed name.
        let problem = if may_come_later && may_grow(self.spec) && name.is_well_formed() {
            Problem::warning(path, message)
        } else {
            Problem::error(path, message)
        };
        problems.push(problem.nearest(name.as_str(), self.known.iter().copied()));
    }
}

impl<'a> Resolve<'a> {
    /// That an edge listens to a port on which nothing is ever sent.
    fn unused_port(&self, path: &FieldPath, edge: &EdgeSpec) -> Option<Problem> {
        let known = self.ports(&edge.from)?;
        let port = edge.port.as_str();
        if known.contains(&port) || !is_port(&edge.port) {
            return None;
        }
        let advice = format!("its ports are {}", known.join(", "));
        let message = format!("vertex {:?} sends nothing on port {port:?}", edge.from);
        Some(Problem::warning(path.field("port"), message).hint(advice).nearest(port, known))
    }

    /// The ports on which a vertex may send. None if there is no such vertex, or its program sends on whatever port it
    /// likes.
    fn ports(&self, name: &VertexName) -> Option<Vec<&'a str>> {
        let vertex = self.spec.vertices.iter().find(|vertex| vertex.name == *name)?;
        let own = match vertex.program()? {
            Program::Router(_) | Program::Custom(_) => return None,
            Program::Prompt(prompt) => prompt.sampling.logprobs.map(|_| Port::LOGPROBS),
            Program::Retrieve(_) => Some(Port::INDEXED),
            Program::Agent(_)
            | Program::Judge(_)
            | Program::Human(_)
            | Program::Tool(_)
            | Program::Function(_)
            | Program::Embed(_)
            | Program::Algorithm(_)
            | Program::Graph(_) => None,
        };
        Some([Port::DEFAULT, Port::ERROR].into_iter().chain(own).collect())
    }
}

fn is_port(port: &Port) -> bool {
    VertexName::from(port.as_str()).is_well_formed()
}

fn edges(resolve: &Resolve<'_>, problems: &mut Vec<Problem>) {
    let mut seen = BTreeMap::new();
    for (index, edge) in resolve.spec.edges.iter().enumerate() {
        let path = FieldPath::default().field("edges").index(index);
        resolve.vertex(path.field("from"), &edge.from, true, problems);
        resolve.vertex(path.field("to"), &edge.to, true, problems);
        if !is_port(&edge.port) {
            problems.push(Problem::error(path.field("port"), format!("{:?} is no port", edge.port)));
        }
        if let Some(first) = seen.insert(edge.key(), index) {
            let message =
                format!("edge {} -> {} on port {:?} is item {first} already", edge.from, edge.to, edge.port);
            let hint = "join the conditions of both by || in one edge, or use another port";
            problems.push(Problem::error(path.clone(), message).hint(hint));
        }
        for (member, _) in edge.cost.iter().flat_map(EdgeCost::members).filter(|(_, cost)| !is_cost(*cost)) {
            let place = path.field("cost").field(member);
            problems.push(Problem::error(place, "a cost is a number, 0 or more"));
        }
        if edge.retain && edge.delivery == crate::spec::Delivery::Passive {
            let problem =
                Problem::warning(path.field("retain"), "a passive edge keeps its last message anyway");
            problems.push(problem.hint("leave retain out"));
        }
        problems.extend(resolve.unused_port(&path, edge));
        if edge.port.as_str() == Port::ERROR && edge.when.is_none() && edge.from == edge.to {
            let message =
                format!("vertex {:?} would be activated again by each of its own failures", edge.from);
            problems.push(
                Problem::warning(path, message).hint("use retry to try again a bounded number of times"),
            );
        }
    }
}
