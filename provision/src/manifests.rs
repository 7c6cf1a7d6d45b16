//! Reading the documents of users, with every check that can be made before a run.

mod beside;
mod documents;
#[cfg(feature = "inference")]
mod held;
mod scripts;
mod written;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use superstep_api::{CheckedGraph, Diagnostic, Resource, ResourceSet, Source, load, read_paths};
use superstep_graph::{FieldPath, Problem};
use superstep_runtime::check_parameters;

use beside::Beside;

pub use written::write_documents;

/// What documents hold, and all that is wrong or doubtful in them.
#[derive(Debug)]
pub struct Manifests {
    /// Graphs, models and patches. If a diagnostic is an error, they are not to be run.
    pub resources: ResourceSet,
    /// Mistakes of syntax and form, of the graphs, of what their templates and expressions read, and of the files
    /// that they name.
    pub diagnostics: Vec<Diagnostic>,
}

/// Reads the files and folders at `paths`, and `stdin` where one is `-`. What lies in files beside them, documents and
/// scripts, is taken into the resources that name it. `lookup` gives the values of environment variables.
pub fn read_files(
    paths: &[PathBuf],
    stdin: &mut dyn io::Read,
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Manifests {
    let (sources, unreadable) = read_paths(paths, stdin);
    check(&sources, unreadable, lookup, Beside::Read)
}

/// Reads documents that came over the network, as [`write_documents`] gives them; a text may have several. They are
/// called `<document 1>` and so on. No variable of this process is put into them, and no file of this machine that
/// they name is read, apart from weights when they are loaded: who sends them takes in what they name beside
/// themselves.
///
/// # Errors
/// Every mistake, and with the mistakes every doubt.
pub fn read_documents(texts: &[String]) -> Result<ResourceSet, Vec<Diagnostic>> {
    let source = |(number, text): (usize, &String)| {
        Arc::new(Source { name: format!("<document {number}>"), text: text.clone(), named: true })
    };
    let sources: Vec<Arc<Source>> = (1..).zip(texts).map(source).collect();
    let Manifests { resources, diagnostics } = check(&sources, Vec::new(), &|_| None, Beside::Refused);
    if diagnostics.iter().any(Diagnostic::is_error) { Err(diagnostics) } else { Ok(resources) }
}

fn check(
    sources: &[Arc<Source>],
    mut diagnostics: Vec<Diagnostic>,
    lookup: &dyn Fn(&str) -> Option<String>,
    beside: Beside,
) -> Manifests {
    let loaded = load(sources, lookup);
    diagnostics.extend(loaded.diagnostics);
    let mut resources = loaded.resources;
    for graph in resources.graphs.values() {
        let problems = superstep_runtime::check(&graph.content.document.spec.graph);
        diagnostics.extend(graph.diagnose_all(&problems));
    }
    for graph in &loaded.broken {
        let problems = superstep_runtime::check(&graph.content.spec.graph);
        diagnostics.extend(graph.diagnose_all(&problems));
    }
    diagnostics.extend(resources.graphs.values().flat_map(|graph| parameters(&resources, graph)));
    #[cfg(feature = "inference")]
    diagnostics.extend(resources.graphs.values().flat_map(|graph| held::check(&resources, graph)));
    scripts::take_in(&mut resources, beside, &mut diagnostics);
    documents::take_in(&mut resources, beside, &mut diagnostics);
    Manifests { resources, diagnostics }
}

/// What is wrong with the parameters that a graph opens its sub-graphs with.
fn parameters(resources: &ResourceSet, graph: &Resource<CheckedGraph>) -> Vec<Diagnostic> {
    let vertices = FieldPath::default().field("vertices");
    let mut mistakes = Vec::new();
    for (index, vertex) in graph.content.document.spec.graph.vertices.iter().enumerate() {
        let Some(program) = &vertex.graph else { continue };
        let Some(inner) = resources.graphs.get(&program.reference.name) else { continue };
        let path = vertices.index(index).field("graph").field("parameters");
        for mut problem in check_parameters(&inner.content.document.spec.graph, &program.parameters) {
            let mut whole = path.clone();
            whole.0.append(&mut problem.path.0);
            mistakes.push(graph.diagnose(&Problem { path: whole, ..problem }));
        }
    }
    mistakes
}

#[cfg(test)]
mod tests;
