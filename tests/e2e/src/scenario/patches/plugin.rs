//! Every command of `kubectl superstep`, on a run that one changes after the other, and what each of them prints.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::{GRAPH, PATIENCE, QUICK, judged, patch};
use crate::bench::Bench;
use crate::objects::{list, number, text};
use crate::process::{self, Ended};
use crate::report::Report;
use crate::{kubectl, runs};

/// The run that most of them are about.
const RUN: &str = "plugin";
/// How many rounds it has, and how long an answer takes on average while it is to go on.
const ROUNDS: usize = 12;
const STEADY: Duration = Duration::from_secs(3);
/// The vertex that a patch adds to it, which asks.
const ASKS: &str = "confirm";

/// The commands that were given, and those that did not print what they are to print.
struct Plugin<'a> {
    bench: &'a Bench,
    namespace: &'a str,
    commands: usize,
    wrong: Vec<String>,
}

pub(super) fn play(bench: &Bench, report: &mut Report, namespace: &str) -> Result<()> {
    let mut plugin = Plugin { bench, namespace, commands: 0, wrong: Vec::new() };
    bench.ledger.set_latency(STEADY);
    let outputs = plugin.changed();
    bench.ledger.set_latency(QUICK);
    let outputs = outputs?;
    plugin.told(&outputs)?;
    plugin.forked()?;
    plugin.cancelled()?;
    plugin.promoted(report)?;
    report.look(
        "commands of kubectl superstep that end or print otherwise than they are to",
        plugin.commands,
        plugin.wrong,
    );
    Ok(())
}

