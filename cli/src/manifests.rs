//! Reading the files that the user named.

use std::io;

use superstep_api::{Diagnostic, ResourceSet, load, read_paths};
use superstep_graph::FieldPath;
use superstep_runtime::ScriptedModel;

use crate::args::Files;
use crate::exit::CommandError;
use crate::report::show;

/// What the files hold.
pub(crate) struct Manifests {
    /// Graphs, models and patches.
    pub(crate) resources: ResourceSet,
}

/// Reads the files and shows every doubt and mistake: of syntax and form, of the graphs, and of what
/// their templates and expressions read.
///
/// # Errors
/// There is a mistake, or stderr cannot be written to.
pub(crate) fn read(files: &Files) -> Result<Manifests, CommandError> {
    let (sources, mut diagnostics) = read_paths(&files.files, &mut io::stdin());
    let loaded = load(&sources, &|name| std::env::var(name).ok());
    diagnostics.extend(loaded.diagnostics);
    let resources = loaded.resources;
    for graph in resources.graphs.values() {
        let problems = superstep_runtime::check(&graph.content.document.spec);
        diagnostics.extend(problems.iter().map(|problem| graph.diagnose(problem)));
    }
    check_scripts(&resources, &mut diagnostics);
    match show(&diagnostics)? {
        0 => Ok(Manifests { resources }),
        errors => Err(CommandError::Mistakes { errors }),
    }
}

/// Reads the answers of scripted models, for their mistakes.
fn check_scripts(resources: &ResourceSet, diagnostics: &mut Vec<Diagnostic>) {
    let path = FieldPath::default().field("engine").field("scripted");
    for server in resources.model_servers.values() {
        if server.content.spec.engine.scripted.is_some()
            && let Err(mistakes) = server.part::<ScriptedModel>(&path)
        {
            diagnostics.extend(mistakes);
        }
    }
}
