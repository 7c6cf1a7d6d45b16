//! Drawings in the language of Graphviz.

use std::fmt::Write as _;

use super::drawing::{Arrow, Drawing, Figure, Shape, Stroke};

/// The drawing as a directed graph.
pub(super) fn write(drawing: &Drawing) -> String {
    let mut text = format!("digraph {} {{\n", quoted(&drawing.title));
    line(&mut text, &format!("label={}; labelloc=t; fontname=\"sans-serif\";", quoted(&drawing.title)));
    line(&mut text, "node [fontname=\"sans-serif\"]; edge [fontname=\"sans-serif\", fontsize=10];");
    line(&mut text, "\"/input\" [label=input, shape=oval, style=bold];");
    line(&mut text, "\"/result\" [label=result, shape=oval, style=bold];");
    for figure in &drawing.figures {
        line(&mut text, &figure_text(figure));
    }
    for figure in drawing.figures.iter().filter(|figure| figure.is_entry) {
        line(&mut text, &format!("\"/input\" -> {} [style=bold];", quoted(figure.name.as_str())));
    }
    for arrow in &drawing.arrows {
        line(&mut text, &arrow_text(arrow));
    }
    for figure in drawing.figures.iter().filter(|figure| figure.is_output) {
        line(&mut text, &format!("{} -> \"/result\" [style=bold];", quoted(figure.name.as_str())));
    }
    text.push_str("}\n");
    text
}

fn line(text: &mut String, content: &str) {
    writeln!(text, "  {content}").expect("a String takes every text");
}

fn figure_text(figure: &Figure) -> String {
    let shape = match figure.shape {
        Shape::Prompt => "box",
        Shape::Function => "parallelogram",
        Shape::Router => "diamond",
        Shape::Graph => "component",
        Shape::Custom => "hexagon",
        Shape::Absent => "box, style=dashed",
    };
    let each = if figure.for_each { ", peripheries=2" } else { "" };
    let label = quoted(&figure.lines.join("\n"));
    format!("{} [label={label}, shape={shape}{each}];", quoted(figure.name.as_str()))
}

fn arrow_text(arrow: &Arrow) -> String {
    let mut attributes = Vec::new();
    if !arrow.label.is_empty() {
        attributes.push(format!("label={}", quoted(&arrow.label)));
    }
    match arrow.stroke {
        Stroke::Active => {}
        Stroke::Passive => attributes.push("style=dashed".to_owned()),
        Stroke::Direct => attributes.push("arrowhead=odot".to_owned()),
    }
    let attributes =
        if attributes.is_empty() { String::new() } else { format!(" [{}]", attributes.join(", ")) };
    format!("{} -> {}{attributes};", quoted(arrow.from.as_str()), quoted(arrow.to.as_str()))
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}
