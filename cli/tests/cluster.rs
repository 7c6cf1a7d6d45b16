//! Runs on a cluster of worker processes, reached by the command.

use std::collections::BTreeSet;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::command::{Ended, Home, Running, free_ports, until};

#[cfg(all(feature = "inference", feature = "otlp"))]
mod quickstart;

const PATCH: &str = r#"
apiVersion: superstep.dev/v1alpha1
kind: AgentGraphPatch
metadata: {name: add-reviewer}
spec:
  graphRef: {name: loop}
  mutations:
  - addVertex: {name: reviewer, function: {cel: "'seen: ' + message.text"}}
  - addEdge: {from: step, to: reviewer}
"#;

/// Workers that are started by `superstep cluster up`, and killed with the test.
struct Cluster {
    home: Home,
    up: Running,
    port: u16,
}

impl Cluster {
    fn new(workers: u16) -> Self {
        Self::with(workers, &[])
    }

    /// Workers that have these variables in their environment.
    fn with(workers: u16, environment: &[(&str, &str)]) -> Self {
        let worker = std::path::Path::new(env!("CARGO_BIN_EXE_superstep")).with_file_name("superstep-worker");
        assert!(
            worker.exists(),
            "{} is there, as cargo build --workspace --bins builds it",
            worker.display()
        );
        let home = Home::new();
        let port = free_ports(workers);
        let (count, first) = (workers.to_string(), port.to_string());
        let mut up = home.command(["cluster", "up", "--workers", &count, "--port", &first]);
        let up = Running::start(up.envs(environment.iter().copied()));
        let cluster = Self { home, up, port };
        until("the workers attend", || {
            let status =
                cluster.home.run(["cluster", "status", "--output", "json", "--connect", &cluster.url(0)]);
            status.code == Some(0)
                && status.json()["workers"].as_array().unwrap().len() == usize::from(workers)
        });
        cluster
    }

    fn url(&self, worker: u16) -> String {
        format!("http://127.0.0.1:{}", self.port + worker)
    }

    /// The arguments in a line, and where the cluster is.
    fn arguments(&self, line: &str) -> Vec<String> {
        let connect = ["--connect".to_owned(), self.url(0)];
        line.split_whitespace().map(str::to_owned).chain(connect).collect()
    }

    fn line(&self, line: &str) -> Ended {
        self.home.run(self.arguments(line))
    }

    fn start(&self, line: &str) -> Running {
        Running::start(&mut self.home.command(self.arguments(line)))
    }

    /// The process of a worker.
    fn process(&self, worker: u16) -> Option<Pid> {
        let name = format!("worker-{}", worker + 1);
        processes_below(self.up.id()).into_iter().find_map(|id| {
            let command = fs::read(format!("/proc/{id}/cmdline")).ok()?;
            let is_it = command.split(|byte| *byte == 0).any(|word| word == name.as_bytes());
            Pid::from_raw(i32::try_from(id).ok()?).filter(|_| is_it)
        })
    }

    fn kill(&self, worker: u16) {
        kill_process(self.process(worker).unwrap(), Signal::KILL).unwrap();
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for id in processes_below(self.up.id()) {
            if let Some(pid) = Pid::from_raw(i32::try_from(id).unwrap()) {
                // It may be gone already.
                kill_process(pid, Signal::KILL).unwrap_or_default();
            }
        }
    }
}

fn processes_below(parent: u32) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{parent}/task")).into_iter().flatten().flatten();
    let children = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    children
        .flat_map(|ids| ids.split_whitespace().filter_map(|id| id.parse().ok()).collect::<Vec<_>>())
        .collect()
}

