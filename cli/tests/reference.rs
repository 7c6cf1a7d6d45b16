//! `superstep schema`, `superstep completions` and `superstep man`.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::command::Home;

/// The commands that the help lists, with the commands below them.
fn commands(home: &Home, above: &[&str]) -> Vec<String> {
    let help = home.run([above, &["--help"]].concat()).with(0).stdout;
    let Some((_, listed)) = help.split_once("\nCommands:\n") else { return Vec::new() };
    let names = listed.lines().take_while(|line| !line.is_empty());
    let mut found = Vec::new();
    for name in names.filter_map(|line| line.split_whitespace().next()) {
        let whole = [above, &[name]].concat();
        found.push(whole.join(" "));
        found.extend(commands(home, &whole));
    }
    found
}

#[test]
fn the_schema_of_each_kind_is_printed_in_each_format() {
    let home = Home::new();
    for (line, reference) in [
        ("schema AgentGraph", "#/$defs/AgentGraph"),
        ("schema modelserver", "#/$defs/ModelServer"),
        ("schema agpatch", "#/$defs/AgentGraphPatch"),
        ("schema grun", "#/$defs/GraphRun"),
    ] {
        let schema = home.line(line).with(0).json();
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
        assert_eq!(schema["$ref"], reference);
    }
    let whole = home.line("schema").with(0).json();
    let kinds = json!(["AgentGraph", "ModelServer", "AgentGraphPatch", "GraphRun"]);
    assert_eq!(whole["properties"]["kind"]["enum"], kinds);
    let described = whole.pointer("/$defs/VertexSpec/properties/timeout/description");
    assert_eq!(described, Some(&Value::from("The longest that one attempt may take.")));
    assert!(home.line("schema --output yaml").with(0).stdout.contains("\n$defs:\n"));
    home.line("schema Pod").with(2).saying("AgentGraph");
}

#[test]
fn completions_are_scripts_that_name_every_command() {
    let home = Home::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = home.line(&format!("completions {shell}")).with(0).stdout;
        for command in commands(&home, &[]) {
            let name = command.split(' ').next_back().unwrap();
            assert!(script.contains(name), "{name} in {shell}");
        }
        if shell == "bash" {
            let mut check = Command::new("bash").arg("-n").stdin(Stdio::piped()).spawn().unwrap();
            check.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
            assert!(check.wait().unwrap().success());
        }
    }
    home.line("completions tcsh").with(2).saying("bash");
}

#[test]
fn every_command_has_a_page() {
    let home = Home::new();
    let folder = home.path().join("man/man1");
    home.run(["man".as_ref(), "--dir".as_ref(), folder.as_os_str()]).with(0);
    let mut expected: Vec<String> = commands(&home, &[])
        .iter()
        .map(|command| format!("superstep-{}.1", command.replace(' ', "-")))
        .collect();
    expected.push("superstep.1".to_owned());
    expected.sort();
    let mut pages: Vec<String> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    pages.sort();
    assert_eq!(pages, expected);
    for page in &pages {
        let text = fs::read_to_string(folder.join(page)).unwrap();
        assert!(text.contains(".SH NAME") && text.contains("Examples:"), "{page}: {text}");
    }
    let printed = home.line("man render").with(0).stdout;
    assert_eq!(printed, fs::read_to_string(folder.join("superstep-render.1")).unwrap());
    assert_eq!(home.line("man").with(0).stdout, fs::read_to_string(folder.join("superstep.1")).unwrap());
    home.line("man frobnicate").with(2).saying("there is no command \"superstep frobnicate\"");
    home.line("man --dir /dev/null/man").with(6).saying("cannot write /dev/null/man");
}
