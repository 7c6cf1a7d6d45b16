//! What the formats for other programs say of vertices and edges, beside their names.

use superstep_graph::Port;

use super::drawing::{Arrow, Figure, Stroke};
use crate::costs::rounded;

/// One thing that is said of every vertex, or of every edge.
pub(super) struct Column<T> {
    /// Its name, as users of other programs see it.
    pub(super) name: &'static str,
    /// What its values are, in the word of both GraphML and GEXF.
    pub(super) of: &'static str,
    /// Its value; none where there is nothing to say.
    pub(super) value: fn(&T) -> Option<String>,
}

const fn text<T>(name: &'static str, value: fn(&T) -> Option<String>) -> Column<T> {
    Column { name, of: "string", value }
}

const fn truth<T>(name: &'static str, value: fn(&T) -> Option<String>) -> Column<T> {
    Column { name, of: "boolean", value }
}

const fn number<T>(name: &'static str, value: fn(&T) -> Option<String>) -> Column<T> {
    Column { name, of: "double", value }
}

/// What is said of a vertex.
pub(super) const OF_VERTICES: [Column<Figure>; 7] = [
    text("program", |figure| Some(figure.program.unwrap_or("absent").to_owned())),
    text("text", |figure| Some(figure.lines.join("\n"))),
    text("description", |figure| figure.description.clone()),
    text("join", |figure| figure.join.clone()),
    truth("forEach", |figure| Some(figure.for_each.to_string())),
    truth("entry", |figure| Some(figure.is_entry.to_string())),
    truth("output", |figure| Some(figure.is_output.to_string())),
];

/// What is said of an edge.
pub(super) const OF_EDGES: [Column<Arrow>; 8] = [
    text("delivery", |arrow| Some(delivery(arrow).to_owned())),
    text("port", |arrow| arrow.port.as_ref().map(Port::to_string)),
    text("when", |arrow| arrow.when.clone()),
    text("transform", |arrow| arrow.transform.clone()),
    truth("retain", |arrow| Some(arrow.retain.to_string())),
    number("tokens", |arrow| Some(rounded(arrow.cost?.tokens).to_string())),
    number("money", |arrow| Some(rounded(arrow.cost?.money).to_string())),
    number("latencySeconds", |arrow| Some(rounded(arrow.cost?.latency_seconds).to_string())),
];

fn delivery(arrow: &Arrow) -> &'static str {
    match arrow.stroke {
        Stroke::Active => "Active",
        Stroke::Passive => "Passive",
        Stroke::Direct => "Direct",
    }
}

/// The name of an arrow: no other arrow of the same graph has it, and it is an `NMTOKEN`, as GraphML
/// wants it.
pub(super) fn id_of(arrow: &Arrow) -> String {
    match &arrow.port {
        Some(port) => format!("{}.{port}.{}", arrow.from, arrow.to),
        None => format!("{}:{}", arrow.from, arrow.to),
    }
}