/// The whole lines that a watcher has written.
fn lines(text: &str) -> Vec<Value> {
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The durable ones, each without what depends on who tells it.
fn durable(events: &[Value]) -> Vec<String> {
    let place = |event: &Value| {
        let mut event = event.clone();
        event.as_object_mut().unwrap().remove("offset")?;
        event.as_object_mut().unwrap().remove("cursor");
        Some(event.to_string())
    };
    let mut durable: Vec<String> = events.iter().filter_map(place).collect();
    durable.sort();
    durable
}

#[test]
fn a_run_on_a_cluster_is_answered_as_one_of_this_machine() {
    let cluster = Cluster::new(2);
    let running = cluster.start("run -f tests/graphs/approve.yaml --run-id a --input {\"customer\":\"Ada\"}");
    until("it asks", || {
        let open = cluster.line("answer a");
        open.code == Some(0) && open.json().as_array().unwrap().len() == 2
    });
    let questions = cluster.line("answer a").with(0).json();
    assert_eq!(questions[1]["vertex"], json!("approve"));
    assert_eq!(questions[1]["asks"], json!({"prompt": "Refund Ada?", "schema": {"type": "boolean"}}));
    let row = &cluster.line("runs --output json").with(0).json()[0];
    assert_eq!(
        (&row["run"], &row["graph"], &row["status"]),
        (&json!("a"), &json!("approve"), &json!("running"))
    );
    cluster.line("answer a 5").with(2).saying("name one with --vertex: amount@0, approve@0");
    cluster.line("answer a 0 --vertex amount").with(2).saying("0 is less than the minimum of 1");
    cluster.line("answer a 5 --vertex nobody").with(2).saying("asks nothing at vertex \"nobody\"");
    let file = format!("@{}", cluster.home.file("amount.json", "5"));
    cluster.line(&format!("answer a {file} --vertex amount")).with(0).saying("amount@0 has its answer");
    cluster.line("answer a 5 --vertex amount").with(2).saying("asks nothing at vertex \"amount\"");
    cluster.line("answer a yes").with(0).saying("approve@0 has its answer");
    assert_eq!(running.end().with(0).json(), json!({"refund": 5}));
    cluster.line("answer a yes").with(2).saying("run \"a\" asks nothing");
    cluster.line("answer none yes").with(2).saying("not in the store");
    let row = &cluster.line("runs --status succeeded --output json").with(0).json()[0];
    // How many supersteps pass depends on when the answers come.
    assert_eq!(row["status"], json!("succeeded"));
    assert!((2..=4).contains(&row["supersteps"].as_u64().unwrap()), "{row}");
    assert!(row["bytes"].as_u64().unwrap() > 0, "{row}");
    assert_eq!(cluster.line("runs --status failed --output json").with(0).json(), json!([]));
}

#[test]
fn a_run_on_a_cluster_is_patched_and_cancelled_as_one_of_this_machine() {
    let cluster = Cluster::new(2);
    let running = cluster.start("run -f tests/graphs/loop.yaml --run-id loop --progress never");
    let file = cluster.home.file("patch.yaml", PATCH);
    until("the run is there", || cluster.line("answer loop").code == Some(0));
    let rows = cluster.line(&format!("patch loop -f {file} --output json")).with(0).json();
    let rows = rows.as_array().unwrap();
    for (row, change) in rows.iter().zip(["adds vertex reviewer", "adds edge step → reviewer"]) {
        assert_eq!((&row["patch"], &row["change"]), (&json!("add-reviewer"), &json!(change)));
        assert_eq!((&row["verdict"], &row["superstep"]), (&json!("applied"), &rows[0]["superstep"]));
    }
    let again = cluster.line(&format!("patch loop -f {file} --output json")).with(0).json();
    assert_eq!(again.as_array().unwrap(), rows);
    let other = cluster.home.file("other.yaml", &PATCH.replace("reviewer, function", "second, function"));
    let ended = cluster.line(&format!("patch loop -f {other}")).with(2);
    ended.saying("has a patch \"add-reviewer\" with other mutations");
    let refused = cluster.home.file("refused.yaml", &PATCH.replace("add-reviewer", "once-more"));
    let rows = cluster.line(&format!("patch loop -f {refused} --output json")).with(1).json();
    assert!(rows[0]["verdict"].as_str().unwrap().starts_with("refused: "), "{rows}");
    let wrong = cluster.home.file("wrong.yaml", &PATCH.replace("name: loop", "name: lop"));
    cluster.line(&format!("patch loop -f {wrong}")).with(2).saying("the patch is for graph \"lop\"");
    let cancelled = cluster.line("cancel loop").with(0).saying("run loop is cancelled");
    assert_eq!(cancelled.json()["step"], json!({"text": "one word after another"}));
    assert_eq!(running.end().with(1).saying("run loop cancelled").json(), cancelled.json());
    assert_eq!(cluster.line("cancel loop").with(0).saying("run loop is cancelled").json(), cancelled.json());
    cluster.line(&format!("patch loop -f {refused}")).with(1);
    let late = cluster.home.file("late.yaml", &PATCH.replace("add-reviewer", "late"));
    cluster.line(&format!("patch loop -f {late}")).with(2).saying("run loop has ended");
    cluster.line("cancel none").with(2).saying("not in the store");
    assert_eq!(cluster.line("runs --output json").with(0).json()[0]["status"], json!("cancelled"));
}

#[test]
fn a_watch_goes_on_at_another_worker_when_its_own_is_killed() {
    let cluster = Cluster::new(3);
    let log = cluster.home.path().join("seen");
    let running = cluster.start("run -f tests/graphs/loop.yaml --run-id loop --progress never");
    until("the run is there", || cluster.line("answer loop").code == Some(0));
    let arguments = cluster.arguments("watch loop --output jsonl");
    let watching = Running::start(cluster.home.command(arguments).stdout(File::create(&log).unwrap()));
    let seen = || lines(&fs::read_to_string(&log).unwrap());
    until("a text is seen", || seen().iter().any(|event| event["event"] == "text"));
    let commits = || seen().iter().filter(|event| event["event"] == "committed").count();
    let before = commits();
    cluster.kill(0);
    until("supersteps are seen that others have worked on", || commits() > before + 3);
    cluster.home.run(["cancel", "loop", "--connect", &cluster.url(1)]).with(0);
    let watched = watching.end().with(1).saying("is lost, and is looked for").saying("answers");
    assert!(watched.stderr.contains(&cluster.url(0)), "{watched:?}");
    running.end().with(1).saying("is lost, and is looked for").saying("run loop cancelled");

    let seen = seen();
    let mut whole =
        cluster.home.run(["watch", "loop", "--output", "jsonl", "--connect", &cluster.url(2)]).with(1);
    let whole = lines(&std::mem::take(&mut whole.stdout));
    assert_eq!(durable(&seen), durable(&whole), "each event is seen once");
    let takes = whole.iter().filter(|event| event["event"] == "taken").count();
    assert!(takes >= 2, "another term has begun: {takes}");
    let cursors: Vec<&str> = seen.iter().filter_map(|event| event["cursor"].as_str()).collect();
    assert_eq!(cursors.iter().collect::<BTreeSet<_>>().len(), durable(&seen).len());
    let after = cursors[cursors.len() - 3];
    let rest = cluster.home.run([
        "watch",
        "loop",
        "--output",
        "jsonl",
        "--after",
        after,
        "--connect",
        &cluster.url(1),
    ]);
    assert_eq!(durable(&lines(&rest.with(1).stdout)).len(), 2);
    let foreign = ["watch", "loop", "--after", "AAAA", "--connect", &cluster.url(1)];
    cluster.home.run(foreign).with(2).saying("the cursor is none that this version has written");
}

/// A run of `story`, on the cluster and of this machine, under the name that it has as `GraphRun` `story`.
fn told_twice(cluster: &Cluster) {
    let line = "run -f tests/graphs/story.yaml --graph story --run-id story.0a1b2c3d --input {\"n\":5} --progress never";
    let outputs = cluster.line(line).with(0).json();
    assert_eq!(cluster.home.line(line).with(0).json(), outputs);
}

/// What `inspect` tells, without how long the run took.
fn inspected(ended: Ended) -> Value {
    let mut told = ended.with(0).json();
    told["summary"].as_object_mut().unwrap().remove("seconds").unwrap();
    told
}

#[test]
fn a_run_on_a_cluster_is_inspected_and_explained_as_one_of_this_machine() {
    let cluster = Cluster::new(2);
    told_twice(&cluster);
    for arguments in ["each", "1/second --output table", "judge@2 --output json", "draft@3 --depth 1"] {
        let line = format!("why story.0a1b2c3d {arguments}");
        let here = cluster.home.line(&line).with(0).stdout;
        for worker in 0..2 {
            let there = cluster.home.line(&format!("{line} --connect {}", cluster.url(worker)));
            assert_eq!(there.with(0).stdout, here, "{line}");
        }
    }
    let whole = inspected(cluster.line("inspect story.0a1b2c3d --output json"));
    assert_eq!(whole, inspected(cluster.home.line("inspect story.0a1b2c3d --output json")));
    assert_eq!((&whole["input"], &whole["summary"]["status"]), (&json!({"n": 5}), &json!("succeeded")));
    let line = "inspect story.0a1b2c3d --superstep 3 --output yaml";
    assert_eq!(cluster.line(line).with(0).stdout, cluster.home.line(line).with(0).stdout);

    let judges =
        "run \"story.0a1b2c3d\" has no activation judge@9: the last of the vertex are judge@2, judge@4";
    cluster.line("why story.0a1b2c3d judge@9").with(2).saying(judges);
    cluster.line("inspect story.0a1b2c3d --superstep 99").with(2).saying("has no superstep 99");
    cluster.line("inspect none").with(2).saying("not in the store");
    cluster.line("why none judge").with(2).saying("not in the store");
}

#[test]
fn a_run_that_others_work_on_is_inspected_and_explained_while_it_goes_on() {
    let cluster = Cluster::new(3);
    let running = cluster.start("run -f tests/graphs/loop.yaml --run-id loop --progress never");
    let inspect = || cluster.line("inspect loop --output json");
    until("supersteps are told", || {
        let told = inspect();
        told.code == Some(0) && told.json()["supersteps"].as_array().unwrap().len() > 3
    });
    let told = inspect().with(0).json();
    assert_eq!(told["summary"]["status"], json!("unfinished"));
    let target = told["supersteps"][0]["calls"][0]["target"].as_str().unwrap();
    assert!(target.starts_with("model "), "{target}");
    let costs = cluster.line("inspect loop --costs --output json").with(0).json();
    assert_eq!((&costs[0]["from"], &costs[0]["to"]), (&json!("step"), &json!("step")), "{costs}");
    assert!(costs[0]["tokens"].as_f64().unwrap() > 0.0, "{costs}");
    // Another one tells it when the worker that is known is gone.
    let other = cluster.url(1);
    cluster.kill(0);
    let why = cluster.home.run(["why", "loop", "step@2", "--connect", &other]).with(0).stdout;
    assert_eq!(why.lines().collect::<Vec<_>>(), ["step@2", "└─ step@1", "   └─ step@0  (entry)"]);
    cluster.home.run(["cancel", "loop", "--connect", &other]).with(0);
    running.end().with(1);
}

/// The plugin of kubectl, beside a `kubectl` that knows the `GraphRun` `story` and whose pods are a worker of a cluster.
struct Plugin<'a> {
    cluster: &'a Cluster,
    folder: PathBuf,
}

