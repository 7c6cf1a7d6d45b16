//! The trace of a run on several workers is the trace of the same run in one process.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "../../telemetry/tests/collector.rs"]
#[expect(dead_code, reason = "the tests of traces in one process use more of it")]
mod collector;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::trace::v1::{Span, span::Event};
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use serde_json::{Value, json};
use superstep_engine::{Payload, Record, RunStarted};
use superstep_leases::{FileLease, Pace};
use superstep_proto::v1;
use superstep_proto::v1::runs_client::RunsClient;
use superstep_runtime::{Run, RunPhase, Setup, is_left, list_runs};
use superstep_store::{ObjectPlace, RunName, Store};
use superstep_telemetry::{TraceOptions, Traces};
use superstep_transport::Security;
use superstep_worker::{Channels, Loader, MemberFolder, Node, NodeConfig, Provisions as _, Surroundings};
use tokio::runtime::Runtime;
use tonic::transport::Channel;

use collector::{Collector, Trace, number, text};

const BOUND: Duration = Duration::from_secs(60);
/// Whoever is silent for so long is lost. On a busy machine one who lives may say nothing for some seconds.
const LOST: Duration = Duration::from_secs(12);
const NAMES: [&str; 3] = ["a", "b", "c"];

/// One worker, with everything that dies with it.
struct Worker {
    name: String,
    address: String,
    runtime: Runtime,
    node: Node,
}

/// Workers that share a store and a collector.
struct Group {
    folder: tempfile::TempDir,
    store: Store<Record>,
    workers: Vec<Worker>,
    client: Runtime,
    collector: Collector,
    traces: Vec<Arc<Traces>>,
}

impl Group {
    /// Workers of these names, each with traces or without.
    fn new(workers: &[(&str, bool)]) -> Self {
        Self::of(Store::memory(), workers)
    }

    /// As [`new`](Self::new), over a store that is there.
    fn of(store: Store<Record>, workers: &[(&str, bool)]) -> Self {
        log_lines();
        let client = Runtime::new().unwrap();
        let collector = client.block_on(Collector::start());
        let folder = tempfile::tempdir().unwrap();
        let mut group = Self { folder, store, workers: Vec::new(), client, collector, traces: Vec::new() };
        workers.iter().for_each(|(name, traced)| group.start(name, *traced));
        group.wait(|group| group.cluster().is_some_and(|cluster| cluster.workers.len() == workers.len()));
        group
    }

    fn start(&mut self, name: &str, traced: bool) {
        let runtime = Runtime::new().unwrap();
        let traces = traced.then(|| {
            let options = TraceOptions { endpoint: Some(self.collector.address.clone()), content: false };
            Arc::new(Traces::start_as(&options, name).unwrap())
        });
        self.traces.extend(traces.clone());
        let around = Surroundings {
            store: self.store.clone(),
            leases: Arc::new(FileLease::new(self.folder.path().join("leader"))),
            discovery: Arc::new(MemberFolder::new(self.folder.path().join("members")).unwrap()),
            provisions: Arc::new(Loader::new(self.store.clone())),
            traces,
        };
        let config = NodeConfig {
            name: name.to_owned(),
            listen: "127.0.0.1:0".parse().unwrap(),
            address: None,
            labels: BTreeSet::new(),
            pace: Pace {
                lasts: Duration::from_secs(8),
                gives_up: Duration::from_secs(6),
                looks: Duration::from_millis(100),
            },
            security: Security::Plaintext,
        };
        let node = runtime.block_on(Node::start_patient(config, around, LOST)).unwrap();
        let (name, address) = (name.to_owned(), node.address().to_owned());
        self.workers.push(Worker { name, address, runtime, node });
    }

    /// Kills a worker: nothing of it runs on. What it has sent before is not lost.
    fn kill(&mut self, name: &str) {
        let at = self.workers.iter().position(|worker| worker.name == name).unwrap();
        self.workers.remove(at).runtime.shutdown_timeout(LOST);
    }

