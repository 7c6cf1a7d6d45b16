//! The commands that the README prints, run as they stand there.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::command::{Ended, Home, Running, free_ports};

/// The port in the example `http-tool`; a test takes a free one in its place.
const PORT: &str = "8642";

fn readme() -> String {
    fs::read_to_string("../README.md").unwrap()
}

/// A folder with the manifests in it, where commands run as they would in the repository.
fn checkout(port: &str) -> Home {
    let home = Home::new();
    copy(Path::new("../manifests"), &home.path().join("manifests"), port);
    home
}

fn copy(from: &Path, to: &Path, port: &str) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target, port);
        } else {
            let text = fs::read_to_string(entry.path()).unwrap();
            fs::write(target, text.replace(PORT, port)).unwrap();
        }
    }
}

/// What comes of commands that are typed one after the other into one shell, each of which must succeed, but for one
/// that leaves a run open.
fn typed(home: &Home, commands: &[String]) -> Ended {
    let mut script = "trap 'kill $(jobs -p) 2>/dev/null' EXIT\n".to_owned();
    for command in commands {
        let code = if command.contains("--no-input") { 4 } else { 0 };
        script.push_str(&format!(
            "{command}\nended=$?; [ $ended = {code} ] || {{ echo \"code $ended\" >&2; exit 99; }}\n"
        ));
    }
    let mut shell = Command::new("bash");
    let built = PathBuf::from(env!("CARGO_BIN_EXE_superstep"));
    let path = format!("{}:{}", built.parent().unwrap().display(), std::env::var("PATH").unwrap());
    shell.arg("-c").arg(script).env_clear().env("PATH", path).env("HOME", home.path());
    // Paths of models stand in what is only drawn and checked here.
    shell.env("SUPERSTEP_MODEL", "model.gguf").current_dir(home.path());
    shell.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    Running::start(&mut shell).end()
}

/// The commands of each row of the table of examples.
fn examples(readme: &str) -> Vec<Vec<String>> {
    let (_, rest) = readme.split_once("<!-- generated: gallery -->").unwrap();
    let (table, _) = rest.split_once("<!-- /generated -->").unwrap();
    let rows = table.lines().filter(|line| line.starts_with("| ["));
    let commands = |row: &str| {
        let cell = row.trim_end_matches(" |").rsplit(" | ").next().unwrap();
        cell.split("<br>").map(|code| code.trim_matches('`').to_owned()).collect()
    };
    rows.map(commands).collect()
}

/// The lines of the section with this title that stand in blocks of the shell.
fn section(readme: &str, title: &str) -> Vec<String> {
    let (_, rest) = readme.split_once(&format!("\n## {title}\n")).unwrap();
    let text = rest.split("\n## ").next().unwrap();
    let blocks = text.split("```sh\n").skip(1).filter_map(|block| block.split("```").next());
    blocks.flat_map(str::lines).map(str::to_owned).collect()
}

/// Somebody types what the page has from the top to the bottom, and all of it goes into one store.
#[test]
fn what_the_readme_prints_runs_in_its_order_in_one_home() {
    let readme = readme();
    let port = free_ports(1).to_string();
    let home = checkout(&port);
    let commands = section(&readme, "Commands");
    let commands: Vec<String> =
        commands.into_iter().filter(|command| command.starts_with("superstep ")).collect();
    assert!(commands.len() > 5, "{commands:?}");
    typed(&home, &commands).with(0);
    let examples = examples(&readme);
    let folders = fs::read_dir("../manifests/examples").unwrap();
    let graphs = folders.filter(|folder| folder.as_ref().unwrap().path().join("graph.yaml").exists()).count();
    assert_eq!(examples.len(), graphs);
    for commands in examples {
        let commands: Vec<String> = commands.iter().map(|line| line.replace(PORT, &port)).collect();
        let ended = typed(&home, &commands);
        assert!(ended.code == Some(0) && !ended.stderr.contains("panicked"), "{commands:?} {ended:?}");
        assert!(ended.stdout.trim().len() > 2, "{commands:?} {ended:?}");
    }
}

