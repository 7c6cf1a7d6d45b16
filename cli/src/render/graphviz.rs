//! Images, by the command `dot` of Graphviz.

use std::io::{self, Write};
use std::process::{Command, Stdio};

/// Why there is no image.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GraphvizError {
    /// The command is not on the path.
    #[error(
        "format {format} needs the command dot of Graphviz, which is not on PATH: \
         on Debian and Ubuntu it is in the package graphviz"
    )]
    Missing {
        /// The format that was asked for.
        format: &'static str,
    },
    /// The command cannot be started, or be talked to.
    #[error("the command dot of Graphviz cannot be used: {source}")]
    Unusable {
        /// Why.
        #[from]
        source: io::Error,
    },
    /// It gave up.
    #[error("the command dot of Graphviz failed ({status}): {said}")]
    Failed {
        /// Its exit status.
        status: std::process::ExitStatus,
        /// What it said.
        said: String,
    },
}

/// The image of a graph in Graphviz's language, in a format that `dot -T` knows.
///
/// # Errors
/// `dot` is not there, or fails.
pub(super) fn image(text: &str, format: &'static str) -> Result<Vec<u8>, GraphvizError> {
    let mut command = Command::new("dot");
    command.arg(format!("-T{format}")).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|source| {
        let missing = source.kind() == io::ErrorKind::NotFound;
        if missing { GraphvizError::Missing { format } } else { GraphvizError::Unusable { source } }
    })?;
    let mut stdin = child.stdin.take().expect("stdin was asked for as a pipe");
    // Beside the reading: a pipe that nobody empties would hold up both ends.
    let (written, output) = std::thread::scope(|scope| {
        let writing = scope.spawn(move || stdin.write_all(text.as_bytes()));
        let output = child.wait_with_output();
        (writing.join().expect("writing to a pipe does not panic"), output)
    });
    let output = output?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(GraphvizError::Failed { status: output.status, said });
    }
    written?;
    Ok(output.stdout)
}