    fn wait(&self, is: impl Fn(&Self) -> bool) {
        for _ in 0..2_400 {
            if is(self) {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("it does not come to that: {:?}", self.cluster());
    }

    /// The answer of any worker, if one can give it.
    fn ask<A>(&self, ask: impl AsyncFn(RunsClient<Channel>) -> Result<A, tonic::Status>) -> Option<A> {
        let _inside = self.client.enter();
        self.workers.iter().find_map(|worker| {
            let runs = Channels::new(Security::Plaintext).runs(&worker.address).unwrap();
            self.client.block_on(ask(runs)).ok()
        })
    }

    fn cluster(&self) -> Option<v1::ClusterResponse> {
        self.ask(async |mut client| Ok(client.cluster(v1::ClusterRequest {}).await?.into_inner()))
    }

    fn submit(&self, run: &str, documents: &[String]) {
        let request = v1::SubmitRequest {
            run: run.to_owned(),
            documents: documents.to_vec(),
            ..v1::SubmitRequest::default()
        };
        self.wait(|group| group.ask(async |mut client| client.submit(request.clone()).await).is_some());
    }

    /// Waits for the end of a run, which succeeds.
    fn end(&self, run: &str) {
        let request = v1::GetRequest { run: run.to_owned() };
        self.wait(|group| {
            let found = group.ask(async |mut client| client.get(request.clone()).await);
            let found = found.and_then(|found| found.into_inner().run);
            let Some(found) = found.filter(|found| found.phase() == v1::RunPhase::Ended) else {
                return false;
            };
            let status = superstep_wire::status_of(found.status).unwrap();
            assert_eq!(status, superstep_engine::RunStatus::Succeeded);
            true
        });
    }

    /// Everything that was sent. The workers end with it.
    fn spans(mut self) -> Vec<Span> {
        self.wait(|group| group.workers.iter().all(|worker| is_idle(&worker.node)));
        self.workers.drain(..).for_each(|worker| worker.runtime.shutdown_background());
        self.traces.iter().for_each(|traces| traces.finish(BOUND));
        self.collector.spans()
    }
}

/// Whether a worker has nothing of any run. It has told then what traces have of it.
fn is_idle(node: &Node) -> bool {
    let (mut registry, mut text) = (Registry::default(), String::new());
    registry.register_collector(Box::new(node.vitals()));
    encode(&mut text, &registry).unwrap();
    ["runs_led 0\n", "partitions 0\n"].iter().all(|line| text.contains(line))
}

fn document(name: &str) -> Vec<String> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/graphs").join(name);
    vec![std::fs::read_to_string(path).unwrap()]
}

/// The trace of the same run in one process, whose second is that of the run in `store`.
fn alone(run: &str, documents: &[String], store: &Store<Record>) -> Trace {
    let runtime = Runtime::new().unwrap();
    let started = superstep_runtime::read_run(store, &run.parse().unwrap()).unwrap().0;
    runtime.block_on(async {
        let collector = Collector::start().await;
        let options = TraceOptions { endpoint: Some(collector.address.clone()), content: false };
        let traces = Traces::start(&options).unwrap();
        let store = Store::memory();
        let loader = Loader::new(store.clone());
        let request = v1::SubmitRequest { documents: documents.to_vec(), ..v1::SubmitRequest::default() };
        let mut new = loader.new_run(run.parse().unwrap(), request).await.unwrap();
        new.started_at = started.started_at;
        let programs = loader.programs(&new.name, &started).await.unwrap();
        let setup = Setup {
            programs,
            observers: vec![traces.of_new(&new)],
            owner: "alone".to_owned(),
            leave_when_paused: false,
        };
        Run::create(setup, &store, new).unwrap().drive().await.unwrap().unwrap();
        tokio::task::spawn_blocking(move || traces.finish(BOUND)).await.unwrap();
        collector.trace()
    })
}

fn attributes(attributes: &[KeyValue], without: &[&str]) -> BTreeSet<String> {
    let kept = attributes.iter().filter(|attribute| !without.contains(&attribute.key.as_str()));
    let said = |attribute: &KeyValue| match attribute.value.as_ref().and_then(|value| value.value.as_ref()) {
        // The order of a sum is not that of another process.
        Some(any_value::Value::DoubleValue(number)) => format!("{} {number:.12}", attribute.key),
        value => format!("{} {value:?}", attribute.key),
    };
    kept.map(said).collect()
}

fn events<'a>(spans: impl Iterator<Item = &'a Span>, is: impl Fn(&Event) -> bool) -> Vec<String> {
    let events = spans.flat_map(|span| &span.events).filter(|event| is(event));
    let mut said: Vec<String> =
        events.map(|event| format!("{} {:?}", event.name, attributes(&event.attributes, &[]))).collect();
    said.sort();
    said
}

fn is_message(event: &Event) -> bool {
    event.name == "superstep.message"
}