/// The examples of the help that name files of the repository, where no cluster is needed.
#[test]
fn examples_of_the_help_run_as_printed() {
    let pages = fs::read_to_string("../docs/cli.md").unwrap();
    let examples =
        pages.lines().filter(|line| line.starts_with("  superstep ") && line.contains("manifests/"));
    let examples: BTreeSet<String> =
        examples.filter(|line| !line.contains("--connect")).map(|line| line.trim().to_owned()).collect();
    assert!(examples.len() > 4, "{examples:?}");
    let home = checkout(PORT);
    for example in examples {
        typed(&home, &[example]).with(0);
    }
}

#[test]
fn the_readme_counts_the_rules_that_there_are() {
    let protocol = fs::read_to_string("../docs/protocol.md").unwrap();
    let numbered =
        |line: &&str| line.strip_prefix("## ").is_some_and(|title| title.starts_with(char::is_numeric));
    let rules = protocol.lines().filter(numbered).count();
    let readme = readme().split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(readme.contains(&format!("All {rules} rules are in")), "there are {rules} rules");
}

#[test]
fn a_command_that_fails_is_found() {
    let home = checkout(PORT);
    typed(&home, &["superstep validate -f manifests/hello".to_owned()]).with(0);
    for wrong in ["superstep validate -f manifests/helo", "superstep run -f manifests/hello --no-input"] {
        typed(&home, &[wrong.to_owned()]).with(99);
    }
}

/// Every graph of the examples is as good with a real model in place of the script.
#[test]
fn examples_are_checked_with_each_model_and_drawn() {
    let home = checkout(PORT);
    for folder in fs::read_dir("../manifests/examples").unwrap() {
        let folder = folder.unwrap().path();
        let name = folder.file_name().unwrap().to_str().unwrap().to_owned();
        let example = format!("manifests/examples/{name}");
        if !folder.join("graph.yaml").exists() {
            continue;
        }
        let mut commands = vec![format!("superstep validate -f {example}")];
        for model in ["local", "openai"] {
            let with = format!("-f {example}/graph.yaml manifests/examples/models/{model}.yaml");
            commands.push(format!("superstep validate {with}"));
        }
        commands.push(format!("superstep render -f {example} --format mermaid"));
        let ended = typed(&home, &commands).with(0);
        assert!(ended.stdout.contains("flowchart"), "{name}: {ended:?}");
        // A warning in an example would be copied with it.
        assert!(!ended.stderr.contains("warning"), "{name}: {ended:?}");
    }
}

/// The graphs of the page, each beside the code that it is compared with.
#[test]
fn graphs_of_the_comparison_with_langgraph_are_accepted_and_a_join_fires_without_who_never_comes() {
    let page = fs::read_to_string("../docs/coming-from-langgraph.md").unwrap();
    let blocks: Vec<&str> =
        page.split("```yaml\n").skip(1).filter_map(|block| block.split("```").next()).collect();
    assert!(blocks.len() > 3);
    let home = checkout(PORT);
    for block in blocks {
        let spec: String = block.lines().map(|line| format!("  {line}\n")).collect();
        let head = "apiVersion: superstep.dev/v1alpha1\nkind: AgentGraph\nmetadata: {name: page}\nspec:\n";
        let models = "  models: [{name: model, modelServerRef: {name: model}}]\n";
        home.file("page.yaml", &format!("{head}{models}{spec}"));
        let files = "-f page.yaml manifests/examples/models/openai.yaml";
        let ended = typed(&home, &[format!("superstep validate {files}")]).with(0);
        assert!(!ended.stderr.contains("warning"), "{block} {ended:?}");
        if block.contains("b_more") {
            let run = "superstep run -f page.yaml manifests/examples/one-vertex/script.yaml".to_owned();
            let result = typed(&home, &[run]).with(0).json();
            assert_eq!(result["c"], serde_json::json!(["a"]));
        }
    }
}
