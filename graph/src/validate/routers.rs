//! Routers that weigh costs: there is a path to where they lead, and each of its beginnings is told apart.

use std::collections::BTreeSet;

use crate::name::VertexName;
use crate::path::{Weight, is_way, lightest};
use crate::problem::{FieldPath, Problem};
use crate::spec::{GraphSpec, PathRule, RouterProgram, Weights};
use crate::topology::{EdgeIx, Topology, VertexIx};

/// One router that weighs costs.
struct Router<'a> {
    spec: &'a GraphSpec,
    topology: &'a Topology,
    name: &'a VertexName,
    at: VertexIx,
    to: VertexIx,
    /// Where `to` is written.
    place: FieldPath,
}

pub(super) fn check(spec: &GraphSpec, topology: &Topology, problems: &mut Vec<Problem>) {
    for (position, vertex) in spec.vertices.iter().enumerate() {
        let Some((router, goal)) = vertex.router.as_ref().and_then(|router| Some((router, router.goal()?)))
        else {
            continue;
        };
        let field = FieldPath::default().field("vertices").index(position).field("router");
        let place = field.field(router.goal_field()).field("to");
        let (Some(at), Some(to)) = (topology.find(&vertex.name), topology.find(goal.to)) else { continue };
        let router = Router { spec, topology, name: &vertex.name, at, to, place };
        if at == to {
            let problem = Problem::error(router.place, "a router cannot lead to itself");
            problems.push(problem.hint("name the vertex in which its paths come together"));
            continue;
        }
        router.check(problems);
    }
}

/// What is wrong with a router by itself, whatever graph it stands in.
pub(super) fn form(path: &FieldPath, router: &RouterProgram, problems: &mut Vec<Problem>) {
    if router.choices() != 1 {
        let problem = Problem::error(path.clone(), "a router chooses in one way");
        problems.push(problem.hint(format!("give exactly one of {}", RouterProgram::CHOICES.join(", "))));
        return;
    }
    let Some(goal) = router.goal() else { return };
    let path = path.field(router.goal_field());
    if goal.explore == Some(0) {
        let problem = Problem::error(path.field("explore"), "explore is at least 1");
        problems.push(problem.hint("leave it out if no message is to try another path"));
    }
    if let PathRule::Cheapest(Some(weights)) = goal.rule {
        weigh(&path.field("weigh"), weights, problems);
    }
}

/// Whether costs can be added up and compared.
pub(super) fn is_cost(number: f64) -> bool {
    number.is_finite() && number >= 0.0
}

fn weigh(path: &FieldPath, weights: Weights, problems: &mut Vec<Problem>) {
    for (member, _) in weights.members().into_iter().filter(|(_, weight)| !is_cost(*weight)) {
        problems.push(Problem::error(path.field(member), "a weight is a number, 0 or more"));
    }
    if weights == Weights::default() {
        let problem = Problem::error(path.clone(), "nothing has any weight");
        problems.push(problem.hint("weigh at least one of tokens, money, latencySeconds"));
    }
}

impl Router<'_> {
    fn check(&self, problems: &mut Vec<Problem>) {
        let first = lightest(self.topology, self.at, self.to, &|_| Some(Weight::default()));
        let first: Vec<EdgeIx> = first.into_iter().map(|(ix, _)| ix).collect();
        match first.as_slice() {
            [] => problems.push(self.no_path()),
            [only] if self.spec.mutations.allow.is_empty() => {
                let next = &self.topology.edge(*only).to_name;
                let message = format!(
                    "every path from {:?} to {:?} begins with the edge to {next:?}: there is nothing to choose",
                    self.name,
                    self.topology.vertex(self.to).name
                );
                problems.push(Problem::warning(self.place.clone(), message));
            }
            [_, ..] => {}
        }
        self.edges(&first, problems);
    }

    fn no_path(&self) -> Problem {
        let to = &self.topology.vertex(self.to).name;
        let message = format!("no path of active edges leads from {:?} to {to:?}", self.name);
        let problem = if self.spec.mutations.allow.is_empty() {
            Problem::error(self.place.clone(), message)
        } else {
            Problem::warning(self.place.clone(), message)
        };
        let reached: Vec<String> = self.reached().iter().map(ToString::to_string).collect();
        problem.hint(if reached.is_empty() {
            format!("no active edge leaves {:?}", self.name)
        } else {
            format!("its paths reach {}: add an edge from one of them to {to:?}", reached.join(", "))
        })
    }

    /// What paths from the router reach.
    fn reached(&self) -> BTreeSet<&VertexName> {
        let mut seen = BTreeSet::new();
        let mut work = vec![self.at];
        while let Some(at) = work.pop() {
            let next = self.topology.out(at).filter(|(_, edge)| is_way(edge));
            for to in next.filter_map(|(_, edge)| edge.to).filter(|to| *to != self.at) {
                if seen.insert(&self.topology.vertex(to).name) {
                    work.push(to);
                }
            }
        }
        seen
    }

    /// A router sends on the port of one edge: each has to have a port of its own.
    fn edges(&self, first: &[EdgeIx], problems: &mut Vec<Problem>) {
        let out = || self.topology.out(self.at).filter(|(_, edge)| is_way(edge));
        for (ix, edge) in out() {
            let Some(position) = self
                .spec
                .edges
                .iter()
                .position(|written| written.key() == (self.name, &edge.port, &edge.to_name))
            else {
                continue;
            };
            let place = FieldPath::default().field("edges").index(position);
            let to = &edge.to_name;
            if let Some((_, other)) = out().find(|(other, known)| *other < ix && known.port == edge.port) {
                let message = format!(
                    "the edges of router {:?} to {:?} and {to:?} share port {:?}, so that both would be taken",
                    self.name, other.to_name, edge.port
                );
                let problem = Problem::error(place.field("port"), message);
                problems.push(problem.hint(format!("give each a port of its own, such as port: {to}")));
            } else if edge.to.is_some() && !first.contains(&ix) && !first.is_empty() {
                let message = format!(
                    "router {:?} never takes the edge to {to:?}, from which no path leads on",
                    self.name
                );
                problems.push(Problem::warning(place.clone(), message));
            }
            if edge.when.is_some() {
                let message = format!("router {:?} does not look at conditions when it chooses", self.name);
                let hint = "what it sends where the condition is false is lost: leave when out";
                problems.push(Problem::warning(place.field("when"), message).hint(hint));
            }
        }
    }
}
