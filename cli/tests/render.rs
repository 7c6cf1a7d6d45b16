//! Drawings of graphs and of runs, whole.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use expect_test::{ExpectFile, expect_file};
use roxmltree::{Document, Node};

use crate::command::{Ended, Home, Running};

fn render(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_superstep"))
        .arg("render")
        .args(arguments)
        .env("SUPERSTEP_MODEL", "model.gguf")
        .output()
        .expect("superstep starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("superstep writes UTF-8")
}

#[test]
fn every_shape_is_drawn_in_each_language() {
    let shapes = ["-f", "tests/good/shapes.yaml", "--graph", "shapes"];
    expect_file!["golden/shapes.mmd"].assert_eq(&render(&shapes));
    let formats: [(&str, ExpectFile); 3] = [
        ("dot", expect_file!["golden/shapes.dot"]),
        ("graphml", expect_file!["golden/shapes.graphml"]),
        ("gexf", expect_file!["golden/shapes.gexf"]),
    ];
    for (format, expected) in formats {
        expected.assert_eq(&render(&[&shapes[..], &["--format", format]].concat()));
    }
}

/// The elements of that name, in the order of the document.
fn elements<'a>(document: &'a Document<'_>, name: &str) -> Vec<Node<'a, 'a>> {
    document.descendants().filter(|node| node.has_tag_name(name)).collect()
}

fn attributes<'a>(document: &'a Document<'_>, element: &str, name: &str) -> Vec<&'a str> {
    elements(document, element).iter().filter_map(|node| node.attribute(name)).collect()
}

#[test]
fn a_reader_of_xml_gets_back_what_the_graph_says() {
    let shapes = ["-f", "tests/good/shapes.yaml", "--graph", "shapes"];
    let condition = "message == 1 && message != 2 && \"x\" != \"y|z\" || superstep > 100";
    for (format, edge_ends) in [("graphml", ("source", "target")), ("gexf", ("source", "target"))] {
        let text = render(&[&shapes[..], &["--format", format]].concat());
        let document = Document::parse(&text).unwrap();
        let vertices = attributes(&document, "node", "id");
        assert_eq!(vertices, ["all", "each", "end", "pick", "plug", "split", "vote", "later"]);
        for end in [edge_ends.0, edge_ends.1] {
            let named = attributes(&document, "edge", end);
            assert!(named.len() == 10 && named.iter().all(|name| vertices.contains(name)), "{named:?}");
        }
        let mut ids = attributes(&document, "edge", "id");
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), 10, "edges share an id");
        let said: Vec<&str> = match format {
            "graphml" => elements(&document, "data").iter().filter_map(Node::text).collect(),
            _ => attributes(&document, "attvalue", "value"),
        };
        for text in [condition, "-->\r\n<b attribute=\"&amp;\">"] {
            assert!(said.contains(&text), "{text:?} in {said:?}");
        }
        let about = elements(&document, if format == "graphml" { "desc" } else { "description" })[0];
        let about = about.text().unwrap();
        assert!(about.contains("A <graph> & \"shapes\" ]]> 'all' of them:\n\ttwo lines"), "{about:?}");
        assert!(about.ends_with("\u{fffd}[31mone colour\u{fffd}[0m"), "{about:?}");
    }
}

#[test]
fn the_graph_of_a_run_is_drawn_as_its_mutations_left_it() {
    let home = Home::new();
    home.line("run -f tests/graphs/changes.yaml --run-id changes").with(0);
    let drawn = |line: &str| home.line(&format!("render changes {line}")).with(0).stdout;
    for format in ["mermaid", "dot", "graphml"] {
        let last = drawn(&format!("--format {format}"));
        assert!(last.contains("reviewer"), "{last}");
        let first = drawn(&format!("--format {format} --superstep 0"));
        assert!(first.contains("both") && !first.contains("reviewer"), "{first}");
        assert_eq!(last, drawn(&format!("--format {format} --superstep 2")));
    }
    home.line("render changes --superstep 9").with(2).saying("run \"changes\" has no superstep 9");
    home.line("render nobody").with(2).saying("run \"nobody\" is not in the store");
    home.line("render changes -f tests/graphs/changes.yaml").with(2).saying("cannot be used with");
    home.line("render").with(2).saying("--file");
}

