//! Each vertex has one program, and its members go together.

use std::collections::BTreeSet;

use serde_json::Value;

use super::may_grow;
use crate::problem::{FieldPath, Problem, Severity};
use crate::spec::{
    BarrierMode, Effects, GraphSpec, JoinMode, OnSatisfied, Program, VertexSpec, WhenIncomplete,
};

pub(super) fn check(spec: &GraphSpec, problems: &mut Vec<Problem>) {
    let root = FieldPath::default();
    if spec.vertices.is_empty() {
        let problem = Problem::error(root.field("vertices"), "the graph has no vertex");
        problems.push(problem.hint("a single prompt is a graph of one vertex"));
    }
    if spec.entry.is_empty() && !spec.vertices.is_empty() {
        let problem = Problem::error(root.field("entry"), "no vertex is activated in superstep 0");
        problems.push(problem.hint("name at least one vertex"));
    }
    let barrier = root.field("barrier");
    match (spec.barrier.mode, spec.barrier.count) {
        (BarrierMode::Quorum, None | Some(0)) => {
            problems
                .push(Problem::error(barrier.field("count"), "a Quorum barrier needs a count of at least 1"));
        }
        (BarrierMode::All | BarrierMode::Any, Some(_)) => {
            problems.push(Problem::error(barrier.field("count"), "count goes with mode Quorum only"));
        }
        (BarrierMode::Quorum, Some(_)) | (BarrierMode::All | BarrierMode::Any, None) => {}
    }
    let models: Vec<&str> = spec.models.iter().map(|model| model.name.as_str()).collect();
    for (index, vertex) in spec.vertices.iter().enumerate() {
        let path = root.field("vertices").index(index);
        program(&path, vertex, &models, problems);
        join(&path, vertex, problems);
        effects(spec, &path, vertex, problems);
    }
}

/// What is wrong with a vertex that a mutation brings or changes, apart from names that need not
/// resolve.
pub(crate) fn problem_of(spec: &GraphSpec, vertex: &VertexSpec) -> Option<String> {
    let mut problems = Vec::new();
    let models: Vec<&str> = spec.models.iter().map(|model| model.name.as_str()).collect();
    program(&FieldPath::default(), vertex, &models, &mut problems);
    join(&FieldPath::default(), vertex, &mut problems);
    effects(spec, &FieldPath::default(), vertex, &mut problems);
    let error = problems.into_iter().find(|problem| problem.severity == Severity::Error);
    error.map(|problem| problem.to_string())
}

fn program(path: &FieldPath, vertex: &VertexSpec, models: &[&str], problems: &mut Vec<Problem>) {
    let kinds: Vec<&str> = vertex.programs().map(|program| program.kind()).collect();
    if kinds.len() != 1 {
        let problem = if kinds.is_empty() {
            Problem::error(path.clone(), format!("vertex {:?} has no program", vertex.name))
        } else {
            Problem::error(
                path.field(kinds[1]),
                format!("vertex {:?} has {} programs", vertex.name, kinds.len()),
            )
        };
        problems.push(problem.hint("give exactly one of prompt, function, router, graph, custom"));
    }
    let Some(Program::Prompt(prompt)) = vertex.program() else { return };
    let path = path.field("prompt");
    if !models.contains(&prompt.model.as_str()) {
        let problem = Problem::error(path.field("model"), format!("no model is named {:?}", prompt.model));
        problems.push(problem.nearest(prompt.model.as_str(), models.iter().copied()));
    }
    let sampling = path.field("sampling");
    for (name, value, low, high) in [
        ("temperature", prompt.sampling.temperature, 0.0, 100.0),
        ("topP", prompt.sampling.top_p, 0.0, 1.0),
        ("minP", prompt.sampling.min_p, 0.0, 1.0),
    ] {
        if value.is_some_and(|value| !(low..=high).contains(&value)) {
            problems
                .push(Problem::error(sampling.field(name), format!("{name} lies between {low} and {high}")));
        }
    }
    if prompt.sampling.repetition_penalty.is_some_and(|penalty| penalty <= 0.0) {
        problems.push(Problem::error(sampling.field("repetitionPenalty"), "repetitionPenalty is above 0"));
    }
    if prompt.sampling.max_tokens == Some(0) {
        problems.push(Problem::error(sampling.field("maxTokens"), "maxTokens is at least 1"));
    }
}

