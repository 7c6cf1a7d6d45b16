//! Reading the files that the user named.

use std::io;

use superstep_api::{ResourceSet, load, read_paths};

use crate::args::Files;
use crate::exit::CommandError;
use crate::report::show;
use crate::scripts;

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
    let mut resources = loaded.resources;
    for graph in resources.graphs.values() {
        let problems = superstep_runtime::check(&graph.content.document.spec);
        diagnostics.extend(problems.iter().map(|problem| graph.diagnose(problem)));
    }
    scripts::take_in(&mut resources, &mut diagnostics);
    match show(&diagnostics)? {
        0 => Ok(Manifests { resources }),
        errors => Err(CommandError::Mistakes { errors }),
    }
}
