//! Graphs that are made with parameters.

use serde_json::json;

use crate::command::Home;

fn letter(parameters: &[&str]) -> crate::command::Ended {
    let arguments =
        ["run", "-f", "tests/graphs/letters.yaml", "--graph", "letter", "--input", "{\"name\": \"Ada\"}"];
    Home::new().run([&arguments[..], parameters].concat())
}

#[test]
fn a_run_has_the_parameters_that_it_was_given() {
    let warm = letter(&["--parameters", "{\"style\": \"warm\"}"]).with(0).json();
    assert_eq!(warm, json!({"greet": {"text": "warm Ada", "size": 3}, "long": "warm Ada"}));
    let formal = letter(&["--parameters", "{\"style\": \"formal\", \"least\": 4}"]).with(0).json();
    assert_eq!(formal, json!({"greet": {"text": "formal Ada", "size": 3}, "long": null}));
    letter(&[]).with(2).saying("\"style\" is a required property");
    letter(&["--parameters", "{\"style\": \"rude\"}"]).with(2).saying("style: \"rude\" is not one of");
}

#[test]
fn each_sub_graph_has_parameters_of_its_own() {
    let home = Home::new();
    let ended = home.run([
        "run",
        "-f",
        "tests/graphs/letters.yaml",
        "--graph",
        "two",
        "--input",
        "{\"name\": \"Ada\"}",
    ]);
    let letter = |text: &str, long: Option<&str>| json!({"greet": {"text": text, "size": 3}, "long": long});
    let expected = json!({"one": letter("formal Ada", None), "other": letter("warm Ada", Some("warm Ada"))});
    assert_eq!(ended.with(0).json(), expected);
}