impl Plugin<'_> {
    fn command(&self, words: &[&str]) -> Result<Command> {
        let mut command = self.bench.plugin()?;
        command.args(["--namespace", self.namespace]).args(words);
        Ok(command)
    }

    /// Gives a command, which is to succeed and to print what `is_so` is true of.
    fn give(&mut self, words: &[&str], is_so: impl FnOnce(&Ended) -> bool) -> Result<Ended> {
        let ended = process::end(&mut self.command(words)?)?;
        self.note(words, &ended, is_so);
        Ok(ended)
    }

    fn note(&mut self, words: &[&str], ended: &Ended, is_so: impl FnOnce(&Ended) -> bool) {
        self.commands += 1;
        if ended.code != Some(0) || !is_so(ended) {
            self.wrong.push(format!("{}: {ended:?}", words.join(" ")));
        }
    }

    /// Creates a run without looking at it.
    fn begin(&mut self, name: &str) -> Result<()> {
        let input = json!({"run": format!("{}-{name}", self.namespace), "rounds": ROUNDS, "grows": false})
            .to_string();
        let words = ["run", GRAPH, "--name", name, "--input", &input, "--no-watch"];
        let advice = format!("the run is {name}; kubectl superstep watch {name} shows it");
        self.give(&words, |ended| ended.stderr.contains(&advice) && ended.stdout.is_empty()).map(drop)
    }

    /// Waits until the status of a run is so.
    fn until(&self, run: &str, what: &str, is_so: impl Fn(&Value) -> bool) -> Result<()> {
        kubectl::until(&format!("the run {run} {what}"), PATIENCE, || {
            let run = kubectl::get(self.namespace, "graphrun", run)?;
            Ok(run.filter(|run| is_so(run)).map(drop))
        })
    }

    /// A run is begun, watched, patched, suspended, resumed, watched again, and answered. What it has given in the end.
    fn changed(&mut self) -> Result<Value> {
        self.begin(RUN)?;
        let seen = self.glimpse()?;
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("patch.json");
        fs::write(&file, asking().to_string())?;
        let words = ["patch", RUN, "--file", &file.to_string_lossy()];
        self.give(&words, |ended| {
            let rows = json_of(&ended.stdout);
            let applied = |row: &Value| text(row, "/verdict") == "applied" && row["superstep"].is_u64();
            list(&rows, "").len() == 2 && list(&rows, "").iter().all(applied)
        })?;
        self.give(&["suspend", RUN], |ended| ended.stderr.contains("plugin is to be Suspended"))?;
        // What is in flight ends, and nothing more begins.
        self.bench.ledger.set_latency(QUICK);
        self.until(RUN, "stands still", |run| text(run, "/status/phase") == "Suspended")?;
        self.give(&["list"], |ended| {
            let row = ended.stdout.lines().find(|line| line.starts_with("plugin "));
            row.is_some_and(|row| row.contains(" Suspended "))
        })?;
        let mut command = self.command(&["watch", RUN, "--output", "jsonl"])?;
        let watching = thread::spawn(move || process::end(&mut command));
        self.give(&["resume", RUN], |ended| ended.stderr.contains("plugin is to be Running"))?;
        self.until(RUN, "asks", |run| text(run, "/status/reason") == "Question")?;
        self.give(&["answer", RUN], |ended| {
            let open = json_of(&ended.stdout);
            list(&open, "").len() == 1 && text(&open, "/0/vertex") == ASKS
        })?;
        let words = ["answer", RUN, r#"{"approved": true}"#];
        self.give(&words, |ended| ended.stderr.contains("has its answer"))?;
        let watched = watching.join().map_err(|_| anyhow::anyhow!("nobody could watch the run"))??;
        let outputs = json!({ASKS: {"approved": true}});
        self.note(&["watch", RUN, "--output", "jsonl"], &watched, |watched| {
            is_whole(&watched.stdout, &seen, &outputs)
        });
        // Who looks when all is over sees the same result.
        self.give(&["watch", RUN], |ended| json_of(&ended.stdout) == outputs)?;
        Ok(outputs)
    }

    /// What is shown of a run that goes on to one who looks away after the first superstep.
    fn glimpse(&mut self) -> Result<Vec<Value>> {
        let mut command = self.command(&["watch", RUN, "--output", "jsonl"])?;
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let mut seen = Vec::new();
        for line in BufReader::new(child.stdout.take().context("it has an output")?).lines() {
            let event = json_of(&line?);
            seen.push(event.clone());
            if text(&event, "/event") == "committed" {
                break;
            }
        }
        child.kill()?;
        child.wait()?;
        self.commands += 1;
        let is_so = seen.last().is_some_and(|event| text(event, "/event") == "committed");
        self.wrong.extend((!is_so).then(|| format!("watch of a run that goes on: {seen:?}")));
        Ok(seen)
    }

    /// What is recorded of the run, and what its workers have logged.
    fn told(&mut self, outputs: &Value) -> Result<()> {
        let run = kubectl::get(self.namespace, "graphrun", RUN)?.context("the run is there")?;
        let stored = runs::stored(&run)?.to_string();
        self.give(&["inspect", RUN, "--output", "json"], |ended| {
            let told = json_of(&ended.stdout);
            let mut mutations =
                list(&told, "/supersteps").iter().flat_map(|superstep| list(superstep, "/mutations"));
            text(&told, "/run") == stored
                && told["outputs"] == *outputs
                && text(&told, "/summary/status") == "succeeded"
                && mutations.any(|one| text(one, "/requester") == ASKS && text(one, "/verdict") == "applied")
        })?;
        self.give(&["inspect", RUN, "--superstep", "0", "--output", "json"], |ended| {
            let told = json_of(&ended.stdout);
            let completed = text(&told, "/supersteps/0/completed/0/activation");
            list(&told, "/supersteps").len() == 1 && completed == "begin@0"
        })?;
        self.give(&["inspect", RUN, "--costs", "--output", "json"], |ended| {
            list(&json_of(&ended.stdout), "").iter().any(|edge| text(edge, "/to") == "ask")
        })?;
        self.give(&["inspect", RUN], |ended| ended.stdout.contains(&stored))?;
        self.give(&["why", RUN, ASKS, "--depth", "0"], |ended| {
            let begins = ended.stdout.starts_with(&format!("{ASKS}@"));
            begins && ended.stdout.lines().any(|line| line.ends_with("begin@0  (entry)"))
        })?;
        self.give(&["logs", GRAPH], |ended| {
            ["rounds-worker-0", "rounds-worker-1"]
                .iter()
                .all(|pod| ended.stdout.contains(&format!("[pod/{pod}/worker] ")))
        })?;
        Ok(())
    }

    /// A fork begins before the patch, and ends without what it added.
    fn forked(&mut self) -> Result<()> {
        let words = ["fork", RUN, "--from", "1", "--name", "forked"];
        self.give(&words, |ended| json_of(&ended.stdout) == json!({"end": "as declared"}))?;
        let run = kubectl::get(self.namespace, "graphrun", RUN)?.context("the run is there")?;
        let origin = format!("fork of {} at superstep 1", runs::stored(&run)?);
        self.give(&["inspect", "forked", "--output", "json"], |ended| {
            text(&json_of(&ended.stdout), "/origin") == origin
        })?;
        Ok(())
    }

    fn cancelled(&mut self) -> Result<()> {
        self.bench.ledger.set_latency(STEADY);
        self.begin("cancelled")?;
        self.until("cancelled", "goes on", |run| number(run, "/status/superstep").is_some())?;
        self.give(&["cancel", "cancelled"], |ended| {
            json_of(&ended.stdout) == json!({"end": null}) && ended.stderr.contains("is cancelled")
        })?;
        self.bench.ledger.set_latency(QUICK);
        self.until("cancelled", "is cancelled", |run| text(run, "/status/phase") == "Cancelled")
    }

    /// The manifest that is written of a graph is the graph as later runs have it: applied, it changes nothing, and what a
    /// patch has added stays when the patch goes.
    fn promoted(&mut self, report: &mut Report) -> Result<()> {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("graph.yaml").to_string_lossy().into_owned();
        let before = self.graph()?;
        let declared = self.promote(&file, |manifest| !manifest.contains("kept"))?;
        let after = self.graph()?;
        // It says what goes without saying, too, so that the object may differ where the graph does not.
        report.demand(
            text(&after, "/status/revision") == text(&before, "/status/revision"),
            &format!("what is promoted is the graph as it is: {} {}", before["spec"], after["spec"]),
        );
        let mutations = json!([
            {"addVertex": {"name": "kept", "function": {"cel": "'kept'"}}},
            {"addEdge": {"from": "end", "to": "kept"}},
        ]);
        kubectl::create(self.namespace, &patch("kept", None, &mutations))?;
        judged(self.namespace, "kept")?;
        self.until_effective("has what the patch adds", |graph| graph.contains("kept"))?;
        let promoted = self.promote(&file, |manifest| manifest.contains("kept"))?;
        kubectl::run(&["delete", "agentgraphpatch", "kept", "--namespace", self.namespace])?;
        let ready = runs::ready(self.namespace, "agentgraph", GRAPH, PATIENCE)?;
        let again = self.promote(&file, |manifest| manifest == promoted)?;
        report.demand(
            again == promoted && promoted != declared && self.graph()?["spec"] == ready["spec"],
            "what was promoted stays when its patch goes, and is the same when it is applied again",
        );
        Ok(())
    }

    /// Writes the graph to a file and applies that.
    fn promote(&mut self, file: &str, is_so: impl FnOnce(&str) -> bool) -> Result<String> {
        let written = self.give(&["promote", GRAPH], |ended| is_so(&ended.stdout))?.stdout;
        fs::write(file, &written)?;
        kubectl::run(&["apply", "--namespace", self.namespace, "--filename", file])?;
        runs::ready(self.namespace, "agentgraph", GRAPH, PATIENCE)?;
        Ok(written)
    }

    fn graph(&self) -> Result<Value> {
        kubectl::get(self.namespace, "agentgraph", GRAPH)?.context("the graph is there")
    }

    /// Waits until the graph as later runs have it is so.
    fn until_effective(&self, what: &str, is_so: impl Fn(&str) -> bool) -> Result<()> {
        let name = format!("{GRAPH}-graph");
        kubectl::until(&format!("the graph {what}"), PATIENCE, || {
            let written = kubectl::get(self.namespace, "configmap", &name)?;
            Ok(written.filter(|written| is_so(text(written, "/data/graph.yaml"))).map(drop))
        })
    }
}

