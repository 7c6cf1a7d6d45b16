//! Drawings in GEXF 1.3, which Gephi reads: a graph as it stands, or the graph of a run over its
//! supersteps, which Gephi plays.
//!
//! Time is whole supersteps, and both ends of an interval belong to it (GEXF 1.3, dynamics).

use super::column::{Column, OF_EDGES, OF_VERTICES, id_of};
use super::drawing::{Arrow, Drawing, Figure};
use super::play::{Play, Role, Spell};
use super::xml::Document;

const NAMESPACE: &str = "http://gexf.net/1.3";
const SCHEMA: &str = "http://gexf.net/1.3 http://gexf.net/1.3/gexf.xsd";

/// The drawing as a directed graph without time.
pub(super) fn write(drawing: &Drawing) -> String {
    let mut document = begun(&drawing.name, drawing.description.as_deref());
    document.open("graph", &[("mode", "static"), ("defaultedgetype", "directed")]);
    columns("node", &OF_VERTICES, &mut document);
    columns("edge", &OF_EDGES, &mut document);
    document.open("nodes", &[]);
    for figure in &drawing.figures {
        node(figure, &[], |_| {}, &mut document);
    }
    document.close();
    document.open("edges", &[]);
    for arrow in &drawing.arrows {
        edge(arrow, &[], &mut document);
    }
    ended(document)
}

/// The play as a directed graph over supersteps.
pub(super) fn write_play(play: &Play) -> String {
    let mut document = begun(&play.name, play.description.as_deref());
    let attributes = [
        ("mode", "dynamic"),
        ("defaultedgetype", "directed"),
        ("timeformat", "integer"),
        ("timerepresentation", "interval"),
        ("start", "0"),
        ("end", &play.last.to_string()),
    ];
    document.open("graph", &attributes);
    columns("node", &OF_VERTICES, &mut document);
    document.open("attributes", &[("class", "node"), ("mode", "dynamic")]);
    document.empty("attribute", &[("id", "present"), ("title", "present"), ("type", "boolean")]);
    document.empty("attribute", &[("id", "activations"), ("title", "activations"), ("type", "integer")]);
    document.close();
    columns("edge", &OF_EDGES, &mut document);
    document.open("nodes", &[]);
    for role in play.roles.values() {
        let figure = &role.figure;
        node(&figure.latest, &figure.spells, |document| over_time(role, document), &mut document);
    }
    document.close();
    document.open("edges", &[]);
    for arrow in play.arrows.values() {
        edge(&arrow.latest, &arrow.spells, &mut document);
    }
    ended(document)
}

fn begun(name: &str, description: Option<&str>) -> Document {
    let mut document = Document::new();
    let attributes = [
        ("xmlns", NAMESPACE),
        ("xmlns:xsi", "http://www.w3.org/2001/XMLSchema-instance"),
        ("xsi:schemaLocation", SCHEMA),
        ("version", "1.3"),
    ];
    document.open("gexf", &attributes);
    document.open("meta", &[]);
    document.leaf("creator", &[], "superstep");
    let about = description.map_or_else(|| name.to_owned(), |description| format!("{name}: {description}"));
    document.leaf("description", &[], &about);
    document.close();
    document
}

/// Closes the edges, the graph and the document.
fn ended(mut document: Document) -> String {
    for _ in 0..3 {
        document.close();
    }
    document.finish()
}

fn columns<T>(class: &str, columns: &[Column<T>], document: &mut Document) {
    document.open("attributes", &[("class", class), ("mode", "static")]);
    for column in columns {
        let attributes = [("id", column.name), ("title", column.name), ("type", column.of)];
        document.empty("attribute", &attributes);
    }
    document.close();
}

fn node(figure: &Figure, when: &[Spell], more: impl FnOnce(&mut Document), document: &mut Document) {
    document.open("node", &[("id", figure.name.as_str()), ("label", figure.name.as_str())]);
    document.open("attvalues", &[]);
    values(&OF_VERTICES, figure, document);
    more(document);
    document.close();
    spells(when, document);
    document.close();
}

/// Gephi takes several edges between two vertices only if they are of several kinds.
fn edge(arrow: &Arrow, when: &[Spell], document: &mut Document) {
    let kind = arrow.port.as_ref().map_or_else(|| "direct".to_owned(), |port| format!("port {port}"));
    let attributes = [
        ("id", &*id_of(arrow)),
        ("source", arrow.from.as_str()),
        ("target", arrow.to.as_str()),
        ("kind", &kind),
        ("label", &arrow.label),
    ];
    document.open("edge", &attributes);
    document.open("attvalues", &[]);
    values(&OF_EDGES, arrow, document);
    document.close();
    spells(when, document);
    document.close();
}

fn values<T>(columns: &[Column<T>], said: &T, document: &mut Document) {
    for column in columns {
        if let Some(value) = (column.value)(said) {
            document.empty("attvalue", &[("for", column.name), ("value", &value)]);
        }
    }
}

fn over_time(role: &Role, document: &mut Document) {
    for spell in &role.figure.spells {
        for (part, present) in presence(*spell, &role.present) {
            value_over("present", &present.to_string(), part, document);
        }
    }
    for (spell, count) in role.activity() {
        value_over("activations", &count.to_string(), spell, document);
    }
}

fn value_over(name: &str, value: &str, spell: Spell, document: &mut Document) {
    let (start, end) = (spell.first.to_string(), spell.last.to_string());
    document.empty("attvalue", &[("for", name), ("value", value), ("start", &start), ("end", &end)]);
}

/// The parts of `spell` that lie inside and outside of `present`, in order.
fn presence(spell: Spell, present: &[Spell]) -> Vec<(Spell, bool)> {
    let mut parts = Vec::new();
    let mut next = spell.first;
    for inside in present.iter().filter(|inside| inside.first <= spell.last && inside.last >= spell.first) {
        if next < inside.first {
            parts.push((Spell { first: next, last: inside.first - 1 }, false));
        }
        parts.push((*inside, true));
        next = inside.last + 1;
    }
    if next <= spell.last {
        parts.push((Spell { first: next, last: spell.last }, false));
    }
    parts
}

fn spells(spells: &[Spell], document: &mut Document) {
    if spells.is_empty() {
        return;
    }
    document.open("spells", &[]);
    for spell in spells {
        document.empty("spell", &[("start", &spell.first.to_string()), ("end", &spell.last.to_string())]);
    }
    document.close();
}