/// All that a span says but for times, who sends it, and the messages that it tells of.
fn said(span: &Span) -> String {
    let mut links: Vec<String> = span
        .links
        .iter()
        .map(|link| format!("{:?} {:?} {:?}", link.trace_id, link.span_id, attributes(&link.attributes, &[])))
        .collect();
    links.sort();
    let attributes = attributes(&span.attributes, &["superstep.worker", "superstep.resumed"]);
    let events = events(std::iter::once(span), |event| !is_message(event));
    let status = span.status.as_ref().map(|status| (status.code, status.message.clone()));
    format!(
        "{} {:?} of {:?} ({}): {attributes:#?}, events {events:#?}, links {links:#?}, {status:?}",
        span.name, span.span_id, span.parent_span_id, span.kind
    )
}

fn is_share(span: &Span) -> bool {
    span.name == "superstep worker"
}

fn is_resumed(span: &Span) -> bool {
    span.attributes.iter().any(|attribute| attribute.key == "superstep.resumed")
}

fn three() -> Vec<(&'static str, bool)> {
    NAMES.iter().map(|name| (*name, true)).collect()
}

#[test]
fn the_trace_of_a_run_on_three_workers_is_that_of_the_run_alone() {
    let group = Group::new(&three());
    let documents = document("traced.yaml");
    group.submit("traced", &documents);
    group.end("traced");
    let alone = alone("traced", &documents, &group.store);
    let together = Trace::of(group.spans());
    together.root();
    everything(&alone);
    let of_run: BTreeSet<String> = together.spans().filter(|span| !is_share(span)).map(said).collect();
    let expected: BTreeSet<String> = alone.spans().map(said).collect();
    let missing: Vec<&String> = expected.difference(&of_run).collect();
    let other: Vec<&String> = of_run.difference(&expected).collect();
    assert!(missing.is_empty() && other.is_empty(), "missing {missing:#?}, and instead {other:#?}");
    shares(&alone, &together);
}

/// The run has all that a trace can tell of.
fn everything(trace: &Trace) {
    let names = [
        "invoke_workflow traced",
        "invoke_workflow inner",
        "invoke_agent helper",
        "execute_tool weather",
        "prompt each",
        "prompt late",
        "router again",
        "function all",
        "chat scripted",
    ];
    names.iter().for_each(|name| assert!(trace.names().contains(name), "{name} in {:?}", trace.names()));
    let told: BTreeSet<&str> =
        trace.spans().flat_map(|span| span.events.iter().map(|event| event.name.as_str())).collect();
    let events = ["superstep.join_incomplete", "superstep.message", "superstep.mutation", "superstep.retry"];
    assert_eq!(told, BTreeSet::from(events));
    let status = |span: &Span| span.status.as_ref().is_some_and(|status| status.code == 2);
    let failed: BTreeSet<&str> =
        trace.spans().filter(|span| status(span)).map(|span| span.name.as_str()).collect();
    assert_eq!(failed, BTreeSet::from(["chat scripted", "function broken"]));
    for (status, least) in [("delivered", 10), ("filtered", 1), ("buffered", 1)] {
        let count = number(&trace.root().attributes, &format!("superstep.messages.{status}"));
        assert!(count.is_some_and(|count| count >= least), "{status}: {count:?}");
    }
}

/// What the workers say of their parts of supersteps adds up to what the run alone says of its supersteps.
fn shares(alone: &Trace, together: &Trace) {
    let supersteps: Vec<&Span> = together.named("superstep");
    let shares: Vec<&Span> = together.spans().filter(|span| is_share(span)).collect();
    for superstep in &supersteps {
        let own: Vec<&&Span> =
            shares.iter().filter(|share| share.parent_span_id == superstep.span_id).collect();
        let workers: Vec<String> =
            own.iter().filter_map(|share| text(&share.attributes, "superstep.worker")).collect();
        let workers: BTreeSet<&str> = workers.iter().map(String::as_str).collect();
        assert_eq!((own.len(), workers), (3, BTreeSet::from(NAMES)));
        for key in ["superstep.started", "superstep.carried_over", "superstep.completed"] {
            let sum: i64 = own.iter().filter_map(|share| number(&share.attributes, key)).sum();
            assert_eq!(Some(sum), number(&superstep.attributes, key), "{key}");
        }
        let here = number(&superstep.attributes, "superstep.number");
        let started = |span: &&&Span| {
            number(&span.attributes, "superstep.number") == here
                && text(&span.attributes, "superstep.activation").is_some()
        };
        let links: Vec<&Vec<u8>> = together
            .spans()
            .collect::<Vec<_>>()
            .iter()
            .filter(started)
            .flat_map(|span| span.links.iter().map(|link| &link.span_id))
            .collect();
        let taken: i64 =
            own.iter().filter_map(|share| number(&share.attributes, "superstep.messages.taken")).sum();
        assert_eq!(taken, i64::try_from(links.len()).unwrap());
        let linked: BTreeSet<&Vec<u8>> =
            own.iter().flat_map(|share| share.links.iter().map(|link| &link.span_id)).collect();
        assert_eq!(linked, links.into_iter().collect());
    }
    assert_eq!(shares.len(), supersteps.len() * 3);
    let of_supersteps = alone.named("superstep").into_iter();
    assert_eq!(events(shares.into_iter(), is_message), events(of_supersteps, is_message));
}

