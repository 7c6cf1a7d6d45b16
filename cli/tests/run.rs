//! `superstep run` and `superstep resume`: results, inputs, and exit codes.

use std::fs;
use std::io::Write;
use std::process::Stdio;

use expect_test::expect;
use serde_json::json;

use crate::command::{Ended, Home, Running, calls};

const LIMITED: &str = "run -f tests/graphs/limited.yaml --run-id limited";
const FAILING: &str = "run -f tests/graphs/failing.yaml --run-id failing";

fn hello(home: &Home, more: &[&str]) -> Ended {
    home.run([&["run", "-f", "../manifests/hello", "--input", "{\"name\": \"Ada\"}"], more].concat())
}

#[test]
fn a_result_is_written_in_each_format_and_nothing_beside_it() {
    let home = Home::new();
    for (format, expected) in [
        (
            "json",
            expect![[r#"
                {
                  "greet": {
                    "text": "Hello, Ada. The engine is ready when you are."
                  }
                }
            "#]],
        ),
        (
            "yaml",
            expect![[r#"
                greet:
                  text: Hello, Ada. The engine is ready when you are.
            "#]],
        ),
        (
            "table",
            expect![[r#"
                greet.text  Hello, Ada. The engine is ready when you are.
            "#]],
        ),
    ] {
        let ended = hello(&home, &["--output", format]).with(0);
        expected.assert_eq(&ended.stdout);
        assert_eq!(ended.stderr, "");
    }
}

#[test]
fn an_ephemeral_run_leaves_nothing_behind_wherever_runs_are_kept() {
    let home = Home::new();
    hello(&home, &["--ephemeral"]).with(0);
    let arguments = ["run", "-f", "tests/graphs/limited.yaml", "--ephemeral"];
    let kept = home.path().join("kept");
    Running::start(home.command(arguments).env("SUPERSTEP_STORE", &kept)).end().with(3);
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
    hello(&home, &["--ephemeral", "--store", "somewhere"]).with(2).saying("cannot be used with");
}

#[test]
fn runs_are_kept_where_the_user_says() {
    let home = Home::new();
    let begin = |variable: &str, folder: &str, more: &[&str]| {
        let arguments = [&["run", "-f", "tests/graphs/limited.yaml", "--run-id", "a"], more].concat();
        Running::start(home.command(arguments).env(variable, home.path().join(folder))).end().with(3);
    };
    begin("SUPERSTEP_STORE", "variable", &[]);
    begin("XDG_STATE_HOME", "state", &[]);
    begin("NOTHING", "", &[]);
    let argument = home.path().join("argument");
    begin("SUPERSTEP_STORE", "unused", &["--store", argument.to_str().unwrap()]);
    for folder in ["variable", "state/superstep", ".local/state/superstep", "argument"] {
        assert!(home.path().join(folder).join("runs/a").is_dir(), "{folder}");
    }
    assert!(!home.path().join("unused").exists());
    let homeless = ["run", "-f", "tests/graphs/limited.yaml"];
    Running::start(home.command(homeless).env_remove("HOME")).end().with(6).saying("--store DIR");
}

#[test]
fn an_input_is_an_argument_a_file_or_stdin() {
    let home = Home::new();
    let graph = home.file(
        "echo.yaml",
        "{apiVersion: superstep.dev/v1alpha1, kind: AgentGraph, metadata: {name: echo},\n\
         spec: {entry: [echo], vertices: [{name: echo, function: {cel: input}}]}}\n",
    );
    let (object, text) = (json!({"echo": {"a": 1}}), json!({"echo": {"text": "Dear A,\n"}}));
    for (input, stdin, expected) in [
        ("{\"a\": 1}".to_owned(), "", &object),
        (format!("@{}", home.file("input.json", "{\"a\": 1}")), "", &object),
        (format!("@{}", home.file("input.yaml", "a: 1\n")), "", &object),
        (format!("@{}", home.file("mail.txt", "Dear A,\n")), "", &text),
        ("-".to_owned(), "{\"a\": 1}", &object),
        ("-".to_owned(), "Dear A,\n", &text),
    ] {
        let arguments = ["run", "-f", &graph, "--ephemeral", "--input", &input];
        let mut child = home.command(arguments).stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(stdin.as_bytes()).unwrap();
        let ended = Ended::from(child.wait_with_output().unwrap()).with(0);
        assert_eq!(ended.json(), *expected, "{input}");
    }
    for (input, said) in [("@none.json", "none.json"), ("{", "no JSON")] {
        home.run(["run", "-f", &graph, "--ephemeral", "--input", input]).with(2).saying(said);
    }
}

#[test]
fn mistakes_of_an_input_file_are_shown_at_their_places() {
    let home = Home::new();
    for (name, text, place) in [
        ("torn.json", "{\n  \"name\": \"Ada\",\n  \"age\" 7\n}", "torn.json:3:9"),
        ("torn.yaml", "name: [Ada\n", "torn.yaml:1:7"),
        ("number.json", "{\"other\": 1,\n \"name\": 7}", "number.json:2:10"),
        ("number.yaml", "other: 1\nname: 7\n", "number.yaml:2:7"),
    ] {
        let input = format!("@{}", home.file(name, text));
        home.run(["run", "-f", "../manifests/hello", "--input", &input]).with(2).saying(place);
    }
    home.run(["run", "-f", "../manifests/hello", "--input", "{\"name\": 7}"])
        .with(2)
        .saying("name: 7 is not");
}

#[test]
fn what_cannot_be_run_is_refused_before_anything_is_kept() {
    let home = Home::new();
    home.line("run -f none.yaml").with(2).saying("none.yaml");
    home.line("run -f ../manifests/hello --graph helo").with(2).saying("helo");
    home.line("run -f tests/graphs/limited.yaml --run-id a/b").with(2).saying("no run name");
    home.line("run -f ../manifests/hello").with(2).saying("\"name\" is a required property");
    home.line("run -f tests/graphs/failing.yaml tests/graphs/limited.yaml").with(2).saying("--graph NAME");
    home.line("run -f - --input -").with(2).saying("stdin is read once");
    let ended = home.run(["run", "-f", "../manifests/hello", "--input", "{\"name\": 7}"]).with(2);
    assert!(ended.stdout.is_empty() && ended.stderr.contains("7"), "{ended:?}");
    home.line("resume nobody").with(2).saying("run \"nobody\" is not in the store");
    home.line("inspect nobody").with(2).saying("run \"nobody\" is not in the store");
    assert_eq!(home.line("runs --output json").with(0).json(), json!([]));
}

#[test]
fn a_name_is_taken_once() {
    let home = Home::new();
    hello(&home, &["--run-id", "mine"]).with(0);
    hello(&home, &["--run-id", "mine"]).with(2).saying("run \"mine\" is in the store already");
}

#[test]
fn a_failed_run_shows_what_it_had_and_says_why() {
    let home = Home::new();
    for line in [FAILING, "resume failing"] {
        let ended = home.line(line).with(1).saying("run failing failed: bad: the model is on fire");
        assert_eq!(ended.json(), json!({"good": "so far", "bad": null}));
    }
}

/// A pipe that nobody reads.
fn closed() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer.into()
}

#[test]
fn who_closes_stdout_or_stderr_does_not_change_how_the_command_ends() {
    let home = Home::new();
    let code = |line: &str, out: Stdio, err: Stdio| {
        let mut command = home.command(line.split_whitespace());
        command.stdout(out).stderr(err).status().unwrap().code()
    };
    for (line, expected) in [
        (FAILING, 1),
        ("resume failing --progress always", 1),
        (LIMITED, 3),
        ("validate -f tests/bad/unknown_field.yaml", 2),
        ("inspect no-such-run", 2),
        ("run -f ../manifests/hello --input {\"name\":\"Ada\"} --progress always", 0),
    ] {
        assert_eq!(code(line, Stdio::null(), closed()), Some(expected), "{line}, without stderr");
    }
    assert_eq!(code("resume failing", closed(), Stdio::null()), Some(1), "without stdout");
}

#[test]
fn a_limit_ends_a_run_with_partial_outputs_and_its_name() {
    let home = Home::new();
    for line in [LIMITED, "resume limited"] {
        let ended = home.line(line).with(3).saying("limits.supersteps");
        assert_eq!(ended.json(), json!({"count": [1, 2, 3]}));
    }
}

#[test]
fn a_run_that_has_ended_gives_its_result_again_and_adds_nothing_to_its_log() {
    let home = Home::new();
    let first = hello(&home, &["--run-id", "a"]).with(0);
    let records = home.records("a");
    for _ in 0..2 {
        let again = home.line("resume a").with(0);
        assert_eq!((&again.stdout, &again.stderr), (&first.stdout, &first.stderr));
    }
    assert_eq!(home.records("a"), records);
}

#[test]
fn a_store_or_a_model_that_cannot_be_used_is_named_with_the_cause() {
    let home = Home::new();
    let file = home.file("file", "");
    let ended = hello(&home, &["--store", &file]).with(6);
    ended.saying(&format!("cannot make folder {file}/runs: Not a directory"));
    let model = home.file(
        "model.yaml",
        "{apiVersion: superstep.dev/v1alpha1, kind: ModelServer, metadata: {name: absent},\n\
         spec: {model: {name: m, sources: [{file: {path: /none.gguf}}]}, engine: {candle: {}}, devices: {cpu: {}}}}\n\
         ---\n\
         {apiVersion: superstep.dev/v1alpha1, kind: AgentGraph, metadata: {name: a},\n\
         spec: {entry: [a], models: [{name: m, modelServerRef: {name: absent}}],\n\
         vertices: [{name: a, prompt: {model: m, template: Hello}}]}}\n",
    );
    home.run(["run", "-f", &model]).with(6).saying("/none.gguf");
}

#[test]
fn a_result_that_cannot_be_written_is_told_and_the_run_is_kept() {
    let home = Home::new();
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let arguments = LIMITED.split_whitespace();
    Running::start(home.command(arguments).stdout(full))
        .end()
        .with(6)
        .saying("cannot write the result: No space");
    home.line("resume limited").with(3);
}

#[test]
fn a_failure_that_passes_is_tried_again() {
    let home = Home::new();
    let ended = home.run(calls("calls")).with(0);
    assert_eq!(ended.json()["gather"]["senses"][0], "heard");
    let inspected = home.line("inspect calls --output json").with(0).json();
    assert_eq!(inspected["summary"]["calls"], 41);
}

#[test]
fn each_bad_file_is_refused_by_run_without_a_panic() {
    let home = Home::new();
    for file in fs::read_dir("tests/bad").unwrap() {
        let file = file.unwrap().path();
        let ended = home.run(["run".as_ref(), "-f".as_ref(), file.as_os_str()]).with(2);
        assert!(ended.stdout.is_empty() && ended.stderr.contains("mistake"), "{ended:?}");
    }
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
}

#[test]
fn an_input_that_does_not_fit_is_told_without_a_place_that_it_has_not() {
    let said = Home::new().line("run -f ../manifests/examples/chain --input {}").with(2);
    said.saying("the input does not fit the graph: \"topic\" is");
}
