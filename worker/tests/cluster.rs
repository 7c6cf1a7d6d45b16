//! Groups of workers over real gRPC on loopback, each with a runtime of its own, so that one can be killed.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use superstep_engine::{Home, Homes, Notice, Record, RunStatus};
use superstep_leases::{FileLease, Pace};
use superstep_proto::v1;
use superstep_proto::v1::runs_client::RunsClient;
use superstep_runtime::{Happening, Run, Seen, Setup};
use superstep_store::Store;
use superstep_transport::Security;
use superstep_worker::{Channels, Loader, MemberFolder, Node, NodeConfig, Provisions, Surroundings};
use tokio::runtime::Runtime;
use tonic::transport::Channel;

#[path = "cluster/asking.rs"]
mod asking;
#[path = "cluster/fairness.rs"]
mod fairness;
#[path = "cluster/forking.rs"]
mod forking;
#[path = "cluster/health.rs"]
mod health;
#[path = "cluster/models.rs"]
mod models;
#[path = "cluster/network.rs"]
mod network;
#[path = "cluster/records.rs"]
mod records;
#[path = "cluster/retention.rs"]
mod retention;
#[path = "cluster/standing.rs"]
mod standing;
#[path = "cluster/watching.rs"]
mod watching;

/// One worker, with everything that dies with it.
struct Worker {
    name: String,
    address: String,
    runtime: Runtime,
    node: Option<Node>,
}

/// Workers that share a store.
struct Group {
    folder: tempfile::TempDir,
    store: Store<Record>,
    workers: Vec<Worker>,
    client: Runtime,
}

/// So long may anything take that a test waits for, on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(120);
/// Whoever is silent for so long is lost. On a busy machine one who lives may say nothing for some seconds, and what he
/// does would be begun again.
const LOST: Duration = Duration::from_secs(12);

/// A lease that changes hands as fast as it may where a leader may stand still for some seconds.
fn quick() -> Pace {
    Pace {
        lasts: Duration::from_secs(8),
        gives_up: Duration::from_secs(6),
        looks: Duration::from_millis(100),
    }
}

