//! Groups of workers with certificates, and strangers at their doors.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use superstep_engine::{Record, RunStatus};
use superstep_leases::{FileLease, Pace};
use superstep_proto::v1;
use superstep_proto::v1::coordination_client::CoordinationClient;
use superstep_proto::v1::from_worker::Said;
use superstep_proto::v1::messages_client::MessagesClient;
use superstep_proto::v1::runs_client::RunsClient;
use superstep_store::Store;
use superstep_transport::{
    Authority, Connector, Credentials, Expected, Identity, Issued, Refusal, Security, Validity, channel,
};
use superstep_worker::{Loader, MemberFolder, Node, NodeConfig, NodeError, Surroundings};
use tokio::runtime::Runtime;
use tonic::transport::Channel;
use tonic::{Code, Status};

const LOOK: Duration = Duration::from_millis(50);
/// So long may anything take that a test waits for, on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(120);
/// Whoever is silent for so long is lost. On a busy machine one who lives may say nothing for some seconds.
const LOST: Duration = Duration::from_secs(12);

fn hour() -> Validity {
    Validity::lasting(Duration::from_secs(3_600))
}

fn worker(name: &str) -> Identity {
    Identity::worker("shop", "triage", name).unwrap()
}

fn client() -> Identity {
    Identity::client("shop", "gateway").unwrap()
}

struct Worker {
    address: String,
    node: Node,
    /// It ends with the worker.
    _runtime: Runtime,
}

/// Workers that share a store and an authority.
struct Group {
    folder: tempfile::TempDir,
    store: Store<Record>,
    authority: Authority,
    workers: Vec<Worker>,
    /// The client's.
    runtime: Runtime,
}

impl Group {
    fn new(names: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new("one").unwrap();
        let runtime = Runtime::new().unwrap();
        let mut group = Self { folder, store: Store::memory(), authority, workers: Vec::new(), runtime };
        for name in names {
            group.give(name, &group.authority.issue(&worker(name), hour()).unwrap());
            group.start(name);
        }
        group.give("client", &group.authority.issue(&client(), hour()).unwrap());
        group
    }

    fn tls(&self, name: &str) -> PathBuf {
        self.folder.path().join("tls").join(name)
    }

    fn give(&self, name: &str, issued: &Issued) {
        issued.write(&self.tls(name)).unwrap();
    }

    fn around(&self) -> Surroundings {
        Surroundings {
            store: self.store.clone(),
            leases: Arc::new(FileLease::new(self.folder.path().join("leader"))),
            discovery: Arc::new(MemberFolder::new(self.folder.path().join("members")).unwrap()),
            provisions: Arc::new(Loader::new(self.store.clone())),
            traces: None,
        }
    }

    fn start(&mut self, name: &str) {
        let runtime = Runtime::new().unwrap();
        let node = runtime.block_on(async {
            let credentials = Credentials::open(self.tls(name), LOOK).unwrap();
            let config = config(name, Security::Mutual(credentials));
            Node::start_patient(config, self.around(), LOST).await.unwrap()
        });
        self.workers.push(Worker { address: node.address().to_owned(), node, _runtime: runtime });
    }

    /// A connection of whoever has these certificates, and expects this group.
    fn channel(&self, name: &str, at: usize) -> Channel {
        let _inside = self.runtime.enter();
        let security = Security::Mutual(Credentials::open(self.tls(name), LOOK).unwrap());
        channel(&self.workers[at].address, &security, None).unwrap()
    }

    /// The same, of one who is not of this group and does not mind.
    fn channel_of_stranger(&self, name: &str, at: usize) -> Channel {
        let _inside = self.runtime.enter();
        let credentials = Credentials::open(self.tls(name), LOOK).unwrap();
        let endpoint = tonic::transport::Endpoint::from_shared(self.workers[at].address.clone()).unwrap();
        endpoint.connect_with_connector_lazy(Connector::new(credentials, Expected::by(&client())))
    }

    fn runs(&self, at: usize) -> RunsClient<Channel> {
        RunsClient::new(self.channel("client", at))
    }

