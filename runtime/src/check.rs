//! What can be seen to be wrong with the templates, expressions and schemas of a graph before it
//! runs.

mod programs;
mod shape;

use superstep_graph::{
    AnyVertex, Delivery, EdgeSpec, FieldPath, GraphSpec, MutationKind, Problem, Sends, VertexName,
    VertexSpec, Within,
};

use crate::cel::Expression;
use crate::roots::{CompileError, Position, Reference, Scope};
use crate::schema::Schema;
use shape::Shape;

/// Checks what `superstep_graph::validate` does not: whether templates, expressions and schemas
/// compile, and whether what they read can be there. Paths begin at the spec itself and index lists as
/// they were written. Problems come in the order of their severity, their path,
/// and their place in the text there.
pub fn check(spec: &GraphSpec) -> Vec<Problem> {
    let mut checking = Checking { spec, problems: Vec::new() };
    let root = FieldPath::default();
    if let Some(input) = &spec.input {
        checking.schema(root.field("input").field("schema"), &input.schema);
    }
    if let Some(parameters) = &spec.parameters {
        checking.parameters(&root.field("parameters"), parameters);
    }
    for (index, tool) in spec.tools.iter().enumerate() {
        checking.tool(&root.field("tools").index(index), tool);
    }
    for (index, vertex) in spec.vertices.iter().enumerate() {
        checking.vertex(&root.field("vertices").index(index), vertex);
    }
    for (index, edge) in spec.edges.iter().enumerate() {
        checking.edge(&root.field("edges").index(index), edge);
    }
    let mut problems = checking.problems;
    problems.sort_by(|a, b| (a.severity, &a.path, a.within).cmp(&(b.severity, &b.path, b.within)));
    problems.dedup();
    problems
}

struct Checking<'a> {
    spec: &'a GraphSpec,
    problems: Vec<Problem>,
}

impl<'a> Checking<'a> {
    fn vertex(&mut self, path: &FieldPath, vertex: &'a VertexSpec) {
        let here = path.clone();
        for program in vertex.programs() {
            let here = here.field(program.kind());
            self.program(&here, vertex, program);
        }
        if let Some(key) = vertex.cache.as_ref().and_then(|cache| cache.key.as_ref()) {
            self.expression(here.field("cache").field("key"), vertex, key, Scope::Vertex);
        }
        let effects = &vertex.effects;
        let here = here.field("effects");
        for (field, source) in [
            ("value", &effects.value),
            ("append", &effects.append),
            ("mutations", &effects.mutations),
            ("sends", &effects.sends),
        ] {
            if let Some(source) = source {
                self.expression(here.field(field), vertex, source, Scope::Effects);
            }
        }
        for (name, source) in &effects.contribute {
            self.expression(here.field("contribute").field(name.as_str()), vertex, source, Scope::Effects);
        }
    }

    fn schema(&mut self, path: FieldPath, schema: &serde_json::Value) {
        if let Err(error) = Schema::compile(schema) {
            self.problems.push(Problem::error(path, error.to_string()));
        }
    }

    fn expression(&mut self, path: FieldPath, vertex: &'a VertexSpec, source: &str, scope: Scope) {
        match Expression::compile_all(source, scope) {
            Ok(expression) => self.references(&path, vertex, expression.references()),
            Err(errors) => self.uncompiled(&path, errors),
        }
    }

    fn uncompiled(&mut self, path: &FieldPath, errors: Vec<CompileError>) {
        self.problems.extend(errors.into_iter().map(|error| {
            let problem = Problem::error(path.clone(), error.message).within(at(error.position));
            Problem { hint: error.hint, ..problem }
        }));
    }

    fn edge(&mut self, path: &FieldPath, edge: &'a EdgeSpec) {
        for (field, source) in [("when", &edge.when), ("transform", &edge.transform)] {
            let Some(source) = source else { continue };
            let path = path.field(field);
            match Expression::compile_all(source, Scope::Edge) {
                Ok(expression) => {
                    let shape = Shape::sent(self.spec, edge);
                    for reference in expression.references() {
                        self.parameter(&path, reference);
                    }
                    for reference in
                        expression.references().iter().filter(|reference| reference.path[0] == "message")
                    {
                        self.fields(&path, reference, 1, shape, &format!("the output of {:?}", edge.from));
                    }
                }
                Err(errors) => self.uncompiled(&path, errors),
            }
        }
    }

    fn references(&mut self, path: &FieldPath, vertex: &'a VertexSpec, references: &[Reference]) {
        for reference in references {
            match (reference.path[0].as_str(), reference.path.get(1)) {
                ("from", Some(sender)) => {
                    self.from(path, vertex, reference, &VertexName::from(sender.as_str()))
                }
                ("message", _) => self.message(path, vertex, reference),
                ("aggregates", Some(name)) => self.aggregate(path, reference, name),
                ("element", _) if vertex.for_each.is_none() => {
                    let problem = Problem::error(path.clone(), crate::roots::NO_ELEMENT);
                    let hint = "add forEach: {} to the vertex, or read message or from";
                    self.problems.push(problem.within(at(reference.position)).hint(hint));
                }
                ("input", Some(_)) => {
                    let shape =
                        self.spec.input.as_ref().map_or(Shape::Unknown, |input| Shape::Schema(&input.schema));
                    self.fields(path, reference, 1, shape, "the input");
                }
                ("parameters", _) => self.parameter(path, reference),
                ("output", Some(_)) => {
                    self.fields(path, reference, 1, Shape::of(vertex), "the output of this vertex")
                }
                _ => {}
            }
        }
    }

