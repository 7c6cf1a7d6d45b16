//! A cached result stands for a call only where the call does nothing else.

use crate::name::VertexName;
use crate::problem::{FieldPath, Problem};
use crate::spec::{GraphSpec, Program, ToolSpec, VertexSpec};

pub(super) fn check(spec: &GraphSpec, path: &FieldPath, vertex: &VertexSpec, problems: &mut Vec<Problem>) {
    let Some(cache) = &vertex.cache else { return };
    let path = path.field("cache");
    if cache.ttl.as_millis() == 0 {
        problems.push(Problem::error(path.field("ttl"), "a ttl is above 0"));
    }
    if let Some((message, hint)) = vertex.program().and_then(|program| refused(spec, vertex, &program)) {
        problems.push(Problem::error(path, message).hint(hint));
    }
}

/// Why results of a program are not kept, and what to do.
fn refused(spec: &GraphSpec, vertex: &VertexSpec, program: &Program<'_>) -> Option<(String, &'static str)> {
    match program {
        Program::Human(_) => {
            Some(("a person is asked anew each time".to_owned(), "leave cache out of the vertex"))
        }
        Program::Graph(_) => Some((
            "the result of a sub-graph is not cached".to_owned(),
            "give the vertices of the sub-graph caches of their own",
        )),
        Program::Agent(_) | Program::Tool(_) => {
            let tool = vertex.tools_used().find(|tool| !is_idempotent(spec, tool))?;
            let message =
                format!("a cached result would leave out the call of tool {tool:?}, which may do something");
            Some((message, "declare the tool idempotent if its answer is all that matters"))
        }
        Program::Function(function) => {
            let command = function.command.as_ref().filter(|command| !command.idempotent)?;
            let name = command.argv.first().map(String::as_str).unwrap_or_default();
            let message =
                format!("a cached result would leave out the run of {name:?}, which may do something");
            Some((message, "declare the command idempotent if its output is all that matters"))
        }
        Program::Router(router) => {
            let weighs = router.fastest.is_some() || router.cheapest.is_some() || router.pareto.is_some();
            let message = || "a router that weighs costs chooses anew each time".to_owned();
            weighs.then(|| (message(), "leave cache out of the vertex"))
        }
        Program::Prompt(_)
        | Program::Judge(_)
        | Program::Embed(_)
        | Program::Retrieve(_)
        | Program::Algorithm(_)
        | Program::Custom(_) => None,
    }
}

/// Whether nothing is lost if a call of the tool is not made; of one that is not there somebody else tells.
fn is_idempotent(spec: &GraphSpec, name: &VertexName) -> bool {
    spec.tools.iter().find(|tool| tool.name == *name).is_none_or(ToolSpec::is_idempotent)
}