fn join(path: &FieldPath, vertex: &VertexSpec, problems: &mut Vec<Problem>) {
    let join = &vertex.join;
    let path = path.field("join");
    match (join.mode, join.count) {
        (JoinMode::Quorum, None | Some(0)) => {
            problems.push(Problem::error(path.field("count"), "a Quorum join needs a count of at least 1"));
        }
        (JoinMode::Any | JoinMode::All, Some(_)) => {
            problems.push(Problem::error(path.field("count"), "count goes with mode Quorum only"));
        }
        (JoinMode::Quorum, Some(_)) | (JoinMode::Any | JoinMode::All, None) => {}
    }
    if join.of.as_ref().is_some_and(Vec::is_empty) {
        problems.push(Problem::error(path.field("of"), "a join counts at least one predecessor"));
    }
    if join.on_satisfied == OnSatisfied::CancelRest && join.mode != JoinMode::Quorum {
        let problem = Problem::error(path.field("onSatisfied"), "CancelRest goes with mode Quorum only");
        problems.push(problem.hint("the first to arrive wins in a Quorum with count 1"));
    }
    if join.mode != JoinMode::Any && join.when_incomplete == WhenIncomplete::Fail && join.of.is_none() {
        let problem = Problem::error(path, "whenIncomplete: Fail needs an explicit of");
        problems.push(problem.hint("name the predecessors without which the vertex must fail"));
    }
}

fn effects(spec: &GraphSpec, path: &FieldPath, vertex: &VertexSpec, problems: &mut Vec<Problem>) {
    let Effects { value, append, mutations, sends, contribute } = &vertex.effects;
    let path = path.field("effects");
    if vertex.graph.is_some() && vertex.effects != Effects::default() {
        let problem = Problem::error(path.clone(), "a sub-graph has no effects: its outputs are its result");
        problems.push(problem.hint("let the vertex after it have them"));
    }
    if value.is_some() && append.is_some() {
        problems.push(Problem::error(path.field("append"), "give value or append, not both"));
    }
    if vertex.for_each.is_some() && (value.is_some() || append.is_some()) {
        let field = if value.is_some() { "value" } else { "append" };
        problems.push(Problem::error(
            path.field(field),
            "an element of a forEach cannot write the vertex's value",
        ));
    }
    if append.is_some() && !matches!(vertex.value, Value::Null | Value::Array(_)) {
        problems.push(Problem::error(path.field("append"), "only a list, or null, can be appended to"));
    }
    if mutations.is_some() && spec.mutations.allow.is_empty() {
        let problem = Problem::error(path.field("mutations"), "the graph allows its vertices no mutation");
        problems.push(problem.hint("list the kinds in mutations.allow"));
    }
    if sends.is_some() && vertex.sends.is_none() {
        let problem = Problem::error(
            path.field("sends"),
            format!("vertex {:?} declares no direct targets", vertex.name),
        );
        problems.push(problem.hint("list them in sends"));
    }
    let known: BTreeSet<&str> = spec.aggregators.iter().map(|aggregator| aggregator.name.as_str()).collect();
    for name in contribute.keys().filter(|name| !known.contains(name.as_str())) {
        let place = path.field("contribute").field(name.as_str());
        let problem = Problem::error(place, format!("no aggregator is named {name:?}"));
        problems.push(problem.nearest(name.as_str(), known.iter().copied()));
    }
    if may_grow(spec) && !vertex.capabilities.models.is_empty() {
        for (index, model) in vertex.capabilities.models.iter().enumerate() {
            if !spec.models.iter().any(|known| known.name == *model) {
                let place = FieldPath::default().field("vertices");
                let at = spec.vertices.iter().position(|other| other.name == vertex.name).unwrap_or_default();
                let place = place.index(at).field("capabilities").field("models").index(index);
                problems.push(Problem::error(place, format!("no model is named {model:?}")));
            }
        }
    }
}
