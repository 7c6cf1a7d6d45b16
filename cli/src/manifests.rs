//! Reading the files of a user, and showing what is wrong with them.

use std::io;

use superstep_api::{Diagnostic, ResourceSet};
use superstep_provision::read_files;

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
    let read = read_files(&files.files, &mut io::stdin(), &|name| std::env::var(name).ok());
    let mut diagnostics = read.diagnostics;
    diagnostics.retain(shown);
    match show(&diagnostics) {
        0 => Ok(Manifests { resources: read.resources }),
        errors => Err(CommandError::Mistakes { errors }),
    }
}
