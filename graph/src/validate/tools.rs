//! Each tool is of one kind, and its members go together.

use crate::problem::{FieldPath, Problem};
use crate::spec::{GraphSpec, HttpTool, McpTool, ToolKind, ToolSpec};

pub(super) fn check(spec: &GraphSpec, problems: &mut Vec<Problem>) {
    for (index, tool) in spec.tools.iter().enumerate() {
        one(&FieldPath::default().field("tools").index(index), tool, problems);
    }
}

fn one(path: &FieldPath, tool: &ToolSpec, problems: &mut Vec<Problem>) {
    let Some(kind) = tool.kind() else {
        let given = tool.kinds().count();
        let message = if given == 0 {
            format!("tool {:?} has no kind", tool.name)
        } else {
            format!("tool {:?} has {given} kinds", tool.name)
        };
        let problem = Problem::error(path.clone(), message);
        problems.push(problem.hint("give exactly one of http, command, mcp, custom"));
        return;
    };
    if tool.timeout.is_some_and(|timeout| timeout.as_millis() == 0) {
        problems.push(Problem::error(path.field("timeout"), "a timeout is above 0"));
    }
    match kind {
        ToolKind::Http(http) => check_http(&path.field("http"), http, problems),
        ToolKind::Command(command) => {
            if command.argv.first().is_none_or(String::is_empty) {
                let problem = Problem::error(path.field("command").field("argv"), "argv names no program");
                problems.push(problem.hint("the program comes first, then its arguments"));
            }
        }
        ToolKind::Mcp(server) => check_mcp(&path.field("mcp"), server, problems),
        ToolKind::Custom(_) => {}
    }
}

fn check_http(path: &FieldPath, http: &HttpTool, problems: &mut Vec<Problem>) {
    if let Some(auth) = &http.auth
        && auth.bearer.is_some() == auth.header.is_some()
    {
        let problem = Problem::error(path.field("auth"), "a request shows who sends it in one way");
        problems.push(problem.hint("give exactly one of bearer, header"));
    }
    scheme(&path.field("url"), &http.url, problems);
}

fn scheme(path: &FieldPath, url: &str, problems: &mut Vec<Problem>) {
    if !["http://", "https://"].iter().any(|scheme| url.starts_with(scheme)) {
        let problem = Problem::error(path.clone(), format!("{url:?} is no address"));
        problems.push(problem.hint("it begins with http:// or https://"));
    }
}

fn check_mcp(path: &FieldPath, server: &McpTool, problems: &mut Vec<Problem>) {
    if server.url.is_some() != server.argv.is_empty() {
        let problem = Problem::error(path.clone(), "a server is reached in one way");
        problems.push(problem.hint("give exactly one of url, argv"));
    }
    if let Some(url) = &server.url {
        scheme(&path.field("url"), url, problems);
    }
    if server.allow.is_empty() {
        let problem = Problem::error(path.field("allow"), "none of the server's tools may be called");
        problems.push(problem.hint("list the tools that may be"));
    }
    for (index, name) in server.idempotent.iter().enumerate() {
        if !server.allow.contains(name) {
            let place = path.field("idempotent").index(index);
            let problem = Problem::error(place, format!("{name:?} is not allowed"));
            problems.push(problem.nearest(name, server.allow.iter().map(String::as_str)));
        }
    }
}
