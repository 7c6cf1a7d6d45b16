//! Runs on a cluster of worker processes, reached by the command.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::net::TcpListener;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::command::{Home, Running, until};

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
        let worker = std::path::Path::new(env!("CARGO_BIN_EXE_superstep")).with_file_name("superstep-worker");
        assert!(
            worker.exists(),
            "{} is there, as cargo build --workspace --bins builds it",
            worker.display()
        );
        let home = Home::new();
        let port = free_ports(workers);
        let (count, first) = (workers.to_string(), port.to_string());
        let up = Running::start(&mut home.command(["cluster", "up", "--workers", &count, "--port", &first]));
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

    fn line(&self, line: &str) -> crate::command::Ended {
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

/// The first of so many ports that nobody has.
fn free_ports(count: u16) -> u16 {
    loop {
        let first = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let Some(last) = first.checked_add(count) else { continue };
        let taken: Vec<_> = (first..last).map(|port| TcpListener::bind(("127.0.0.1", port))).collect();
        if taken.iter().all(Result::is_ok) {
            return first;
        }
    }
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
        cluster.line("answer a").code == Some(0)
            && cluster.line("answer a").json().as_array().unwrap().len() == 2
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
