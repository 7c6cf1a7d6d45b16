//! Reading the files that the user named.

use std::io;

use superstep_api::{CheckedGraph, Diagnostic, Resource, ResourceSet, load, read_paths};
use superstep_graph::{FieldPath, Problem};
use superstep_runtime::check_parameters;

use crate::args::Files;
use crate::exit::CommandError;
use crate::report::show;
use crate::{documents, scripts};

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
    read_showing(files, |_| true)
}

/// As [`read`], but only mistakes are shown, and no doubts.
///
/// # Errors
/// As [`read`].
pub(crate) fn read_without_doubts(files: &Files) -> Result<Manifests, CommandError> {
    read_showing(files, Diagnostic::is_error)
}

fn read_showing(files: &Files, shown: impl Fn(&Diagnostic) -> bool) -> Result<Manifests, CommandError> {
    let (sources, mut diagnostics) = read_paths(&files.files, &mut io::stdin());
    let loaded = load(&sources, &|name| std::env::var(name).ok());
    diagnostics.extend(loaded.diagnostics);
    let mut resources = loaded.resources;
    for graph in resources.graphs.values() {
        let problems = superstep_runtime::check(&graph.content.document.spec);
        diagnostics.extend(problems.iter().map(|problem| graph.diagnose(problem)));
    }
    for graph in &loaded.broken {
        let problems = superstep_runtime::check(&graph.content.spec);
        diagnostics.extend(problems.iter().map(|problem| graph.diagnose(problem)));
    }
    diagnostics.extend(resources.graphs.values().flat_map(|graph| parameters(&resources, graph)));
    #[cfg(feature = "inference")]
    diagnostics.extend(resources.graphs.values().flat_map(|graph| crate::held::check(&resources, graph)));
    scripts::take_in(&mut resources, &mut diagnostics);
    documents::take_in(&mut resources, &mut diagnostics);
    diagnostics.retain(shown);
    match show(&diagnostics) {
        0 => Ok(Manifests { resources }),
        errors => Err(CommandError::Mistakes { errors }),
    }
}

/// What is wrong with the parameters that a graph opens its sub-graphs with.
fn parameters(resources: &ResourceSet, graph: &Resource<CheckedGraph>) -> Vec<Diagnostic> {
    let vertices = FieldPath::default().field("vertices");
    let mut mistakes = Vec::new();
    for (index, vertex) in graph.content.document.spec.vertices.iter().enumerate() {
        let Some(program) = &vertex.graph else { continue };
        let Some(inner) = resources.graphs.get(&program.reference.name) else { continue };
        let path = vertices.index(index).field("graph").field("parameters");
        for mut problem in check_parameters(&inner.content.document.spec, &program.parameters) {
            let mut whole = path.clone();
            whole.0.append(&mut problem.path.0);
            mistakes.push(graph.diagnose(&Problem { path: whole, ..problem }));
        }
    }
    mistakes
}