/// A graph whose 24 vertices each run a command, which notes when it begins, and ends when `{ledger}.go` is there.
fn working(ledger: &Path) -> Vec<String> {
    let script = format!(
        "echo begin >> {0}; while [ -d {1} ] && [ ! -e {0}.go ]; do sleep 0.05; done; echo '{{}}'",
        ledger.display(),
        ledger.parent().unwrap().display()
    );
    let worker = |number: usize| {
        json!({
            "name": format!("work{number}"),
            "function": {"command": {"argv": ["sh", "-c", script], "timeout": "10m"}},
            "onUnknown": "Retry",
        })
    };
    let names: Vec<String> = (0..24).map(|number| format!("work{number}")).collect();
    let mut vertices: Vec<Value> = (0..24).map(worker).collect();
    vertices.push(json!({"name": "all", "join": {"mode": "All"}, "function": {"cel": "messages.size()"}}));
    let edges: Vec<Value> = names.iter().map(|name| json!({"from": name, "to": "all"})).collect();
    let graph = json!({
        "apiVersion": "superstep.dev/v1alpha1",
        "kind": "AgentGraph",
        "metadata": {"name": "working"},
        "spec": {"entry": names, "vertices": vertices, "edges": edges, "outputs": [{"vertex": "all"}]},
    });
    vec![graph.to_string()]
}

/// Kills a worker, the leader or another, while the 24 commands are under way; the trace, and who was killed.
fn killed(leads: bool) -> (Trace, String) {
    let mut group = Group::new(&three());
    let ledger = group.folder.path().join("ledger");
    group.submit("working", &working(&ledger));
    group.wait(|_| std::fs::read_to_string(&ledger).is_ok_and(|text| text.lines().count() >= 24));
    let leader = group.cluster().unwrap().leader;
    let killed = NAMES.into_iter().find(|name| (*name == leader) == leads).unwrap();
    group.kill(killed);
    std::fs::write(ledger.with_extension("go"), "").unwrap();
    group.end("working");
    (Trace::of(group.spans()), killed.to_owned())
}

#[test]
fn whoever_is_lost_each_span_is_sent_once_and_by_who_sees_its_end() {
    for leads in [false, true] {
        let (trace, lost) = killed(leads);
        let root = trace.root();
        assert_eq!(text(&root.attributes, "superstep.run.status").unwrap(), "succeeded");
        let activations: Vec<&Span> =
            trace.spans().filter(|span| text(&span.attributes, "superstep.program").is_some()).collect();
        assert_eq!(activations.len(), 25);
        let by = |span: &Span| text(&span.attributes, "superstep.worker").unwrap();
        assert!(activations.iter().all(|span| by(span) != lost), "nothing of {lost} has ended");
        let resumed = activations.iter().filter(|span| is_resumed(span)).count();
        // What others have under way goes on, and what was lost is begun again.
        assert!((1..24).contains(&resumed), "{resumed} resumed");
        let calls: Vec<&Span> =
            trace.spans().filter(|span| number(&span.attributes, "superstep.attempt").is_some()).collect();
        assert_eq!(calls.len(), 24);
        let supersteps = trace.named("superstep");
        assert_eq!(supersteps.len(), 2);
        // The leader that was killed had begun the first.
        assert_eq!(supersteps.iter().filter(|span| is_resumed(span)).count(), usize::from(leads));
        let delivered = |span: &Span| number(&span.attributes, "superstep.messages.delivered");
        assert_eq!(delivered(root), Some(24));
        let counts: BTreeMap<Option<i64>, Option<i64>> = supersteps
            .iter()
            .map(|span| (number(&span.attributes, "superstep.number"), delivered(span)))
            .collect();
        assert_eq!(counts, BTreeMap::from([(Some(0), None), (Some(1), Some(24))]));
    }
}

