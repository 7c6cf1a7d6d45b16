//! Both ends of the certificates: the operator's service, and workers that ask it. Who has which token is made up here; the
//! API server says it in `cluster`.

mod cluster;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures::future::{BoxFuture, FutureExt as _, ready};
use serde_json::json;
use superstep_leases::{FileLease, Pace};
use superstep_proto::v1;
use superstep_proto::v1::certificates_client::CertificatesClient;
use superstep_proto::v1::runs_client::RunsClient;
use superstep_store::Store;
use superstep_transport::{Credentials, Identity, KeyRequest, Refusal, Security, channel, channel_to_named};
use superstep_worker::{Loader, MemberFolder, Node, NodeConfig, Signing, Surroundings};
use tokio::sync::watch;
use tokio::time::sleep;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

use super::accounts::{AccountError, Accounts};
use super::clients::Clients;
use super::root::Root;
use super::server::Server;
use super::service::Signer;

const LOOK: Duration = Duration::from_millis(50);
/// How long something may take on a machine that has other work.
const PATIENCE: Duration = Duration::from_secs(120);
/// Whoever stands still for longer may be taken for dead, whatever its certificate is.
const STILL: Duration = Duration::from_secs(2);
/// Whoever stands still for longer may show a certificate that is over: one of 20 s is renewed with 11 s left, or more.
const OVER: Duration = Duration::from_secs(8);

/// Tokens are the names of pods of graph `triage` in namespace `shop`.
struct Known;

impl Accounts for Known {
    fn whose<'a>(&'a self, token: &'a str) -> BoxFuture<'a, Result<Identity, AccountError>> {
        let known = if token.starts_with("triage-worker-") {
            Identity::worker("shop", "triage", token).map_err(AccountError::from)
        } else if token.is_empty() {
            Err(AccountError::Silent)
        } else {
            Err(AccountError::Token { why: "it is none".to_owned() })
        };
        ready(known).boxed()
    }
}

/// An operator that signs, and a folder for those who ask it.
struct Installation {
    folder: tempfile::TempDir,
    root: watch::Sender<Option<Arc<Root>>>,
    clients: Arc<Clients>,
    signer: String,
}