/// Looks again and again until something is so.
fn until(what: &str, mut so: impl FnMut() -> bool) {
    let since = Instant::now();
    while !so() {
        assert!(since.elapsed() < PATIENCE, "waited too long until {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

impl Group {
    fn new(names: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("election")).unwrap();
        let client = Runtime::new().unwrap();
        let mut group = Self { folder, store: Store::memory(), workers: Vec::new(), client };
        names.iter().for_each(|name| group.start(name));
        group
    }

    fn start(&mut self, name: &str) {
        self.start_with(name, &[]);
    }

    fn start_with(&mut self, name: &str, labels: &[&str]) {
        self.start_at(name, labels, None);
    }

    /// Starts a worker of which the others are told that it is at `address`.
    fn start_at(&mut self, name: &str, labels: &[&str], address: Option<&str>) {
        let loader = Arc::new(Loader::new(self.store.clone()));
        self.start_around(name, labels, address, loader);
    }

    /// Starts a worker that is given what runs need by `provisions`.
    fn start_around(
        &mut self,
        name: &str,
        labels: &[&str],
        address: Option<&str>,
        provisions: Arc<dyn Provisions>,
    ) {
        let runtime = Runtime::new().unwrap();
        let around = Surroundings {
            store: self.store.clone(),
            leases: Arc::new(FileLease::new(self.folder.path().join("election/leader"))),
            discovery: Arc::new(MemberFolder::new(self.folder.path().join("members")).unwrap()),
            provisions,
            traces: None,
        };
        let config = NodeConfig {
            name: name.to_owned(),
            listen: "127.0.0.1:0".parse().unwrap(),
            address: address.map(str::to_owned),
            labels: labels.iter().map(|label| (*label).to_owned()).collect::<BTreeSet<_>>(),
            pace: quick(),
            security: Security::Plaintext,
        };
        let node = runtime.block_on(Node::start_patient(config, around, LOST)).unwrap();
        let (name, address) = (name.to_owned(), node.address().to_owned());
        self.workers.push(Worker { name, address, runtime, node: Some(node) });
    }

    /// Kills a worker: nothing of it runs on, and its connections break.
    fn kill(&mut self, name: &str) {
        let at = self.workers.iter().position(|worker| worker.name == name).unwrap();
        let worker = self.workers.remove(at);
        worker.runtime.shutdown_timeout(LOST);
    }

    /// Lets a worker leave as SIGTERM does.
    fn drain(&mut self, name: &str) {
        let at = self.workers.iter().position(|worker| worker.name == name).unwrap();
        let mut worker = self.workers.remove(at);
        worker.runtime.block_on(worker.node.take().unwrap().leave());
        worker.runtime.shutdown_background();
    }

    fn runs(&self, at: usize) -> RunsClient<Channel> {
        let _inside = self.client.enter();
        runs_at(&self.workers[at].address)
    }

    /// Asks once, and is told why not.
    fn refused<A>(
        &self,
        ask: impl AsyncFn(RunsClient<Channel>) -> Result<A, tonic::Status>,
    ) -> tonic::Status {
        match self.asked(ask) {
            Ok(_) => panic!("it is refused"),
            Err(status) => status,
        }
    }

    /// Asks again until the answer is not that nobody can give it.
    fn ask<A>(&self, ask: impl AsyncFn(RunsClient<Channel>) -> Result<A, tonic::Status>) -> A {
        self.asked(ask).unwrap_or_else(|status| panic!("{status}"))
    }

    /// What one worker after the other says, until that is not that nobody can answer.
    fn asked<A>(
        &self,
        ask: impl AsyncFn(RunsClient<Channel>) -> Result<A, tonic::Status>,
    ) -> Result<A, tonic::Status> {
        let since = Instant::now();
        for at in (0..self.workers.len()).cycle() {
            match self.client.block_on(ask(self.runs(at))) {
                Err(status) if since.elapsed() < PATIENCE && may_pass(&status) => {
                    std::thread::sleep(Duration::from_millis(50));
                }
                said => return said,
            }
        }
        panic!("there are no workers")
    }

    /// What one worker says, once it can be reached.
    fn ask_at<A>(
        &self,
        at: usize,
        ask: impl AsyncFn(RunsClient<Channel>) -> Result<A, tonic::Status>,
    ) -> Result<A, tonic::Status> {
        self.client.block_on(patiently(async || ask(runs_at(&self.workers[at].address)).await))
    }

    fn cluster(&self) -> v1::ClusterResponse {
        self.ask(async |mut client| Ok(client.cluster(v1::ClusterRequest {}).await?.into_inner()))
    }

    fn leader(&self) -> String {
        self.cluster().leader
    }

    /// Waits until so many workers attend.
    fn complete(&self, count: usize) {
        until("the workers find each other", || self.cluster().workers.len() == count);
    }

    fn submit(&self, run: &str, documents: &[String], input: &Value) {
        let request = v1::SubmitRequest {
            run: run.to_owned(),
            documents: documents.to_vec(),
            input: serde_json::to_vec(input).unwrap().into(),
            ..v1::SubmitRequest::default()
        };
        self.ask(async |mut client| Ok(client.submit(request.clone()).await?.into_inner()));
    }

    fn get(&self, run: &str) -> v1::Run {
        let request = v1::GetRequest { run: run.to_owned() };
        self.ask(async |mut client| Ok(client.get(request.clone()).await?.into_inner().run.unwrap()))
    }

    /// Waits for the end of a run, and gives it.
    fn end(&self, run: &str) -> (RunStatus, Value) {
        let since = Instant::now();
        loop {
            let found = self.get(run);
            if found.phase() == v1::RunPhase::Ended {
                let status = superstep_wire::status_of(found.status).unwrap();
                return (status, superstep_wire::payload_of(found.outputs).unwrap().value().clone());
            }
            assert!(since.elapsed() < 2 * PATIENCE, "the run does not end: {found:?}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Everything that a watch of an ended run tells.
    fn watched(&self, run: &str) -> Vec<Seen> {
        let request = v1::WatchRequest { run: run.to_owned(), ..v1::WatchRequest::default() };
        self.ask_at(0, async |mut client| {
            let mut events = client.watch(request.clone()).await?.into_inner();
            let mut seen = Vec::new();
            while let Some(event) = events.message().await? {
                seen.push(superstep_wire::seen_of(event).unwrap());
            }
            Ok(seen)
        })
        .unwrap()
    }
}

/// Whether somebody else may answer, or the same one in a while: a connection that breaks in the middle is unknown.
fn may_pass(status: &tonic::Status) -> bool {
    use tonic::Code::{Cancelled, Unavailable, Unknown};

    matches!(status.code(), Unavailable | Unknown | Cancelled)
}

/// Asks again until what is said is not that one who is there cannot be reached.
async fn patiently<A>(ask: impl AsyncFn() -> Result<A, tonic::Status>) -> Result<A, tonic::Status> {
    let since = Instant::now();
    loop {
        match ask().await {
            Err(status) if since.elapsed() < PATIENCE && may_pass(&status) => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            said => return said,
        }
    }
}

/// A client of the worker at an address, for the runtime that is entered.
fn runs_at(address: &str) -> RunsClient<Channel> {
    Channels::new(Security::Plaintext).runs(address).unwrap()
}

fn document(name: &str) -> Vec<String> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/graphs").join(name);
    vec![std::fs::read_to_string(path).unwrap()]
}

/// The same run on one machine: how it ends, and what it tells.
fn alone(documents: &[String], input: &Value) -> (RunStatus, Value, Vec<Notice>) {
    let runtime = Runtime::new().unwrap();
    let store = Store::memory();
    let loader = Loader::new(store.clone());
    runtime.block_on(async {
        let request = v1::SubmitRequest {
            documents: documents.to_vec(),
            input: serde_json::to_vec(input).unwrap().into(),
            ..v1::SubmitRequest::default()
        };
        let new = loader.new_run("alone".parse().unwrap(), request).await.unwrap();
        let probe: Store<Record> = Store::memory();
        tokio::task::block_in_place(|| superstep_runtime::record_run(&probe, new.clone(), "alone").unwrap());
        let (begun, _) = superstep_runtime::read_run(&probe, &new.name).unwrap();
        let programs = loader.programs(&new.name, &begun).await.unwrap();
        let heard = Arc::new(Heard::default());
        let setup = Setup {
            programs,
            observers: vec![Arc::clone(&heard) as _],
            owner: "alone".to_owned(),
            leave_when_paused: false,
        };
        let end = Run::create(setup, &store, new).unwrap().drive().await.unwrap().unwrap();
        let notices = std::mem::take(&mut *heard.0.lock().unwrap());
        (end.status, end.outputs.value().clone(), notices)
    })
}

#[derive(Default)]
struct Heard(std::sync::Mutex<Vec<Notice>>);

impl superstep_runtime::Observer for Heard {
    fn notice(&self, notice: &Notice) {
        self.0.lock().unwrap().push(notice.clone());
    }
}

/// What tells two courses of a run apart, whatever the order within a superstep and however long things take.
fn course<'a>(notices: impl Iterator<Item = &'a Notice>) -> Vec<String> {
    let mut lines = Vec::new();
    let mut superstep = Vec::new();
    for notice in notices {
        match notice {
            Notice::Resumed { .. } => continue,
            Notice::Ended { status, .. } => superstep.push(format!("{status:?}")),
            Notice::Committed { superstep: number, completed, revision } => {
                superstep.sort();
                lines.append(&mut superstep);
                lines.push(format!("superstep {number}: {completed} completed, revision {revision}"));
            }
            Notice::SuperstepStarted { .. }
            | Notice::Started { .. }
            | Notice::Opened { .. }
            | Notice::Called(_)
            | Notice::Retrying { .. }
            | Notice::Asked { .. }
            | Notice::Completed { .. }
            | Notice::Cancelled { .. }
            | Notice::JoinIncomplete { .. }
            | Notice::Settled { .. }
            | Notice::Mutated { .. }
            | Notice::Paused
            | Notice::Suspended => superstep.push(format!("{notice:?}")),
        }
    }
    superstep.sort();
    lines.append(&mut superstep);
    lines
}

fn notices(seen: &[Seen]) -> impl Iterator<Item = &Notice> {
    seen.iter().filter_map(|seen| match seen {
        Seen::Happened(happened) => match &happened.what {
            Happening::Notice(notice) => Some(notice),
            Happening::Taken { .. } | Happening::Answered { .. } | Happening::Patched { .. } => None,
        },
        Seen::Text { .. } | Seen::Missed { .. } | Seen::Driven(_) => None,
    })
}

fn lines_of(path: &std::path::Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// A graph whose 24 vertices each run a command, which notes its key at its beginning and its end.
fn working(ledger: &std::path::Path, seconds: &str) -> Vec<String> {
    working_by(ledger, &format!("sleep {seconds}"), 10_000)
}

/// The same, within a budget of so many calls, and none ends before [`let_go`].
fn held(ledger: &std::path::Path, calls: usize) -> Vec<String> {
    let folder = ledger.parent().unwrap().display();
    let waits = format!("while [ -d {folder} ] && [ ! -e {}.go ]; do sleep 0.05; done", ledger.display());
    working_by(ledger, &waits, calls)
}

/// Lets the commands of [`held`] end.
fn let_go(ledger: &std::path::Path) {
    std::fs::write(ledger.with_extension("go"), "").unwrap();
}

/// How many commands were begun again.
fn again(ledger: &std::path::Path) -> usize {
    counts(ledger).values().filter(|(begun, _)| *begun > 1).count()
}

fn working_by(ledger: &std::path::Path, work: &str, calls: usize) -> Vec<String> {
    let script = format!(
        "echo \"$SUPERSTEP_IDEMPOTENCY_KEY begin\" >> {0}; {work}; \
         echo \"$SUPERSTEP_IDEMPOTENCY_KEY end\" >> {0}; echo '{{\"done\": true}}'",
        ledger.display()
    );
    let worker = |number: usize| {
        json!({
            "name": format!("work{number}"),
            "function": {"command": {"argv": ["sh", "-c", script], "timeout": "10m"}},
            "onUnknown": "Retry",
        })
    };
    let mut vertices: Vec<Value> = (0..24).map(worker).collect();
    let edges: Vec<Value> =
        (0..24).map(|number| json!({"from": format!("work{number}"), "to": "all"})).collect();
    vertices.push(json!({
        "name": "all",
        "join": {"mode": "All"},
        "function": {"cel": "messages.size()"},
    }));
    let entry: Vec<String> = (0..24).map(|number| format!("work{number}")).collect();
    let graph = json!({
        "apiVersion": "superstep.dev/v1alpha1",
        "kind": "AgentGraph",
        "metadata": {"name": "working"},
        "spec": {
            "entry": entry,
            "vertices": vertices,
            "edges": edges,
            "outputs": [{"vertex": "all"}],
            "limits": {"calls": calls},
        },
    });
    vec![graph.to_string()]
}

/// How many of the vertices of [`working`] a worker has of a group of these.
fn share_of(lost: &str, names: &[&str]) -> usize {
    let home = |name: &&str| Home { name: (*name).to_owned(), labels: BTreeSet::new() };
    let homes = Homes::new(names.iter().map(home).collect(), std::collections::BTreeMap::new());
    let at = names.iter().position(|name| *name == lost).unwrap();
    (0..24).filter(|number| homes.of(&format!("work{number}").as_str().into()).0 as usize == at).count()
}

/// How often each key began and ended.
fn counts(ledger: &std::path::Path) -> std::collections::BTreeMap<String, (u32, u32)> {
    let mut counts = std::collections::BTreeMap::new();
    for line in lines_of(ledger) {
        let (key, what) = line.split_once(' ').unwrap();
        let (begun, ended) = counts.entry(key.to_owned()).or_insert((0, 0));
        if what == "begin" { *begun += 1 } else { *ended += 1 }
    }
    counts
}

#[test]
fn a_run_on_three_workers_comes_to_what_it_comes_to_alone() {
    let group = Group::new(&["a", "b", "c"]);
    group.complete(3);
    let documents = document("mixed.yaml");
    let input = json!({"texts": ["one", "two", "three", "four"]});
    let (status, outputs, told) = alone(&documents, &input);
    assert_eq!(status, RunStatus::Succeeded);
    group.submit("mixed", &documents, &input);
    assert_eq!(group.end("mixed"), (status, outputs));
    let seen = group.watched("mixed");
    assert_eq!(course(notices(&seen)), course(told.iter()));
}

/// Lists and texts of 200 KB go to vertices that the partition looks into, to one that keeps them, and to one that a
/// mutation makes such a vertex while they wait for its join.
#[test]
fn long_messages_are_folded_listed_and_handed_to_sub_graphs_as_short_ones_are() {
    let inner = json!({
        "apiVersion": "superstep.dev/v1alpha1",
        "kind": "AgentGraph",
        "metadata": {"name": "inner"},
        "spec": {"entry": ["first"], "vertices": [{"name": "first", "function": {"cel": "size(input)"}}]},
    });
    let function = |name: &str, cel: &str| json!({"name": name, "function": {"cel": cel}});
    let mut each = function("each", "size(element)");
    each["forEach"] = json!({});
    let mut folded = function("folded", "message.map(one, size(one))");
    folded["combiner"] = json!("Append");
    let mut late = function("late", "messages.map(one, size(one.payload))");
    late["join"] = json!({"mode": "All"});
    let mut changes = function("changes", "message");
    changes["effects"] =
        json!({"mutations": "[{'set': {'vertex': 'late', 'field': 'combiner', 'value': 'Append'}}]"});
    let mut all = function("all", "[from.each, from.folded, from.opens, from.kept, from.late]");
    all["join"] = json!({"mode": "All"});
    let edge = |from: &str, to: &str| json!({"from": from, "to": to});
    let graph = json!({
        "apiVersion": "superstep.dev/v1alpha1",
        "kind": "AgentGraph",
        "metadata": {"name": "looked"},
        "spec": {
            "entry": ["list", "text", "slow"],
            "mutations": {"allow": ["set"]},
            "vertices": [
                function("list", "[input, input]"), function("text", "input"), function("slow", "superstep"),
                function("slower", "message"), each, folded,
                {"name": "opens", "graph": {"ref": {"name": "inner"}}},
                function("kept", "size(from.text)"), late, changes, all,
            ],
            "edges": [
                edge("list", "each"), edge("text", "folded"), edge("text", "opens"),
                {"from": "text", "to": "kept", "delivery": "Passive"}, edge("slow", "slower"),
                edge("slower", "kept"), edge("text", "late"), edge("slow", "changes"), edge("slower", "late"),
                edge("each", "all"), edge("folded", "all"), edge("opens", "all"), edge("kept", "all"),
                edge("late", "all"),
            ],
            "outputs": [{"vertex": "all"}],
            "limits": {"mutations": 4},
        },
    });
    let documents = [graph.to_string(), inner.to_string()];
    let input = Value::from("0123456789abcdef".repeat(100_000 / 8));
    let (status, outputs, told) = alone(&documents, &input);
    assert_eq!(status, RunStatus::Succeeded, "{outputs}");
    let group = Group::new(&["a", "b", "c"]);
    group.complete(3);
    group.submit("looked", &documents, &input);
    assert_eq!(group.end("looked"), (status, outputs));
    assert_eq!(course(notices(&group.watched("looked"))), course(told.iter()));
}

/// Texts of 4 MB from twelve vertices meet at one, whose result of 48 MB goes to another: every message is longer than
/// what travels itself, and what workers and leader say of it is longer than what is sent at once.
#[test]
fn long_messages_reach_their_vertices() {
    let group = Group::new(&["a", "b", "c"]);
    group.complete(3);
    let names: Vec<String> = (0..12).map(|number| format!("part{number}")).collect();
    let mut vertices: Vec<Value> =
        names.iter().map(|name| json!({"name": name, "function": {"cel": "input"}})).collect();
    let sizes = ["size0", "size1", "size2", "size3"];
    vertices.push(json!({"name": "all", "join": {"mode": "All"}, "function": {"cel": "messages"}}));
    let size =
        |name: &&str| json!({"name": name, "function": {"cel": "message.map(one, one.payload.size())"}});
    vertices.extend(sizes.iter().map(size));
    let into = names.iter().map(|name| json!({"from": name, "to": "all"}));
    let out = sizes.iter().map(|name| json!({"from": "all", "to": name}));
    let graph = json!({
        "apiVersion": "superstep.dev/v1alpha1",
        "kind": "AgentGraph",
        "metadata": {"name": "long"},
        "spec": {
            "entry": names,
            "vertices": vertices,
            "edges": into.chain(out).collect::<Vec<_>>(),
            "outputs": sizes.iter().map(|name| json!({"vertex": name})).collect::<Vec<_>>(),
        },
    });
    let text = "0123456789abcdef".repeat(1 << 18);
    group.submit("long", &[graph.to_string()], &Value::from(text));
    let size = json!(vec![4 << 20; 12]);
    let outputs: serde_json::Map<String, Value> =
        sizes.iter().map(|name| ((*name).to_owned(), size.clone())).collect();
    assert_eq!(group.end("long"), (RunStatus::Succeeded, Value::Object(outputs)));
}

#[test]
fn messages_go_by_the_leader_where_a_worker_cannot_be_reached() {
    let mut group = Group::new(&["a", "c"]);
    group.complete(2);
    // It reaches the leader, and nobody reaches it.
    group.start_at("b", &[], Some("http://127.0.0.1:1"));
    group.complete(3);
    let documents = document("mixed.yaml");
    let input = json!({"texts": ["one", "two", "three", "four"]});
    let (status, outputs, told) = alone(&documents, &input);
    group.submit("mixed", &documents, &input);
    assert_eq!(group.end("mixed"), (status, outputs));
    assert_eq!(course(notices(&group.watched("mixed"))), course(told.iter()));
    let unreached = group.cluster().workers.into_iter().find(|worker| worker.name == "b").unwrap();
    assert_eq!(unreached.address, "http://127.0.0.1:1");
}

#[test]
fn a_lost_worker_costs_only_what_it_had_in_flight() {
    let mut group = Group::new(&["a", "b", "c"]);
    group.complete(3);
    let ledger = group.folder.path().join("ledger");
    group.submit("working", &held(&ledger, 10_000), &Value::Null);
    until("all have begun", || counts(&ledger).len() == 24);
    let leader = group.leader();
    let lost = ["a", "b", "c"].into_iter().find(|name| *name != leader).unwrap();
    let share = share_of(lost, &["a", "b", "c"]);
    group.kill(lost);
    until("what is lost is begun again", || again(&ledger) >= share);
    let_go(&ledger);
    assert_eq!(group.end("working"), (RunStatus::Succeeded, json!({"all": 24})));
    let (counts, again) = (counts(&ledger), again(&ledger));
    assert_eq!(counts.len(), 24, "each call has one key");
    assert!(share > 0 && again == share, "{again} were begun again, and not {share}: {counts:?}");
    assert!(counts.values().all(|(begun, ended)| *begun <= 2 && *ended >= 1), "{counts:?}");
}

#[test]
fn a_lost_leader_costs_nothing_that_others_execute() {
    let mut group = Group::new(&["a", "b", "c"]);
    group.complete(3);
    let ledger = group.folder.path().join("ledger");
    // What is lost is paid for twice, and what goes on once.
    let names = ["a", "b", "c"];
    let most = names.into_iter().map(|name| share_of(name, &names)).max().unwrap();
    group.submit("working", &held(&ledger, 24 + most), &Value::Null);
    until("all have begun", || counts(&ledger).len() == 24);
    let leader = group.leader();
    let share = share_of(&leader, &names);
    group.kill(&leader);
    until("what is lost is begun again", || again(&ledger) >= share);
    let_go(&ledger);
    assert_eq!(group.end("working"), (RunStatus::Succeeded, json!({"all": 24})));
    let (counts, again) = (counts(&ledger), again(&ledger));
    assert!(share > 0 && again == share, "{again} were begun again, and not {share}: {counts:?}");
    assert!(counts.values().all(|(begun, ended)| *begun <= 2 && *ended >= 1), "{counts:?}");
}

#[test]
fn a_worker_that_leaves_makes_nothing_be_done_again() {
    let mut group = Group::new(&["a", "b", "c"]);
    group.complete(3);
    let ledger = group.folder.path().join("ledger");
    let documents = working(&ledger, "0.5");
    group.submit("working", &documents, &Value::Null);
    until("all have begun", || counts(&ledger).len() == 24);
    group.drain("b");
    assert_eq!(group.end("working"), (RunStatus::Succeeded, json!({"all": 24})));
    assert!(counts(&ledger).values().all(|counts| *counts == (1, 1)));
    group.complete(2);
}

/// Vertices in a ring that each take a while and send to the next one, for longer than anybody waits: nothing of it has to
/// be judged between two supersteps.
fn ring() -> String {
    let name = |at: usize| format!("v{}", at % 6);
    let vertex =
        |at| json!({"name": name(at), "function": {"command": {"argv": ["sh", "-c", "sleep 0.1; echo 1"]}}});
    json!({
        "apiVersion": "superstep.dev/v1alpha1",
        "kind": "AgentGraph",
        "metadata": {"name": "ring"},
        "spec": {
            "entry": (0..6).map(name).collect::<Vec<_>>(),
            "vertices": (0..6).map(vertex).collect::<Vec<_>>(),
            "edges": (0..6).map(|at| json!({"from": name(at), "to": name(at + 1)})).collect::<Vec<_>>(),
            "limits": {"supersteps": 100_000, "activations": 1_000_000, "calls": 1_000_000},
        },
    })
    .to_string()
}

#[test]
fn a_worker_leaves_while_nothing_has_to_be_judged() {
    let mut group = Group::new(&["a", "b", "c"]);
    group.complete(3);
    group.submit("ring", &[ring()], &Value::Null);
    let goes_on_from = |group: &Group| {
        let from = group.get("ring").superstep;
        until("the run goes on", || group.get("ring").superstep >= from + 3);
    };
    goes_on_from(&group);
    let leaves = if group.leader() == "b" { "c" } else { "b" };
    let before = group.get("ring").epoch;
    group.drain(leaves);
    // Who has left is gone when the new term is about to begin.
    until("others have it", || {
        let found = group.get("ring");
        assert_ne!(found.phase(), v1::RunPhase::Ended);
        found.phase() == v1::RunPhase::Running && found.epoch > before
    });
    goes_on_from(&group);
    let cancel = v1::CancelRequest { run: "ring".to_owned() };
    group.ask(async |mut client| Ok(client.cancel(cancel.clone()).await?.into_inner().status));
    assert_eq!(group.end("ring").0, RunStatus::Cancelled);
}

#[test]
fn a_leader_that_leaves_makes_nothing_be_done_again() {
    let mut group = Group::new(&["a", "b", "c"]);
    group.complete(3);
    let ledger = group.folder.path().join("ledger");
    group.submit("working", &working(&ledger, "1"), &Value::Null);
    until("all have begun", || counts(&ledger).len() == 24);
    let leader = group.leader();
    group.drain(&leader);
    assert_eq!(group.end("working"), (RunStatus::Succeeded, json!({"all": 24})));
    assert!(counts(&ledger).values().all(|counts| *counts == (1, 1)), "{:?}", counts(&ledger));
}

#[test]
fn runs_go_on_and_begin_while_nobody_can_look_at_the_lease() {
    let group = Group::new(&["a", "b", "c"]);
    group.complete(3);
    let leader = group.leader();
    let (before, during) = (group.folder.path().join("before"), group.folder.path().join("during"));
    group.submit("before", &working(&before, "1"), &Value::Null);
    let (election, away) = (group.folder.path().join("election"), group.folder.path().join("away"));
    std::fs::rename(&election, &away).unwrap();
    // Longer than a lease lasts.
    std::thread::sleep(quick().lasts + Duration::from_secs(2));
    group.submit("during", &working(&during, "0.1"), &Value::Null);
    for (run, ledger) in [("before", &before), ("during", &during)] {
        assert_eq!(group.end(run), (RunStatus::Succeeded, json!({"all": 24})));
        let counts = counts(ledger);
        assert!(counts.len() == 24 && counts.values().all(|counts| *counts == (1, 1)), "{counts:?}");
    }
    std::fs::rename(&away, &election).unwrap();
    std::thread::sleep(quick().lasts + Duration::from_secs(2));
    assert_eq!(group.leader(), leader);
    let taken = |run: &str| {
        let records = group.store.read_only(&run.parse().unwrap()).unwrap().records;
        records.iter().filter(|record| matches!(record, Record::EpochTaken { .. })).count()
    };
    assert_eq!((taken("before"), taken("during")), (1, 1));
}

#[test]
fn a_question_outlives_its_leader_and_its_worker() {
    let mut group = Group::new(&["a", "b", "c"]);
    group.complete(3);
    let graph = json!({
        "apiVersion": "superstep.dev/v1alpha1",
        "kind": "AgentGraph",
        "metadata": {"name": "asking"},
        "spec": {
            "entry": ["ask"],
            "vertices": [
                {"name": "ask", "human": {"prompt": "Go on?"}},
                {"name": "after", "function": {"cel": "message"}},
            ],
            "edges": [{"from": "ask", "to": "after"}],
            "outputs": [{"vertex": "after"}],
        },
    });
    group.submit("asking", &[graph.to_string()], &Value::Null);
    let leader = group.leader();
    until("it asks", || !group.get("asking").questions.is_empty());
    group.kill(&leader);
    let lost = group.workers[0].name.clone();
    until("another one leads", || {
        !group.get("asking").questions.is_empty() && group.cluster().leader != leader
    });
    group.start("d");
    group.kill(&lost);
    group.complete(2);
    let answer = v1::AnswerRequest {
        run: "asking".to_owned(),
        answer: serde_json::to_vec(&json!({"yes": true})).unwrap().into(),
        ..v1::AnswerRequest::default()
    };
    group.ask(async |mut client| Ok(client.answer(answer.clone()).await?.into_inner()));
    assert_eq!(group.end("asking"), (RunStatus::Succeeded, json!({"after": {"yes": true}})));
}

#[test]
fn a_vertex_waits_for_a_worker_that_has_what_it_requires() {
    let mut group = Group::new(&["a", "b"]);
    group.complete(2);
    let graph = json!({
        "apiVersion": "superstep.dev/v1alpha1",
        "kind": "AgentGraph",
        "metadata": {"name": "picky"},
        "spec": {
            "entry": ["picky"],
            "vertices": [{"name": "picky", "function": {"cel": "1 + 1"}, "requires": ["gpu"]}],
        },
    });
    group.submit("picky", &[graph.to_string()], &Value::Null);
    until("it waits for who has it", || group.get("picky").waits_for.contains("gpu"));
    group.start_with("c", &["gpu"]);
    assert_eq!(group.end("picky"), (RunStatus::Succeeded, json!({"picky": 2})));
}

#[test]
fn all_can_leave_at_once_and_the_run_goes_on_with_those_who_come() {
    let mut group = Group::new(&["a", "b", "c"]);
    group.complete(3);
    let ledger = group.folder.path().join("ledger");
    group.submit("working", &working(&ledger, "0.5"), &Value::Null);
    until("all have begun", || counts(&ledger).len() == 24);
    let workers = std::mem::take(&mut group.workers);
    std::thread::scope(|scope| {
        for mut worker in workers {
            scope.spawn(move || {
                worker.runtime.block_on(worker.node.take().unwrap().leave());
                worker.runtime.shutdown_background();
            });
        }
    });
    group.start("d");
    assert_eq!(group.end("working"), (RunStatus::Succeeded, json!({"all": 24})));
    assert!(counts(&ledger).values().all(|counts| *counts == (1, 1)), "{:?}", counts(&ledger));
}
