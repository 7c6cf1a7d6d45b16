//! `superstep render`: a graph, or the graph of a run, as a drawing.

mod column;
mod dot;
mod drawing;
mod gexf;
mod graphml;
mod graphviz;
mod mermaid;
mod play;
mod staging;
mod xml;

use std::io::{self, IsTerminal, Write};

use crate::args::{DrawingFormat, Files, RenderArgs};
use crate::exit::{CommandError, Exit};
use crate::manifests;
use drawing::Drawing;

pub(crate) use graphviz::GraphvizError;

/// Writes the drawing of one graph to stdout.
///
/// # Errors
/// The files have a mistake, no graph is chosen, the run or its superstep is not there, Graphviz is
/// needed and cannot be used, or stdout cannot be written to.
pub(crate) fn render(args: &RenderArgs) -> Result<Exit, CommandError> {
    let bytes = match &args.run {
        Some(run) => staging::of_run(run, args)?,
        None => of_files(args)?,
    };
    let mut stdout = io::stdout().lock();
    if args.format == DrawingFormat::Png && stdout.is_terminal() {
        return Err(CommandError::ImageOnTerminal);
    }
    stdout.write_all(&bytes)?;
    Ok(Exit::Success)
}

fn of_files(args: &RenderArgs) -> Result<Vec<u8>, CommandError> {
    let manifests = manifests::read(&Files { files: args.files.clone() })?;
    let graph = &manifests.resources.graph(args.graph.as_deref())?.content;
    draw(&Drawing::of(&graph.document.metadata.name, graph.graph.spec()), args.format)
}

fn draw(drawing: &Drawing, format: DrawingFormat) -> Result<Vec<u8>, CommandError> {
    Ok(match format {
        DrawingFormat::Mermaid => mermaid::write(drawing).into_bytes(),
        DrawingFormat::Dot => dot::write(drawing).into_bytes(),
        DrawingFormat::Graphml => graphml::write(drawing).into_bytes(),
        DrawingFormat::Gexf => gexf::write(drawing).into_bytes(),
        DrawingFormat::Svg => graphviz::image(&dot::write(drawing), "svg")?,
        DrawingFormat::Png => graphviz::image(&dot::write(drawing), "png")?,
    })
}