/// A store that keeps notes, in which a run has ended whose leader was killed at that moment: nothing is noted of it.
/// What it began with is `changed` since.
fn left(folder: &Path, run: &str, changed: impl Fn(&mut RunStarted)) -> Store<Record> {
    let group = Group::new(&three());
    group.submit(run, &document("traced.yaml"));
    group.end(run);
    let name: RunName = run.parse().unwrap();
    let mut records = group.store.read_only(&name).unwrap().records;
    drop(group.spans());
    let Some(Record::RunStarted(started)) = records.first_mut() else { panic!("a log begins with its run") };
    changed(Arc::make_mut(started));
    let place: ObjectPlace = format!("file://{}", folder.display()).parse().unwrap();
    let store = Store::object(&place).unwrap();
    store.create(&name, "gone").unwrap().append(records).wait().unwrap();
    store
}

#[test]
fn the_span_of_a_run_whose_leader_was_killed_at_its_end_is_sent_once_by_who_leads_next() {
    let folder = tempfile::tempdir().unwrap();
    let store = left(folder.path(), "left", |_| {});
    let is_root = |span: &Span| text(&span.attributes, "superstep.run").as_deref() == Some("left");
    let group = Group::of(store.clone(), &three());
    group.wait(|group| group.collector.spans().iter().any(is_root));
    // What it wrote is not looked at again by who leads after it.
    let roots: Vec<Span> = group.spans().into_iter().filter(is_root).collect();
    let [root] = roots.as_slice() else { panic!("{roots:?}") };
    assert_eq!(text(&root.attributes, "superstep.run.status").as_deref(), Some("succeeded"));
    assert!(root.parent_span_id.is_empty());
    assert!(number(&root.attributes, "superstep.messages.delivered").is_some_and(|count| count >= 10));
    let next = Group::of(store, &three());
    next.submit("other", &document("traced.yaml"));
    next.end("other");
    assert!(!next.spans().iter().any(is_root));
}

#[test]
fn an_end_of_which_this_version_cannot_tell_is_seen_to_all_the_same_and_holds_nobody_up() {
    let folder = tempfile::tempdir().unwrap();
    let unknown = Payload::from_json("\"of another version\"").unwrap();
    let store = left(folder.path(), "left", |started| started.attachment = unknown.clone());
    let name: RunName = "left".parse().unwrap();
    let since = Instant::now();
    while !list_runs(&store).unwrap().iter().any(|run| run.name == name && run.left) {
        assert!(since.elapsed() < BOUND, "the run is not left");
        std::thread::sleep(Duration::from_millis(50));
    }
    let group = Group::of(store.clone(), &[("a", true)]);
    group.wait(|_| !is_left(&store, &name));
    let found = list_runs(&store).unwrap().into_iter().find(|run| run.name == name).unwrap();
    assert!(matches!(found.phase, RunPhase::Ended(_)) && found.supersteps > 0, "{found:?}");
    // Nobody leads it any more.
    group.spans();
}

#[test]
fn a_run_has_a_trace_if_its_leader_sends_one() {
    let mut group = Group::new(&[("a", false)]);
    group.start("b", true);
    group.wait(|group| group.cluster().is_some_and(|cluster| cluster.workers.len() == 2));
    assert_eq!(group.cluster().unwrap().leader, "a");
    group.submit("untraced", &document("traced.yaml"));
    group.end("untraced");
    assert_eq!(group.spans().len(), 0);
}

/// What all tests of this process log, as JSON.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// As `superstep-worker --log-json` writes them.
fn log_lines() -> &'static Lines {
    static LINES: OnceLock<Lines> = OnceLock::new();
    LINES.get_or_init(|| {
        let lines = Lines::default();
        let out = lines.clone();
        tracing_subscriber::fmt()
            .with_env_filter("superstep_worker=debug")
            .with_writer(move || out.clone())
            .json()
            .flatten_event(true)
            .init();
        lines
    })
}

#[test]
fn each_line_of_a_run_says_its_term_and_its_trace() {
    let group = Group::new(&three());
    group.submit("logged", &document("traced.yaml"));
    group.end("logged");
    let trace = Trace::of(group.spans());
    let id: String = trace.id().iter().map(|byte| format!("{byte:02x}")).collect();
    let lines = String::from_utf8(log_lines().0.lock().unwrap().clone()).unwrap();
    let lines = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let own: Vec<Value> = lines.filter(|line| line["span"]["run"] == "logged").collect();
    let said = |text: &str| own.iter().filter(|line| line["message"] == text).count();
    assert_eq!((said("a term begins"), said("a partition begins"), said("the run has ended")), (1, 3, 1));
    for line in own {
        assert_eq!((&line["span"]["epoch"], &line["span"]["trace_id"]), (&json!(1), &json!(id)), "{line}");
    }
}