    fn parameter(&mut self, path: &FieldPath, reference: &Reference) {
        if reference.path[0] != "parameters" {
            return;
        }
        match &self.spec.parameters {
            Some(parameters) => {
                self.fields(path, reference, 1, Shape::Schema(&parameters.schema), "parameters")
            }
            None => {
                let problem = Problem::error(path.clone(), "the graph has no parameters");
                let hint = "declare them in the schema of the graph's parameters";
                self.problems.push(problem.within(at(reference.position)).hint(hint));
            }
        }
    }

    fn from(&mut self, path: &FieldPath, vertex: &'a VertexSpec, reference: &Reference, sender: &VertexName) {
        let edges: Vec<&EdgeSpec> = self.edges_to(&vertex.name).filter(|edge| edge.from == *sender).collect();
        let is_direct = self.direct_senders(&vertex.name).any(|name| name == sender);
        if edges.is_empty() && !is_direct {
            let message = format!("no edge leads from {sender:?} to {:?}", vertex.name);
            let known: Vec<&str> = self.edges_to(&vertex.name).map(|edge| edge.from.as_str()).collect();
            let problem = self.unless_edges_come(path.clone(), message).within(at(reference.position));
            let mut problem = problem.nearest(sender.as_str(), known);
            let exists = self.spec.vertices.iter().any(|other| other.name == *sender);
            if problem.hint.is_none() && exists {
                problem = problem
                    .hint(format!("add {{from: {sender}, to: {}, delivery: Passive}} to edges", vertex.name));
            }
            self.problems.push(problem);
            return;
        }
        let shape = if is_direct { Shape::Unknown } else { Shape::received(self.spec, vertex, &edges) };
        self.fields(path, reference, 2, shape, &format!("the output of {sender:?}"));
    }

    fn message(&mut self, path: &FieldPath, vertex: &'a VertexSpec, reference: &Reference) {
        let edges: Vec<&EdgeSpec> =
            self.edges_to(&vertex.name).filter(|edge| edge.delivery == Delivery::Active).collect();
        let is_direct = self.direct_senders(&vertex.name).next().is_some();
        let Some(first) = edges.first() else {
            if !is_direct {
                let message =
                    format!("nothing is ever sent to {:?}, so that there is no message", vertex.name);
                let problem = self.unless_edges_come(path.clone(), message);
                self.problems.push(problem.within(at(reference.position)));
            }
            return;
        };
        let is_only = !is_direct && edges.iter().all(|edge| edge.from == first.from);
        let shape = if is_only { Shape::received(self.spec, vertex, &edges) } else { Shape::Unknown };
        self.fields(path, reference, 1, shape, &format!("the output of {:?}", first.from));
    }

    fn aggregate(&mut self, path: &FieldPath, reference: &Reference, name: &str) {
        let known: Vec<&str> =
            self.spec.aggregators.iter().map(|aggregator| aggregator.name.as_str()).collect();
        if !known.contains(&name) {
            let problem = Problem::error(path.clone(), format!("no aggregator is named {name:?}"));
            self.problems.push(problem.within(at(reference.position)).nearest(name, known));
        }
    }

    /// Whether what has `shape` has the fields that `reference` reads from the place `from` of its
    /// path on.
    fn fields(
        &mut self,
        path: &FieldPath,
        reference: &Reference,
        from: usize,
        shape: Shape<'_>,
        whose: &str,
    ) {
        if let Some(missing) = shape.missing(&reference.path[from..]) {
            let problem = Problem::error(path.clone(), format!("{whose} has no field {:?}", missing.name));
            self.problems.push(problem.within(at(reference.position)).nearest(&missing.name, missing.known));
        }
    }

    /// An error, or a warning where vertices may add edges.
    fn unless_edges_come(&self, path: FieldPath, message: String) -> Problem {
        if self.spec.mutations.allow.contains(&MutationKind::AddEdge) {
            Problem::warning(path, message)
        } else {
            Problem::error(path, message)
        }
    }

    fn edges_to(&self, name: &VertexName) -> impl Iterator<Item = &'a EdgeSpec> {
        self.spec.edges.iter().filter(move |edge| edge.to == *name)
    }

    fn direct_senders(&self, name: &VertexName) -> impl Iterator<Item = &'a VertexName> {
        let may_send = move |vertex: &&VertexSpec| match &vertex.sends {
            Some(Sends::To(targets)) => targets.contains(name),
            Some(Sends::Any(AnyVertex::Any)) => true,
            None => false,
        };
        self.spec.vertices.iter().filter(may_send).map(|vertex| &vertex.name)
    }
}

fn at(position: Position) -> Within {
    Within { line: position.line, column: position.column }
}

#[cfg(test)]
mod tests;