impl<'a> Plugin<'a> {
    fn new(cluster: &'a Cluster) -> Self {
        let folder = cluster.home.path().join("plugin");
        fs::create_dir(&folder).unwrap();
        symlink(env!("CARGO_BIN_EXE_superstep"), folder.join("kubectl-superstep")).unwrap();
        let run = json!({
            "metadata": {"name": "story", "uid": "0a1b2c3d-4e5f"}, "spec": {"graphRef": {"name": "story"}},
        });
        let script = format!(
            r#"#!/usr/bin/env bash
case "$*" in
  "get graphrun story --namespace team --output=json") echo '{run}';;
  "exec "*" --namespace team service/story-runs "*)
    exec 3<>/dev/tcp/127.0.0.1/{}
    cat <&3 &
    cat >&3;;
  *) echo "unknown to this cluster: $*" >&2; exit 1;;
esac
"#,
            cluster.port,
        );
        let kubectl = folder.join("kubectl");
        fs::write(&kubectl, script).unwrap();
        fs::set_permissions(&kubectl, Permissions::from_mode(0o755)).unwrap();
        Self { cluster, folder }
    }

    fn line(&self, line: &str) -> Ended {
        let path = format!("{}:{}", self.folder.display(), std::env::var("PATH").unwrap());
        let mut command = Command::new(self.folder.join("kubectl-superstep"));
        command.args(["--namespace", "team"]).args(line.split_whitespace());
        command.env_clear().env("HOME", self.cluster.home.path()).env("PATH", path);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Running::start(&mut command).end()
    }
}

#[test]
fn the_plugin_of_kubectl_inspects_and_explains_a_run_by_the_name_of_its_object() {
    let cluster = Cluster::new(2);
    told_twice(&cluster);
    let plugin = Plugin::new(&cluster);
    let here = cluster.home.line("why story.0a1b2c3d each --depth 2").with(0).stdout;
    assert_eq!(plugin.line("why story each --depth 2").with(0).stdout, here);
    let whole = inspected(cluster.home.line("inspect story.0a1b2c3d --output json"));
    assert_eq!(inspected(plugin.line("inspect story --output json")), whole);
    let line = |run: &str| format!("inspect {run} --superstep 3 --output yaml");
    let here = cluster.home.line(&line("story.0a1b2c3d")).with(0).stdout;
    assert_eq!(plugin.line(&line("story")).with(0).stdout, here);
    plugin.line("why story judge@9").with(2).saying("has no activation judge@9");
    plugin.line("inspect other").with(6).saying("unknown to this cluster: get graphrun other");
}