/// A patch after which the run asks at its end.
fn asking() -> Value {
    let schema = json!({
        "type": "object", "required": ["approved"], "properties": {"approved": {"type": "boolean"}},
    });
    patch(
        ASKS,
        None,
        &json!([
            {"addVertex": {"name": ASKS, "human": {"prompt": "Shall it end?", "schema": schema}}},
            {"addEdge": {"from": "end", "to": ASKS}},
        ]),
    )
}

/// What a command has printed as JSON; null if that is none.
fn json_of(printed: &str) -> Value {
    serde_json::from_str(printed).unwrap_or_default()
}

/// Whether a watch has told of each durable event once, of those too that somebody has seen before, and of the result.
fn is_whole(printed: &str, seen: &[Value], outputs: &Value) -> bool {
    let events: Vec<Value> = printed.lines().map(json_of).collect();
    let offsets =
        |events: &[Value]| events.iter().filter_map(|event| number(event, "/offset")).collect::<Vec<_>>();
    let told = offsets(&events);
    let once = told.windows(2).all(|two| two[0] + 1 == two[1]);
    let last = |events: &[Value]| {
        let committed = events.iter().find(|event| text(event, "/event") == "committed");
        committed.map(|event| (number(event, "/offset"), text(event, "/revision").to_owned()))
    };
    let result = events.last().filter(|event| text(event, "/event") == "result");
    once && told.starts_with(&offsets(seen))
        && last(&events) == last(seen)
        && result.is_some_and(|event| event["outputs"] == *outputs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watch_that_leaves_out_or_repeats_an_event_is_found() {
        let event = |offset: u32, event: &str| json!({"offset": offset, "event": event, "revision": "r"});
        let seen = [event(1, "superstepStarted"), event(2, "committed")];
        let printed = |offsets: &[u32]| {
            let told = offsets
                .iter()
                .map(|offset| event(*offset, if *offset == 2 { "committed" } else { "called" }));
            let result = json!({"event": "result", "outputs": {"a": 1}});
            told.chain([result]).map(|event| format!("{event}\n")).collect::<String>()
        };
        let is_whole = |offsets: &[u32]| is_whole(&printed(offsets), &seen, &json!({"a": 1}));
        assert!(is_whole(&[1, 2, 3]));
        assert!(!is_whole(&[1, 2, 4]) && !is_whole(&[2, 3]) && !is_whole(&[1, 2, 2, 3]) && !is_whole(&[]));
    }
}