impl Installation {
    async fn new(life: Duration) -> Self {
        let (root, known) = watch::channel(None);
        let server = Server::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let signer = format!("https://{}", server.address());
        let service = Signer::new(known.clone(), Arc::new(Known), life);
        let clients = Arc::new(Clients::new(known.clone(), life));
        let keeping = Arc::clone(&clients);
        tokio::spawn(async move { keeping.keep().await });
        tokio::spawn(server.serve(known, service, life));
        let folder = tempfile::tempdir().unwrap();
        Self { folder, root, clients, signer }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Signs with this one from now on, and lets everybody trust whom it trusts.
    fn begin(&self, root: Root) {
        // As a kubelet writes what a ConfigMap has.
        std::fs::write(self.path("signer.new"), root.trusted().as_bytes()).unwrap();
        std::fs::rename(self.path("signer.new"), self.path("signer.crt")).unwrap();
        self.root.send_replace(Some(Arc::new(root)));
    }

    fn signing(&self, name: &str) -> Signing {
        let token = self.path(&format!("{name}.token"));
        std::fs::write(&token, format!("{name}\n")).unwrap();
        Signing {
            signer: self.signer.clone(),
            authorities: self.path("signer.crt"),
            token,
            folder: self.path(name),
            identity: Identity::worker("shop", "triage", name).unwrap(),
        }
    }

    async fn sign(&self, request: Vec<u8>, token: &str) -> Result<v1::SignResponse, Status> {
        let channel = channel_to_named(&self.signer, "superstep-operator", self.path("signer.crt")).unwrap();
        let request = v1::SignRequest { request: request.into(), token: token.to_owned() };
        Ok(CertificatesClient::new(channel).sign(request).await?.into_inner())
    }

    /// The same by whoever asks again while nobody can be reached.
    async fn answered(&self, request: &[u8], token: &str) -> Result<v1::SignResponse, Status> {
        let start = Instant::now();
        loop {
            match self.sign(request.to_vec(), token).await {
                Err(status) if status.code() == Code::Unavailable && start.elapsed() < PATIENCE => {
                    sleep(LOOK).await;
                }
                answer => return answer,
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_is_answered_by_his_token_and_refused_with_the_reason() {
    let installation = Installation::new(Duration::from_secs(3_600)).await;
    let first = Root::make().unwrap();
    std::fs::write(installation.path("signer.crt"), first.trusted().as_bytes()).unwrap();
    let key = KeyRequest::new().unwrap();
    let refused =
        async |request: &[u8], token: &str| installation.answered(request, token).await.unwrap_err().code();
    // Nothing is shown before there is an authority.
    let early = tokio::time::timeout(Duration::from_millis(300), installation.sign(key.der().to_vec(), "a"));
    assert!(!matches!(early.await, Ok(Ok(_))));
    installation.begin(first);
    assert_eq!(refused(key.der(), "somebody").await, Code::Unauthenticated);
    // It is told that it may ask again.
    assert_eq!(installation.sign(key.der().to_vec(), "").await.unwrap_err().code(), Code::Unavailable);
    assert_eq!(refused(b"no request", "triage-worker-0").await, Code::InvalidArgument);
    assert_eq!(refused(&[0; 70_000], "triage-worker-0").await, Code::OutOfRange);
    let signed = installation.answered(key.der(), "triage-worker-0").await.unwrap();
    let issued = key.answered(signed.chain, signed.authorities);
    assert_eq!(issued.identity().unwrap(), installation.signing("triage-worker-0").identity);

    // Whoever is no operator is not given a token.
    std::fs::write(installation.path("signer.crt"), Root::make().unwrap().trusted().as_bytes()).unwrap();
    let foreign = installation.sign(Vec::new(), "triage-worker-0").await.unwrap_err();
    assert!(foreign.message().contains("connect") || foreign.code() == Code::Unavailable, "{foreign}");
    let channel = channel_to_named(&installation.signer, "another", installation.path("signer.crt")).unwrap();
    assert!(CertificatesClient::new(channel).sign(v1::SignRequest::default()).await.is_err());
}

/// A worker whose certificate the operator signs.
struct Worker {
    credentials: Arc<Credentials>,
    node: Node,
}

async fn worker(installation: &Installation, name: &str, store: &Store<superstep_engine::Record>) -> Worker {
    let credentials = installation.signing(name).credentials(LOOK).await.unwrap();
    let around = Surroundings {
        store: store.clone(),
        leases: Arc::new(FileLease::new(installation.path("leader"))),
        discovery: Arc::new(MemberFolder::new(installation.path("members")).unwrap()),
        provisions: Arc::new(Loader::new(store.clone())),
        traces: None,
    };
    let config = NodeConfig {
        name: name.to_owned(),
        listen: "127.0.0.1:0".parse().unwrap(),
        address: None,
        labels: BTreeSet::new(),
        pace: Pace::default(),
        security: Security::Mutual(Arc::clone(&credentials)),
    };
    Worker { credentials, node: Node::start(config, around).await.unwrap() }
}

/// A graph of 8 commands that note their keys.
fn graph(ledger: &std::path::Path) -> String {
    let script = format!("echo \"$SUPERSTEP_IDEMPOTENCY_KEY\" >> {}; sleep 0.1; echo 1", ledger.display());
    let mut vertices: Vec<_> = (0..8)
        .map(|number| json!({"name": format!("work{number}"), "function": {"command": {"argv": ["sh", "-c", script]}}}))
        .collect();
    vertices.push(json!({"name": "all", "join": {"mode": "All"}, "function": {"cel": "messages.size()"}}));
    let names = || (0..8).map(|number| format!("work{number}"));
    let edges: Vec<_> = names().map(|name| json!({"from": name, "to": "all"})).collect();
    json!({
        "apiVersion": "superstep.dev/v1alpha1",
        "kind": "AgentGraph",
        "metadata": {"name": "triage"},
        "spec": {
            "entry": names().collect::<Vec<_>>(),
            "vertices": vertices,
            "edges": edges,
            "outputs": [{"vertex": "all"}],
        },
    })
    .to_string()
}

impl Installation {
    /// A connection that was not there before, of the operator to a worker.
    fn runs(&self, worker: &Worker) -> RunsClient<Channel> {
        let security = self.clients.security("shop").unwrap();
        RunsClient::new(channel(worker.node.address(), &security, Some(&"triage".parse().unwrap())).unwrap())
    }

    /// Asks over fresh connections until there is an answer.
    async fn ask<Q: Clone, A>(
        &self,
        workers: &[Worker],
        request: Q,
        ask: impl AsyncFn(RunsClient<Channel>, Request<Q>) -> Result<A, Status>,
    ) -> A {
        let start = Instant::now();
        for round in 0.. {
            let client = self.runs(&workers[round % workers.len()]);
            let is_in_time = start.elapsed() < PATIENCE;
            match ask(client, Request::new(request.clone())).await {
                Ok(answer) => return answer,
                // Nobody leads yet. A connection that is refused says so too, and is counted by whoever refuses.
                Err(status) if status.code() == Code::Unavailable && is_in_time => sleep(LOOK).await,
                Err(status) => panic!("{status}"),
            }
        }
        unreachable!()
    }

    /// Waits until all of these attend to who leads: a run that begins before goes on in another term when others come.
    async fn complete(&self, workers: &[Worker]) {
        let there = async || {
            let cluster = async |mut client: RunsClient<Channel>, request| client.cluster(request).await;
            self.ask(workers, v1::ClusterRequest::default(), cluster).await.into_inner().workers.len()
        };
        while there().await < workers.len() {
            sleep(LOOK).await;
        }
    }

    /// One run from its beginning to its end, in one term: unless somebody stood still, nobody is taken for dead.
    async fn run(&self, workers: &[Worker], number: usize, stalls: &Stalls) {
        stalls.forget();
        let (run, ledger) = (format!("run-{number}"), self.path(&format!("ledger-{number}")));
        let submit = v1::SubmitRequest {
            run: run.clone(),
            documents: vec![graph(&ledger)],
            input: "null".into(),
            ..v1::SubmitRequest::default()
        };
        self.ask(workers, submit, async |mut client, request| client.submit(request).await).await;
        let found = loop {
            let get = v1::GetRequest { run: run.clone() };
            let found = self.ask(workers, get, async |mut client, request| client.get(request).await).await;
            let found = found.into_inner().run.unwrap();
            if found.phase() == v1::RunPhase::Ended {
                break found;
            }
            sleep(LOOK).await;
        };
        let succeeded = v1::run_status::Status::Succeeded(v1::run_status::Succeeded {});
        assert_eq!(found.status.unwrap().status, Some(succeeded));
        let ledger = std::fs::read_to_string(&ledger).unwrap();
        let keys: BTreeSet<&str> = ledger.lines().collect();
        assert_eq!(keys.len(), 8, "run {number}");
        if stalls.longest() < STILL {
            assert_eq!((ledger.lines().count(), found.epoch), (8, 1), "run {number}");
        }
    }
}

/// The longest time in which this process, or its runtime, stood still.
#[derive(Clone, Default)]
struct Stalls(Arc<AtomicU64>);

impl Stalls {
    /// Looks from now on, for as long as somebody wants to know.
    fn watch() -> Self {
        let stalls = Self::default();
        let (task, thread) = (Arc::downgrade(&stalls.0), Arc::downgrade(&stalls.0));
        tokio::spawn(async move {
            let mut last = Instant::now();
            while let Some(longest) = task.upgrade() {
                sleep(LOOK).await;
                last = Self::note(&longest, last);
            }
        });
        std::thread::spawn(move || {
            let mut last = Instant::now();
            while let Some(longest) = thread.upgrade() {
                std::thread::sleep(LOOK);
                last = Self::note(&longest, last);
            }
        });
        stalls
    }

    fn note(longest: &AtomicU64, last: Instant) -> Instant {
        let millis = u64::try_from(last.elapsed().as_millis()).unwrap_or(u64::MAX);
        longest.fetch_max(millis, Ordering::Relaxed);
        Instant::now()
    }

    fn forget(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    fn longest(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::Relaxed))
    }
}

/// Waits until each has a certificate that was asked for after this.
async fn renewed(workers: &[Worker]) {
    for _ in 0..2 {
        for worker in workers {
            let before = worker.credentials.serial();
            while worker.credentials.serial() == before {
                sleep(LOOK).await;
            }
        }
    }
}

/// While run follows upon run, certificates that live some seconds are renewed, and the authority is replaced by another:
/// trusted first, then signing, then alone.
#[tokio::test(flavor = "multi_thread")]
async fn certificates_and_their_authority_are_replaced_under_load_and_nobody_is_refused() {
    let installation = Installation::new(Duration::from_secs(20)).await;
    let (store, stalls, in_all) = (Store::memory(), Stalls::watch(), Stalls::watch());
    // A worker that comes before there is an authority waits for its first certificate.
    let early = tokio::spawn(installation.signing("triage-worker-0").credentials(LOOK));
    sleep(2 * LOOK).await;
    assert!(!early.is_finished());
    let (old, new) = (Root::make().unwrap(), Root::make().unwrap());
    let of = |signing: &Root, others: &str| Root::of(signing.pair().0, &signing.pair().1, others).unwrap();
    installation.begin(of(&old, ""));
    assert_eq!(
        early.await.unwrap().unwrap().identity().to_string(),
        "spiffe://superstep/ns/shop/graph/triage/worker/triage-worker-0"
    );

    // Its process is started again, with what it has kept.
    let workers = [
        worker(&installation, "triage-worker-0", &store).await,
        worker(&installation, "triage-worker-1", &store).await,
    ];
    installation.complete(&workers).await;
    let (over, goes_on) = watch::channel(false);
    let (ended, mut runs) = watch::channel(0);
    let load = async {
        while !*goes_on.borrow() {
            let number = *ended.borrow();
            installation.run(&workers, number, &stalls).await;
            ended.send_replace(number + 1);
        }
    };
    let replace = async {
        for root in [of(&old, new.pair().0), of(&new, old.pair().0), of(&new, "")] {
            installation.begin(root);
            renewed(&workers).await;
            // One run goes on at the moment, and another one begins and ends after that.
            let before = *runs.borrow_and_update();
            runs.wait_for(|runs| *runs >= before + 2).await.unwrap();
        }
        over.send_replace(true);
    };
    tokio::join!(load, replace);
    for worker in &workers {
        // Who shows too slowly who he is comes again, and is not refused for what he is.
        let refusals = worker.node.refusals();
        let refused = refusals.total() - refusals.of(Refusal::Slow);
        assert!(refused == 0 || in_all.longest() >= OVER, "{refused} were refused");
    }
    let trusted = std::fs::read_to_string(installation.path("triage-worker-1/ca.crt")).unwrap();
    assert_eq!(trusted.trim(), new.pair().0.trim());
}
