//! Drawings of graphs, whole.

use std::process::Command;

use expect_test::expect_file;

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
    expect_file!["golden/shapes.dot"].assert_eq(&render(&[&shapes[..], &["--format", "dot"]].concat()));
}

#[test]
fn the_quickstart_is_drawn() {
    expect_file!["golden/quickstart.mmd"].assert_eq(&render(&["-f", "../manifests/quickstart"]));
}

#[test]
fn several_graphs_need_a_choice() {
    let choose = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_superstep"))
            .args(["render", "-f", "tests/good/shapes.yaml"])
            .args(arguments)
            .output()
            .unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, said) = choose(&[]);
    assert!(
        code == Some(2) && said.contains("several graphs: inner, shapes: choose one with --graph NAME"),
        "{said}"
    );
    let (code, said) = choose(&["--graph", "shape"]);
    assert!(code == Some(2) && said.contains("no graph is named \"shape\""), "{said}");
}
