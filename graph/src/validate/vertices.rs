//! The members of a vertex go together.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{cache, may_grow, programs};
use crate::name::VertexName;
use crate::problem::{FieldPath, Problem, Severity};
use crate::spec::{
    BarrierMode, Effects, GraphSpec, JoinMode, OnSatisfied, RetentionSpec, RetrySpec, VertexSpec,
    WhenIncomplete,
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
    if let Some(parameters) = &spec.parameters
        && !(parameters.default.is_null() || parameters.default.is_object())
    {
        let place = root.field("parameters").field("default");
        problems.push(Problem::error(place, "the default of parameters is an object"));
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
    retention(&root.field("retention"), spec, problems);
    for (index, vertex) in spec.vertices.iter().enumerate() {
        let path = root.field("vertices").index(index);
        programs::check(spec, &path, vertex, problems);
        join(&path, vertex, problems);
        timing(&path, vertex, problems);
        labels(&path, vertex, problems);
        effects(spec, &path, vertex, problems);
        cache::check(spec, &path, vertex, problems);
        capabilities(spec, &path, vertex, problems);
    }
}

fn retention(path: &FieldPath, spec: &GraphSpec, problems: &mut Vec<Problem>) {
    let Some(retention) = spec.retention else { return };
    if retention.runs == Some(0) {
        problems.push(Problem::error(path.field("runs"), "a run that has just ended is kept: at least 1"));
    }
    if retention == RetentionSpec::default() {
        let problem = Problem::error(path.clone(), "the retention says nothing");
        problems.push(problem.hint("give runs, age or supersteps; to keep everything, leave it out"));
    }
}

/// What is wrong with a vertex that a mutation brings or changes, apart from names that need not
/// resolve.
pub(crate) fn problem_of(spec: &GraphSpec, vertex: &VertexSpec) -> Option<String> {
    let mut problems = Vec::new();
    programs::check(spec, &FieldPath::default(), vertex, &mut problems);
    join(&FieldPath::default(), vertex, &mut problems);
    timing(&FieldPath::default(), vertex, &mut problems);
    labels(&FieldPath::default(), vertex, &mut problems);
    effects(spec, &FieldPath::default(), vertex, &mut problems);
    cache::check(spec, &FieldPath::default(), vertex, &mut problems);
    capabilities(spec, &FieldPath::default(), vertex, &mut problems);
    let error = problems.into_iter().find(|problem| problem.severity == Severity::Error);
    error.map(|problem| problem.to_string())
}

/// What its worker must have.
fn labels(path: &FieldPath, vertex: &VertexSpec, problems: &mut Vec<Problem>) {
    let is_good = |label: &str| {
        let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-./".contains(&byte);
        (1..=63).contains(&label.len()) && label.bytes().all(inner)
    };
    for (index, label) in vertex.requires.iter().enumerate().filter(|(_, label)| !is_good(label)) {
        let problem = Problem::error(path.field("requires").index(index), format!("{label:?} is no label"));
        problems.push(problem.hint("at most 63 of a-z, 0-9, -, . and /, as in gpu or example.com/zone-a"));
    }
}

/// Attempts, and how long they take.
fn timing(path: &FieldPath, vertex: &VertexSpec, problems: &mut Vec<Problem>) {
    if vertex.timeout.is_some_and(|timeout| timeout.as_millis() == 0) {
        problems.push(Problem::error(path.field("timeout"), "a timeout is above 0"));
    }
    if vertex.graph.is_some() {
        let mut refuse = |field: &str, hint: &str| {
            let problem = Problem::error(path.field(field), "a sub-graph has no attempts of its own");
            problems.push(problem.hint(hint));
        };
        if vertex.timeout.is_some() {
            refuse("timeout", "give the vertices inside a timeout, or the graph inside limits");
        }
        if vertex.retry != RetrySpec::default() {
            refuse("retry", "the vertices inside are tried again as they say");
        }
    }
    if vertex.retry.max_attempts == 0 {
        let place = path.field("retry").field("maxAttempts");
        let problem = Problem::error(place, "maxAttempts is at least 1: it counts the first one");
        problems.push(problem.hint("1 for no retries"));
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
}

/// What a vertex hands on has to be there.
fn capabilities(spec: &GraphSpec, path: &FieldPath, vertex: &VertexSpec, problems: &mut Vec<Problem>) {
    if !may_grow(spec) {
        return;
    }
    let path = path.field("capabilities");
    let models = spec.models.iter().map(|model| &model.name).collect();
    let tools = spec.tools.iter().map(|tool| &tool.name).collect();
    let named: [(&str, &str, &Vec<VertexName>, Vec<&VertexName>); 2] = [
        ("models", "model", &vertex.capabilities.models, models),
        ("tools", "tool", &vertex.capabilities.tools, tools),
    ];
    for (field, noun, names, known) in named {
        for (index, name) in names.iter().enumerate().filter(|(_, name)| !known.contains(name)) {
            let problem =
                Problem::error(path.field(field).index(index), format!("no {noun} is named {name:?}"));
            problems.push(problem.nearest(name.as_str(), known.iter().map(|known| known.as_str())));
        }
    }
}
