//! Drawings in GraphML, which yEd, networkx, igraph and others read.

use super::column::{Column, OF_EDGES, OF_VERTICES, id_of};
use super::drawing::{Arrow, Drawing, Figure};
use super::xml::Document;

const NAMESPACE: &str = "http://graphml.graphdrawing.org/xmlns";
const SCHEMA: &str =
    "http://graphml.graphdrawing.org/xmlns http://graphml.graphdrawing.org/xmlns/1.0/graphml.xsd";

/// The drawing as a directed GraphML graph. The id of a vertex is its name.
pub(super) fn write(drawing: &Drawing) -> String {
    let mut document = Document::new();
    document.open(
        "graphml",
        &[
            ("xmlns", NAMESPACE),
            ("xmlns:xsi", "http://www.w3.org/2001/XMLSchema-instance"),
            ("xsi:schemaLocation", SCHEMA),
        ],
    );
    keys("node", &OF_VERTICES, &mut document);
    keys("edge", &OF_EDGES, &mut document);
    document.open("graph", &[("id", &drawing.name), ("edgedefault", "directed")]);
    if let Some(description) = &drawing.description {
        document.leaf("desc", &[], description);
    }
    for figure in &drawing.figures {
        node(figure, &mut document);
    }
    for arrow in &drawing.arrows {
        edge(arrow, &mut document);
    }
    document.close();
    document.close();
    document.finish()
}

fn keys<T>(of: &str, columns: &[Column<T>], document: &mut Document) {
    for column in columns {
        let attributes = [
            ("id", &*format!("{of}.{}", column.name)),
            ("for", of),
            ("attr.name", column.name),
            ("attr.type", column.of),
        ];
        document.empty("key", &attributes);
    }
}

fn node(figure: &Figure, document: &mut Document) {
    document.open("node", &[("id", figure.name.as_str())]);
    data("node", &OF_VERTICES, figure, document);
    document.close();
}

fn edge(arrow: &Arrow, document: &mut Document) {
    let attributes = [("id", &*id_of(arrow)), ("source", arrow.from.as_str()), ("target", arrow.to.as_str())];
    document.open("edge", &attributes);
    data("edge", &OF_EDGES, arrow, document);
    document.close();
}

fn data<T>(of: &str, columns: &[Column<T>], said: &T, document: &mut Document) {
    for column in columns {
        if let Some(value) = (column.value)(said) {
            document.leaf("data", &[("key", &format!("{of}.{}", column.name))], &value);
        }
    }
}
