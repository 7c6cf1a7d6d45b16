//! `superstep render`: a graph as a drawing.

mod dot;
mod drawing;
mod mermaid;

use std::io::{self, Write};

use crate::args::{DrawingFormat, RenderArgs};
use crate::exit::{CommandError, Exit};
use crate::manifests;
use drawing::Drawing;

/// Writes the drawing of one graph to stdout.
///
/// # Errors
/// The files have a mistake, no graph is chosen, or stdout cannot be written to.
pub(crate) fn render(args: &RenderArgs) -> Result<Exit, CommandError> {
    let manifests = manifests::read(&args.files)?;
    let graph = &manifests.resources.graph(args.graph.as_deref())?.content;
    let drawing = Drawing::of(&graph.document.metadata.name, graph.graph.spec());
    let text = match args.format {
        DrawingFormat::Mermaid => mermaid::write(&drawing),
        DrawingFormat::Dot => dot::write(&drawing),
    };
    io::stdout().lock().write_all(text.as_bytes())?;
    Ok(Exit::Success)
}
