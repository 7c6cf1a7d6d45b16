//! `superstep validate`: every mistake at once.

use std::io::{self, Write};

use crate::args::ValidateArgs;
use crate::exit::{CommandError, Exit, count};
use crate::manifests;

/// Checks the files, shows what is wrong on stderr, and lists the graphs on stdout.
///
/// # Errors
/// There is a mistake or nothing to check, or stdout cannot be written to.
pub(crate) fn validate(args: &ValidateArgs) -> Result<Exit, CommandError> {
    let manifests = manifests::read(&args.files)?;
    let found = &manifests.resources;
    if found.graphs.is_empty() && found.model_servers.is_empty() && found.patches.is_empty() {
        return Err(CommandError::NothingToCheck);
    }
    let mut stdout = io::stdout().lock();
    for (name, resource) in &manifests.resources.graphs {
        let graph = &resource.content.graph;
        let vertices = count_of(graph.topology().vertices().len(), "vertex", "vertices");
        let edges = count(graph.topology().edges().len(), "edge");
        writeln!(stdout, "AgentGraph {name}: {vertices}, {edges}, revision {}", graph.revision())?;
    }
    for name in manifests.resources.model_servers.keys() {
        writeln!(stdout, "ModelServer {name}")?;
    }
    for (name, patch) in &manifests.resources.patches {
        writeln!(
            stdout,
            "AgentGraphPatch {name}: {}",
            count(patch.content.spec.mutations.len(), "mutation")
        )?;
    }
    Ok(Exit::Success)
}

fn count_of(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}
