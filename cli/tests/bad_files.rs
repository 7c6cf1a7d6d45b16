//! Every kind of mistake in a file is shown at its place, with what would be right.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command::Home;

/// What `superstep validate` says about a file: its exit code and stderr, wrapped lines joined.
fn validate(file: &Path) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_superstep"))
        .arg("validate")
        .arg("-f")
        .arg(file)
        .output()
        .expect("superstep starts");
    let text = String::from_utf8(output.stderr).expect("superstep writes UTF-8");
    let words: Vec<&str> = text.split_whitespace().filter(|word| *word != "|").collect();
    (output.status.code(), words.join(" "))
}

fn bad_files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bad");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .expect("the folder is there")
        .map(|entry| entry.expect("it can be read").path())
        .collect();
    files.sort();
    files
}

/// A bad file begins with a line `#! line:column | message | hint` for each of its mistakes.
#[test]
fn each_bad_file_is_refused_with_place_message_and_hint() {
    let files = bad_files();
    assert!(files.len() >= 15);
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let (code, said) = validate(&file);
        let name = file.file_name().unwrap().to_str().unwrap();
        assert_eq!(code, Some(2), "{name}: {said}");
        let mut expected = 0;
        for line in text.lines().filter_map(|line| line.strip_prefix("#! ")) {
            let [place, message, hint] = line.split(" | ").map(str::trim).collect::<Vec<_>>()[..] else {
                panic!("{name}: {line:?} has not three parts")
            };
            assert!(said.contains(&format!("{name}:{place}")), "{name}:{place}\nin\n{said}");
            assert!(said.contains(message) && said.contains(hint), "{line}\nin\n{said}");
            expected += 1;
        }
        assert!(expected > 0, "{name} says what is expected");
        let noun = if expected == 1 { "mistake" } else { "mistakes" };
        assert!(said.ends_with(&format!("superstep: {expected} {noun}")), "{name}: {said}");
    }
}

#[test]
fn a_caret_stands_below_the_mistake_and_no_color_without_a_terminal() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bad/unknown_field.yaml");
    let output =
        Command::new(env!("CARGO_BIN_EXE_superstep")).arg("validate").arg("-f").arg(file).output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("^^^^") && text.contains("functoin: {cel"), "{text}");
    assert!(text.is_ascii() && !text.contains('\x1b'), "{text}");
    assert!(output.stdout.is_empty());
}

#[test]
fn of_a_very_long_line_the_part_around_the_mistake_is_shown() {
    let home = Home::new();
    let long = "x".repeat(100_000);
    let graph = format!(
        "apiVersion: superstep.dev/v1alpha1\nkind: AgentGraph\nmetadata: {{name: a}}\nspec:\n  entry: [a]\n  \
         vertices:\n  - {{name: a, function: {{cel: \"'{long}' + inptu.x + '{long}'\"}}}}\n"
    );
    let ended = home.run(["validate", "-f", &home.file("graph.yaml", &graph)]).with(2);
    let said = &ended.stderr;
    assert!(said.contains("16384 are allowed") && said.len() < 2_000, "{}", said.len());
    let graph = graph.replace(&long, &long[..6_000]);
    let ended = home.run(["validate", "-f", &home.file("graph.yaml", &graph)]).with(2);
    let said = &ended.stderr;
    assert!(said.contains("graph.yaml:7:6037]") && said.contains("' + inptu.x + '") && said.len() < 2_000);
    let caret = said.lines().find(|line| line.contains('^')).unwrap();
    let shown = said.lines().find(|line| line.contains("inptu.x")).unwrap();
    assert_eq!(caret.find("^^^^^"), shown.find("inptu"), "{said}");
}

#[test]
fn what_holds_no_document_is_no_good_file() {
    let home = Home::new();
    for text in ["# nothing\n", "apiVersion: v1\nkind: Namespace\nmetadata: {name: other}\n"] {
        let file = home.file("graph.yaml", text);
        home.run(["validate", "-f", &file]).with(2).saying("the files have no AgentGraph");
    }
}

#[test]
fn wrong_arguments_and_missing_files_have_the_code_of_invalid_files() {
    for arguments in
        [&["validate"][..], &["validate", "-f", "none.yaml"], &["frobnicate"], &["render", "-f", "none.yaml"]]
    {
        let output = Command::new(env!("CARGO_BIN_EXE_superstep")).args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    }
}

#[test]
fn the_manifests_of_the_project_are_valid() {
    for folder in ["../manifests/hello", "../manifests/quickstart", "tests/good"] {
        let output = Command::new(env!("CARGO_BIN_EXE_superstep"))
            .args(["validate", "-f", folder])
            .env("SUPERSTEP_MODEL", "model.gguf")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{folder}: {said}");
        assert!(folder == "tests/good" || said.is_empty(), "{folder}: {said}");
    }
}
