//! What the examples in `manifests/examples` mean: which vertices ran in which superstep, and what came of it.
//!
//! That each runs as the README prints it is tested beside the README.

mod agents;
mod changes;
mod joins;
mod shapes;

use std::path::Path;

use serde_json::Value;

use crate::command::{Ended, Home, Running};

/// A run of an example on its script.
struct Played {
    home: Home,
    /// Its outputs.
    result: Value,
    /// What `inspect` tells.
    story: Value,
}

/// Runs an example to its end.
fn play(example: &str) -> Played {
    play_with(example, None)
}

/// Runs an example with an input, in place of its own.
fn play_with(example: &str, input: Option<Value>) -> Played {
    let home = Home::new();
    let folder = format!("manifests/examples/{example}");
    let own = ["json", "txt"].map(|end| format!("{folder}/input.{end}"));
    let own = own.into_iter().find(|file| Path::new("..").join(file).exists());
    let mut line: Vec<String> = ["run", "-f", &folder, "--run-id", "a"].map(str::to_owned).to_vec();
    if let Some(input) = input.map(|input| input.to_string()).or(own.map(|file| format!("@{file}"))) {
        line.extend(["--input".to_owned(), input]);
    }
    let result = command(&home, &line).with(0).json();
    Played::of(home, result)
}

/// Runs `superstep` in the root of the repository, where the paths of the examples begin.
fn command<S: AsRef<str>>(home: &Home, line: &[S]) -> Ended {
    let mut command = home.command(line.iter().map(AsRef::as_ref));
    command.current_dir("..").env("PATH", std::env::var_os("PATH").unwrap());
    Running::start(&mut command).end()
}

impl Played {
    fn of(home: Home, result: Value) -> Self {
        let story = home.line("inspect a --output json").with(0).json();
        Self { home, result, story }
    }

    fn supersteps(&self) -> &[Value] {
        self.story["supersteps"].as_array().unwrap()
    }

    /// The vertices that completed, a text for each superstep.
    fn ran(&self) -> Vec<String> {
        let names = |superstep: &Value| {
            let completed = superstep["completed"].as_array().into_iter().flatten();
            let name =
                |told: &Value| told["activation"].as_str().unwrap().split('@').next().unwrap().to_owned();
            completed.map(name).collect::<Vec<_>>().join(" ")
        };
        // What became of messages at the end of the run stands where a further superstep would.
        self.supersteps().iter().filter(|superstep| superstep.get("started").is_some()).map(names).collect()
    }

    /// What an activation gave, as in `judge@3`.
    fn output(&self, activation: &str) -> &Value {
        let completed = self.supersteps().iter().flat_map(|superstep| superstep["completed"].as_array());
        let found = completed.flatten().find(|told| told["activation"] == activation);
        &found.unwrap_or_else(|| panic!("{activation} in {:?}", self.ran()))["output"]
    }

    /// What became of the messages from one vertex to another, in the order of time.
    fn messages(&self, from: &str, to: &str) -> Vec<&str> {
        let all = self.supersteps().iter().flat_map(|superstep| superstep["messages"].as_array()).flatten();
        let between = all.filter(|message| message["from"] == from && message["to"] == to);
        between.map(|message| message["status"].as_str().unwrap()).collect()
    }

    /// The mutations of a superstep, each with its verdict.
    fn mutations(&self, superstep: usize) -> Vec<String> {
        let mutations = self.supersteps()[superstep]["mutations"].as_array().into_iter().flatten();
        let words = |told: &Value| {
            format!("{}: {}", told["change"].as_str().unwrap(), told["verdict"].as_str().unwrap())
        };
        mutations.map(words).collect()
    }

    /// The totals of the run.
    fn total(&self, name: &str) -> u64 {
        self.story["summary"][name].as_u64().unwrap()
    }
}
