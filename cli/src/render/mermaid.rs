//! Drawings in Mermaid.

use std::fmt::Write as _;

use super::drawing::{Arrow, Drawing, Figure, Shape, Stroke};

/// The drawing as a Mermaid flowchart. Ids have a prefix, for words such as `end` mean something to
/// Mermaid.
pub(super) fn write(drawing: &Drawing) -> String {
    let mut text = format!("---\ntitle: {}\n---\nflowchart TD\n", quoted(&drawing.title));
    text.push_str("  input([input])\n");
    for figure in &drawing.figures {
        line(&mut text, &figure_text(figure));
    }
    text.push_str("  result([result])\n");
    for figure in drawing.figures.iter().filter(|figure| figure.is_entry) {
        line(&mut text, &format!("input ==> v_{}", figure.name));
    }
    for arrow in &drawing.arrows {
        line(&mut text, &arrow_text(arrow));
    }
    for figure in drawing.figures.iter().filter(|figure| figure.is_output) {
        line(&mut text, &format!("v_{} ==> result", figure.name));
    }
    let classes = [
        ("absent", "stroke-dasharray:4 3,fill:none", absent as fn(&Figure) -> bool),
        ("each", "stroke-width:4px", for_each),
    ];
    for (class, style, has) in classes {
        let members: Vec<String> = drawing
            .figures
            .iter()
            .filter(|figure| has(figure))
            .map(|figure| format!("v_{}", figure.name))
            .collect();
        if !members.is_empty() {
            line(&mut text, &format!("classDef {class} {style}"));
            line(&mut text, &format!("class {} {class}", members.join(",")));
        }
    }
    text
}

fn absent(figure: &Figure) -> bool {
    figure.shape == Shape::Absent
}

fn for_each(figure: &Figure) -> bool {
    figure.for_each
}

fn line(text: &mut String, content: &str) {
    writeln!(text, "  {content}").expect("a String takes every text");
}

fn figure_text(figure: &Figure) -> String {
    let (open, close) = match figure.shape {
        Shape::Prompt | Shape::Absent => ("[", "]"),
        Shape::Function => ("[/", "/]"),
        Shape::Router => ("{", "}"),
        Shape::Graph => ("[[", "]]"),
        Shape::Custom => ("{{", "}}"),
    };
    let label = figure.lines.iter().map(|line| escaped(line)).collect::<Vec<_>>().join("<br/>");
    format!("v_{}{open}\"{label}\"{close}", figure.name)
}

fn arrow_text(arrow: &Arrow) -> String {
    let stroke = match arrow.stroke {
        Stroke::Active => "-->",
        Stroke::Passive => "-.->",
        Stroke::Direct => "--o",
    };
    let label =
        if arrow.label.is_empty() { String::new() } else { format!("|\"{}\"|", escaped(&arrow.label)) };
    format!("v_{} {stroke}{label} v_{}", arrow.from, arrow.to)
}

/// What has a meaning inside a quoted label is written by its code.
fn escaped(text: &str) -> String {
    let mut done = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '"' | '#' | '<' | '>' | '&' | '`' | '\\' | '|' => {
                write!(done, "#{};", u32::from(letter)).expect("a String takes every text");
            }
            '\n' | '\r' | '\t' => done.push(' '),
            other => done.push(other),
        }
    }
    done
}

/// A YAML text in double quotes.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
