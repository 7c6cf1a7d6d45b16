//! Reading the files that the user named.

use std::collections::BTreeMap;
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
    /// The answers of scripted models, by the name of the `ModelServer`.
    #[expect(dead_code, reason = "for the commands that run a graph")]
    pub(crate) scripts: BTreeMap<String, ScriptedModel>,
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
    let scripts = scripts(&resources, &mut diagnostics);
    match show(&diagnostics)? {
        0 => Ok(Manifests { resources, scripts }),
        errors => Err(CommandError::Mistakes { errors }),
    }
}

fn scripts(resources: &ResourceSet, diagnostics: &mut Vec<Diagnostic>) -> BTreeMap<String, ScriptedModel> {
    let path = FieldPath::default().field("engine").field("scripted");
    let mut scripts = BTreeMap::new();
    for server in resources.model_servers.values() {
        if server.content.spec.engine.scripted.is_none() {
            continue;
        }
        match server.part(&path) {
            Ok(script) => {
                scripts.insert(server.content.metadata.name.clone(), script);
            }
            Err(mistakes) => diagnostics.extend(mistakes),
        }
    }
    scripts
}