    fn ask<A>(&self, ask: impl AsyncFn(RunsClient<Channel>) -> Result<A, Status>) -> A {
        let since = Instant::now();
        for at in (0..self.workers.len()).cycle() {
            match self.runtime.block_on(ask(self.runs(at))) {
                Ok(answer) => return answer,
                // Nobody leads yet.
                Err(status) if since.elapsed() < PATIENCE && may_pass(&status) => {
                    std::thread::sleep(Duration::from_millis(50));
                }
                Err(status) => panic!("{status}"),
            }
        }
        panic!("there are no workers")
    }

    /// Expects that whoever has these certificates is let in by a worker, once that is reached.
    fn lets_in(&self, name: &str, at: usize) {
        let since = Instant::now();
        while let Err(status) = self.runtime.block_on(list(self.channel(name, at))) {
            assert!(since.elapsed() < PATIENCE && may_pass(&status), "{status}");
            std::thread::sleep(LOOK);
        }
    }

    /// Expects that a worker refuses what comes over `channel`, with these words. On a busy machine a connection may take
    /// too long before, and is tried again: how often it was.
    fn refuses(&self, channel: impl Fn() -> Channel, words: &str) -> u64 {
        let since = Instant::now();
        for tries in 1.. {
            let status = self.runtime.block_on(list(channel())).unwrap_err();
            if status.message().contains(words) {
                return tries;
            }
            assert!(since.elapsed() < PATIENCE && may_pass(&status), "{words} in {status}");
            std::thread::sleep(LOOK);
        }
        unreachable!()
    }

    /// Waits until a refusal is counted, which may be a moment after whoever is refused knows: at least once, and at most as
    /// often as it was tried.
    fn counted(&self, refusal: Refusal, tries: u64) {
        until("the refusal is counted", || self.refused(refusal) >= 1);
        assert!(self.refused(refusal) <= tries, "{} of {tries}", self.refused(refusal));
    }

    fn cluster(&self) -> v1::ClusterResponse {
        self.ask(async |mut client| Ok(client.cluster(v1::ClusterRequest {}).await?.into_inner()))
    }

    fn complete(&self, count: usize) {
        until("the workers find each other", || self.cluster().workers.len() == count);
    }