#[test]
fn gexf_of_a_run_has_the_topology_and_the_activations_of_each_superstep() {
    let home = Home::new();
    home.line("run -f tests/graphs/changes.yaml --run-id changes").with(0);
    let text = home.line("render changes --format gexf").with(0).stdout;
    expect_file!["golden/changes.gexf"].assert_eq(&text);
    let document = Document::parse(&text).unwrap();
    let graph = elements(&document, "graph")[0];
    assert_eq!((graph.attribute("mode"), graph.attribute("end")), (Some("dynamic"), Some("2")));
    let spells = |element: &str, id: &str| -> Vec<(String, String)> {
        let found = elements(&document, element);
        let found = found.iter().find(|node| node.attribute("id") == Some(id)).unwrap();
        let spells = found.descendants().filter(|node| node.has_tag_name("spell"));
        spells
            .map(|spell| (spell.attribute("start").unwrap().into(), spell.attribute("end").unwrap().into()))
            .collect()
    };
    assert_eq!(spells("node", "both"), [("0".to_owned(), "2".to_owned())]);
    assert_eq!(spells("node", "reviewer"), [("1".to_owned(), "2".to_owned())]);
    assert_eq!(spells("edge", "both.out.reviewer"), [("1".to_owned(), "2".to_owned())]);
    let still = home.line("render changes --format gexf --superstep 0").with(0).stdout;
    assert!(still.contains("mode=\"static\"") && !still.contains("reviewer"), "{still}");
}

/// Renders with a command `dot` that does what `script` says; without one, with no such command.
fn with_dot(script: Option<&str>, format: &str) -> Ended {
    let home = Home::new();
    if let Some(script) = script {
        let dot = home.path().join("dot");
        fs::write(&dot, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(dot, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let arguments = ["render", "-f", "tests/good/shapes.yaml", "--graph", "shapes", "--format", format];
    Running::start(home.command(arguments).env("PATH", home.path())).end()
}

#[test]
fn images_are_made_by_graphviz_and_its_absence_is_told_with_the_package() {
    for format in ["svg", "png"] {
        let ended = with_dot(None, format).with(6).saying("in the package graphviz");
        assert!(ended.stdout.is_empty() && ended.stderr.contains(format), "{ended:?}");
    }
    let dot = fs::read_to_string("tests/golden/shapes.dot").unwrap();
    let echoed =
        with_dot(Some("echo \"$@\"; while IFS= read -r line; do printf '%s\\n' \"$line\"; done"), "svg");
    assert_eq!(echoed.with(0).stdout, format!("-Tsvg\n{dot}"));
    with_dot(Some("echo 'syntax error in line 1' >&2; exit 1"), "svg")
        .with(6)
        .saying("syntax error in line 1");
}

/// Only where Graphviz is installed.
#[test]
fn graphviz_takes_what_is_written_for_it() {
    if Command::new("dot").arg("-V").output().is_err() {
        return;
    }
    let text = render(&["-f", "tests/good/shapes.yaml", "--graph", "shapes", "--format", "svg"]);
    let options = roxmltree::ParsingOptions { allow_dtd: true, ..Default::default() };
    let document = Document::parse_with_options(&text, options).unwrap();
    assert_eq!(document.root_element().tag_name().name(), "svg");
}

#[test]
fn the_quickstart_is_drawn() {
    expect_file!["golden/quickstart.mmd"].assert_eq(&render(&["-f", "../manifests/quickstart"]));
}

#[test]
fn several_graphs_need_a_choice_if_none_of_them_holds_the_others() {
    let choose = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_superstep"))
            .args(["render", "-f"])
            .args(arguments)
            .output()
            .unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, said) = choose(&["tests/graphs/limited.yaml", "tests/graphs/failing.yaml"]);
    assert!(
        code == Some(2) && said.contains("several graphs: failing, limited: choose one with --graph NAME"),
        "{said}"
    );
    // One opens the other, so that it can only be meant itself.
    assert_eq!(choose(&["tests/good/shapes.yaml"]).0, Some(0));
    let (code, said) = choose(&["tests/good/shapes.yaml", "--graph", "shape"]);
    assert!(code == Some(2) && said.contains("no graph is named \"shape\""), "{said}");
}