    /// Which of the workers leads, and one that does not.
    fn leader_and_other(&self) -> (usize, usize) {
        let leader = self.cluster();
        let address = leader.workers.iter().find(|one| one.name == leader.leader).unwrap().address.clone();
        let at = self.workers.iter().position(|one| one.address == address).unwrap();
        (at, (at + 1) % self.workers.len())
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

    fn refused(&self, refusal: Refusal) -> u64 {
        self.workers.iter().map(|worker| worker.node.refusals().of(refusal)).sum()
    }

    /// All that were refused for what they are, and not because a busy machine was slow.
    fn all_refused(&self) -> u64 {
        let all: u64 = self.workers.iter().map(|worker| worker.node.refusals().total()).sum();
        all - self.refused(Refusal::Slow)
    }

    /// The number of the certificate that a worker shows to a caller who comes now.
    fn serial(&self, at: usize) -> String {
        self.runtime.block_on(async {
            let credentials = Credentials::open(self.tls("client"), LOOK).unwrap();
            let connector = Connector::new(credentials, Expected::by(&client()));
            let uri = self.workers[at].address.parse().unwrap();
            let since = Instant::now();
            loop {
                match connector.connect(&uri).await {
                    Ok(reached) => return reached.other().certified.as_ref().unwrap().serial.clone(),
                    Err(error) => assert!(since.elapsed() < PATIENCE, "{error}"),
                }
                tokio::time::sleep(LOOK).await;
            }
        })
    }

    /// Gives every worker another certificate, and waits until each shows it.
    fn replace(&self, names: &[&str], issue: impl Fn(&Identity) -> Issued) {
        let before: Vec<String> = (0..names.len()).map(|at| self.serial(at)).collect();
        for name in names {
            self.give(name, &issue(&worker(name)));
        }
        for (at, before) in before.iter().enumerate() {
            until("it shows the other certificate", || self.serial(at) != *before);
        }
    }
}

/// Looks again and again until something is so.
fn until(what: &str, mut so: impl FnMut() -> bool) {
    let since = Instant::now();
    while !so() {
        assert!(since.elapsed() < PATIENCE, "waited too long until {what}");
        std::thread::sleep(LOOK);
    }
}

/// Whether one who is there may not have been reached, as on a machine that is busy.
fn may_pass(status: &Status) -> bool {
    matches!(status.code(), Code::Unavailable | Code::Unknown | Code::Cancelled)
}

fn config(name: &str, security: Security) -> NodeConfig {
    NodeConfig {
        name: name.to_owned(),
        listen: "127.0.0.1:0".parse().unwrap(),
        address: None,
        labels: BTreeSet::new(),
        pace: Pace {
            lasts: Duration::from_secs(8),
            gives_up: Duration::from_secs(6),
            looks: Duration::from_millis(100),
        },
        security,
    }
}

/// A graph of so many vertices that each sleep and send to the one that counts them.
fn sleeping(count: usize, seconds: &str) -> Vec<String> {
    let script = format!("sleep {seconds}; echo '{{\"done\": true}}'");
    let vertex = |number: usize| {
        json!({
            "name": format!("work{number}"),
            "function": {"command": {"argv": ["sh", "-c", script]}},
            "onUnknown": "Retry",
        })
    };
    let mut vertices: Vec<Value> = (0..count).map(vertex).collect();
    let edge = |number: usize| json!({"from": format!("work{number}"), "to": "all"});
    let edges: Vec<Value> = (0..count).map(edge).collect();
    vertices.push(json!({"name": "all", "join": {"mode": "All"}, "function": {"cel": "messages.size()"}}));
    let entry: Vec<String> = (0..count).map(|number| format!("work{number}")).collect();
    let graph = json!({
        "apiVersion": "superstep.dev/v1alpha1",
        "kind": "AgentGraph",
        "metadata": {"name": "triage"},
        "spec": {"entry": entry, "vertices": vertices, "edges": edges, "outputs": [{"vertex": "all"}]},
    });
    vec![graph.to_string()]
}

async fn register(channel: Channel, name: &str) -> Result<(), Status> {
    let register = v1::Register { worker: name.to_owned(), ..v1::Register::default() };
    let first = v1::FromWorker { said: Some(Said::Register(register)) };
    CoordinationClient::new(channel).attend(tokio_stream::once(first)).await.map(drop)
}

async fn exchange(channel: Channel) -> Result<(), Status> {
    MessagesClient::new(channel).exchange(tokio_stream::once(v1::Batch::default())).await.map(drop)
}

async fn list(channel: Channel) -> Result<(), Status> {
    RunsClient::new(channel).list(v1::ListRequest::default()).await.map(drop)
}

#[test]
fn three_workers_with_certificates_run_a_graph() {
    let group = Group::new(&["a", "b", "c"]);
    group.complete(3);
    assert!(group.workers.iter().all(|worker| worker.address.starts_with("https://")));
    group.submit("triage", &sleeping(12, "0"), &Value::Null);
    assert_eq!(group.end("triage"), (RunStatus::Succeeded, json!({"all": 12})));
    assert_eq!(group.all_refused(), 0);
}

#[test]
fn who_is_of_another_graph_or_namespace_is_refused_by_every_service() {
    let group = Group::new(&["a", "b"]);
    group.complete(2);
    let (leader, _) = group.leader_and_other();
    let mut refused = 0;
    for identity in [
        Identity::worker("shop", "billing", "a").unwrap(),
        Identity::worker("other", "triage", "a").unwrap(),
        Identity::client("other", "gateway").unwrap(),
    ] {
        group.give("stranger", &group.authority.issue(&identity, hour()).unwrap());
        let channel = group.channel_of_stranger("stranger", leader);
        let answers = group.runtime.block_on(async {
            [register(channel.clone(), "a").await, exchange(channel.clone()).await, list(channel).await]
        });
        for answer in answers {
            let status = answer.unwrap_err();
            assert_eq!(status.code(), Code::PermissionDenied, "{status}");
            assert!(status.message().contains(&identity.to_string()), "{status}");
            assert!(status.message().contains("graph triage in namespace shop"), "{status}");
            refused += 1;
        }
        assert_eq!(group.refused(Refusal::Foreign), refused);
    }
    assert_eq!(group.all_refused(), refused);
    // By its own rules it does not even ask.
    let status = group.runtime.block_on(list(group.channel("stranger", leader))).unwrap_err();
    assert!(status.message().contains("and not a worker of namespace other"), "{status}");
    assert_eq!(group.cluster().callers_refused, refused);
}

#[test]
fn a_client_asks_about_runs_and_nothing_else() {
    let group = Group::new(&["a"]);
    group.complete(1);
    let channel = group.channel("client", 0);
    group.runtime.block_on(async {
        list(channel.clone()).await.unwrap();
        for answer in [register(channel.clone(), "gateway").await, exchange(channel).await] {
            assert_eq!(answer.unwrap_err().code(), Code::PermissionDenied);
        }
    });
    assert_eq!(group.refused(Refusal::Foreign), 2);
}

#[test]
fn a_worker_registers_under_its_own_name_only() {
    let group = Group::new(&["a"]);
    group.complete(1);
    group.give("b", &group.authority.issue(&worker("b"), hour()).unwrap());
    let channel = group.channel("b", 0);
    group.runtime.block_on(async {
        let status = register(channel.clone(), "a").await.unwrap_err();
        assert_eq!(status.code(), Code::PermissionDenied);
        assert!(status.message().contains("worker/b is not worker \"a\""), "{status}");
        register(channel, "b").await.unwrap();
    });
    assert_eq!(group.refused(Refusal::Foreign), 1);
}

#[test]
fn who_shows_no_good_certificate_does_not_come_in() {
    let group = Group::new(&["a"]);
    group.complete(1);
    let other = Authority::new("one").unwrap();
    group.give("b", &other.issue(&worker("b"), hour()).unwrap().trusting_also(&[&group.authority]));
    let tries = group.refuses(|| group.channel("b", 0), "not of an authority that is trusted there");
    group.counted(Refusal::Untrusted, tries);

    // It is still valid when it is opened, and not when it is shown; on a busy machine not the shortest ones.
    let opened = [5, 20, 80].into_iter().find_map(|seconds| {
        let short = Duration::from_secs(seconds);
        group.give("c", &group.authority.issue(&worker("c"), Validity::lasting(short)).unwrap());
        let _inside = group.runtime.enter();
        let credentials = Credentials::open(group.tls("c"), LOOK).ok()?;
        std::thread::sleep(short + Duration::from_secs(1));
        Some(Security::Mutual(credentials))
    });
    let opened = opened.unwrap();
    let expired = || {
        let _inside = group.runtime.enter();
        channel(&group.workers[0].address, &opened, None).unwrap()
    };
    let tries = group.refuses(expired, "has expired");
    group.counted(Refusal::Expired, tries);

    let plain = group.workers[0].address.replace("https://", "http://");
    until("it is counted", || {
        let plain = {
            let _inside = group.runtime.enter();
            channel_without(&plain)
        };
        group.runtime.block_on(list(plain)).unwrap_err();
        group.refused(Refusal::Plaintext) >= 1
    });
}

fn channel_without(address: &str) -> Channel {
    channel(address, &Security::Plaintext, None).unwrap()
}

#[test]
fn certificates_are_replaced_while_a_run_goes_on() {
    let names = ["a", "b", "c"];
    let group = Group::new(&names);
    group.complete(3);
    group.submit("triage", &sleeping(12, "4"), &Value::Null);
    // This connection lives through all of it.
    let mut events = {
        let request = v1::WatchRequest { run: "triage".to_owned(), ..v1::WatchRequest::default() };
        group.ask(async |mut client| Ok(client.watch(request.clone()).await?.into_inner()))
    };
    let mut serials = BTreeSet::new();
    for _ in 0..10 {
        group.replace(&names, |identity| group.authority.issue(identity, hour()).unwrap());
        serials.insert(group.serial(0));
        // Whoever comes is let in at once by each of them.
        for at in 0..names.len() {
            group.lets_in("client", at);
        }
        assert_eq!(group.cluster().workers.len(), 3);
    }
    assert_eq!(serials.len(), 10);
    let ended = group.runtime.block_on(async {
        let mut last = None;
        while let Some(event) = events.message().await.unwrap() {
            last = Some(event);
        }
        last
    });
    assert!(ended.is_some());
    assert_eq!(group.end("triage"), (RunStatus::Succeeded, json!({"all": 12})));
    assert_eq!(group.all_refused(), 0);
}

#[test]
fn an_authority_is_replaced_with_an_overlap() {
    let names = ["a", "b", "c"];
    let mut group = Group::new(&names);
    group.complete(3);
    let next = Authority::new("two").unwrap();
    let old = &group.authority;
    group.give("old", &old.issue(&client(), hour()).unwrap().trusting_also(&[&next]));
    group.replace(&names, |identity| old.issue(identity, hour()).unwrap().trusting_also(&[&next]));
    group.give("client", &next.issue(&client(), hour()).unwrap().trusting_also(&[old]));
    assert_eq!(group.cluster().workers.len(), 3);
    group.replace(&names, |identity| next.issue(identity, hour()).unwrap().trusting_also(&[old]));
    group.lets_in("old", 0);
    assert_eq!(group.all_refused(), 0);
    group.replace(&names, |identity| next.issue(identity, hour()).unwrap());
    group.give("client", &next.issue(&client(), hour()).unwrap());
    let tries = group.refuses(|| group.channel("old", 0), "not of an authority that is trusted there");
    group.counted(Refusal::Untrusted, tries);
    assert_eq!(group.all_refused(), group.refused(Refusal::Untrusted));
    // One that has never known the old authority works with the others.
    group.give("d", &next.issue(&worker("d"), hour()).unwrap());
    group.start("d");
    group.complete(4);
    group.submit("triage", &sleeping(12, "0"), &Value::Null);
    assert_eq!(group.end("triage"), (RunStatus::Succeeded, json!({"all": 12})));
}

#[test]
fn a_worker_is_who_its_certificate_names_and_is_reached_as_safely_as_it_is() {
    let group = Group::new(&[]);
    group.give("a", &group.authority.issue(&worker("a"), hour()).unwrap());
    let start =
        |config: NodeConfig| group.runtime.block_on(Node::start(config, group.around())).err().unwrap();
    let security = |name: &str| {
        let _inside = group.runtime.enter();
        Security::Mutual(Credentials::open(group.tls(name), LOOK).unwrap())
    };
    assert!(matches!(start(config("b", security("a"))), NodeError::Certificate { .. }));
    assert!(matches!(start(config("gateway", security("client"))), NodeError::Certificate { .. }));
    let address =
        |address: &str, security| NodeConfig { address: Some(address.to_owned()), ..config("a", security) };
    assert!(matches!(start(address("http://127.0.0.1:1", security("a"))), NodeError::Address(_)));
    assert!(matches!(start(address("http://10.0.0.1:1", Security::Plaintext)), NodeError::Address(_)));
    let everywhere = NodeConfig { listen: "0.0.0.0:0".parse().unwrap(), ..config("a", Security::Plaintext) };
    assert!(matches!(start(everywhere), NodeError::Plaintext { .. }));
    let everywhere = NodeConfig { listen: "0.0.0.0:0".parse().unwrap(), ..config("a", security("a")) };
    assert!(matches!(start(everywhere), NodeError::Unreachable { .. }));
    let name = "a".repeat(64);
    assert!(matches!(start(config(&name, Security::Plaintext)), NodeError::Name { .. }));
}

#[test]
fn the_process_starts_only_with_certificates_or_when_it_is_told_to_do_without() {
    let folder = tempfile::tempdir().unwrap();
    let store = format!("file://{}", folder.path().join("runs").display());
    let start = |more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_superstep-worker"));
        command.args(["--name", "a", "--store", &store, "--group"]).arg(folder.path().join("group"));
        let output = command.args(more).env_remove("SUPERSTEP_TLS").output().unwrap();
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    let said = start(&["--listen", "127.0.0.1:0"]);
    assert!(said.contains("a worker needs certificates (--tls DIR), or --plaintext"), "{said}");
    let said = start(&["--plaintext", "--listen", "0.0.0.0:0"]);
    assert!(said.contains("listens on loopback only, and 0.0.0.0:0 is not"), "{said}");
    let said = start(&["--plaintext", "--listen", "127.0.0.1:0", "--address", "http://10.0.0.1:7101"]);
    assert!(said.contains("http://10.0.0.1:7101 is not on this machine"), "{said}");
    assert!(!said.contains('\x1b'), "{said:?}");
    let said = start(&["--listen", "127.0.0.1:0", "--kubernetes"]);
    assert!(said.contains("'--group <DIR>' cannot be used with '--kubernetes'"), "{said}");
    let said = start(&["--listen", "127.0.0.1:0", "--tls", "/nowhere"]);
    assert!(said.contains("cannot read /nowhere/ca.crt"), "{said}");
}
