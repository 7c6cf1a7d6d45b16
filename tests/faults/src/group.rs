//! A group of worker processes that share a store and a folder.

mod process;

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use superstep_proto::v1;
use superstep_proto::v1::runs_client::RunsClient;
use superstep_transport::{Authority, Credentials, Identity, LOOK, Security, Validity};
use superstep_witness::RunEnd;
use superstep_worker::Channels;
use tokio::runtime::Runtime;
use tonic::transport::Channel;
use tonic::{Code, Status};

pub(crate) use process::Process;

/// Where the workers are, as their certificates say.
const NAMESPACE: &str = "faults";
/// How long their certificates are valid.
const VALID: Duration = Duration::from_secs(24 * 3_600);
/// How long one question to a worker may take.
const ANSWERS: Duration = Duration::from_secs(10);
/// How long somebody is asked for until nobody can answer.
const PATIENCE: Duration = Duration::from_secs(240);
/// Ports that the system gives to nobody who asks for any, or who connects: those are above.
const PORTS: Range<u16> = 12_000..32_000;

/// What the workers of a group are started with.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// The built binary.
    pub(crate) program: PathBuf,
    /// Where the workers find each other, and their logs lie.
    pub(crate) folder: PathBuf,
    /// The URL of the store.
    pub(crate) store: String,
    /// Variables of their environment.
    pub(crate) environment: Vec<(String, String)>,
}

/// Worker processes.
pub(crate) struct Group {
    plan: Plan,
    runtime: Arc<Runtime>,
    channels: Channels,
    authority: Authority,
    pub(crate) workers: Vec<Process>,
}

impl Group {
    pub(crate) fn new(plan: Plan, runtime: Arc<Runtime>) -> Result<Self> {
        std::fs::create_dir_all(plan.folder.join("group"))?;
        let authority = Authority::new("faults")?;
        let client = plan.folder.join("client");
        authority.issue(&Identity::client(NAMESPACE, "faults")?, Validity::lasting(VALID))?.write(&client)?;
        let inside = runtime.enter();
        let channels = Channels::new(Security::Mutual(Credentials::open(&client, LOOK)?));
        drop(inside);
        Ok(Self { plan, runtime, channels, authority, workers: Vec::new() })
    }

    /// Starts one more worker.
    pub(crate) fn add(&mut self, process: Process) -> Result<()> {
        let identity = Identity::worker(NAMESPACE, "faults", &process.name)?;
        self.authority.issue(&identity, Validity::lasting(VALID))?.write(&process.tls(&self.plan))?;
        self.workers.push(process);
        let last = self.workers.len() - 1;
        self.start(last)
    }

    /// Starts a worker, or starts it again.
    pub(crate) fn start(&mut self, at: usize) -> Result<()> {
        self.workers[at].start(&self.plan)
    }

    /// Starts so many workers on loopback, and waits until all attend.
    pub(crate) fn on_loopback(&mut self, count: usize) -> Result<()> {
        for number in 1..=count {
            self.add(Process::new(&format!("worker-{number}"), free_port()?))?;
        }
        self.complete(count)
    }

    /// The worker of this name.
    pub(crate) fn find(&self, name: &str) -> Result<usize> {
        let found = self.workers.iter().position(|worker| worker.name == name);
        found.with_context(|| format!("there is no worker {name}"))
    }

    /// A way to one worker.
    fn client(&self, at: usize) -> Result<RunsClient<Channel>> {
        let _inside = self.runtime.enter();
        Ok(self.channels.runs(&self.workers[at].url())?)
    }

    /// Asks one worker once.
    fn ask_one<A>(
        &self,
        at: usize,
        ask: &impl AsyncFn(RunsClient<Channel>) -> Result<A, Status>,
    ) -> Result<Result<A, Status>> {
        let client = self.client(at)?;
        Ok(self.runtime.block_on(async {
            let answer = tokio::time::timeout(ANSWERS, ask(client)).await;
            answer.unwrap_or_else(|_| Err(Status::unavailable("no answer")))
        }))
    }

    /// Asks one worker after another until one can answer.
    fn ask<A>(&self, ask: impl AsyncFn(RunsClient<Channel>) -> Result<A, Status>) -> Result<A> {
        let begun = Instant::now();
        loop {
            let mut last = None;
            for at in 0..self.workers.len() {
                if !self.workers[at].is_awake() {
                    continue;
                }
                match self.ask_one(at, &ask)? {
                    Ok(answer) => return Ok(answer),
                    Err(status) if may_pass(&status) => last = Some(status),
                    Err(status) => bail!("{} says {status}", self.workers[at].name),
                }
            }
            if begun.elapsed() > PATIENCE {
                bail!("nobody answers: {last:?}");
            }
            sleep(Duration::from_millis(100));
        }
    }

    pub(crate) fn cluster(&self) -> Result<v1::ClusterResponse> {
        self.ask(async |mut client| Ok(client.cluster(v1::ClusterRequest {}).await?.into_inner()))
    }

    /// The worker that leads.
    pub(crate) fn leader(&self) -> Result<usize> {
        self.find(&self.cluster()?.leader)
    }

    /// Waits until so many workers attend.
    pub(crate) fn complete(&mut self, count: usize) -> Result<()> {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if self.cluster()?.workers.len() >= count {
                return Ok(());
            }
            self.demand_alive()?;
            sleep(Duration::from_millis(100));
        }
        bail!("the workers do not find each other: {:?}", self.cluster()?.workers)
    }

    /// Checks that no worker has ended that nobody killed.
    pub(crate) fn demand_alive(&mut self) -> Result<()> {
        for worker in &mut self.workers {
            if let Some(how) = worker.ended()? {
                bail!("{} has ended ({how}); its log is {}", worker.name, worker.log(&self.plan).display());
            }
        }
        Ok(())
    }

    pub(crate) fn submit(&self, run: &str, documents: &[String], input: &Value) -> Result<()> {
        let request = v1::SubmitRequest {
            run: run.to_owned(),
            documents: documents.to_vec(),
            input: serde_json::to_vec(input)?.into(),
            ..v1::SubmitRequest::default()
        };
        self.ask(async |mut client| Ok(client.submit(request.clone()).await?.into_inner()))?;
        Ok(())
    }

    pub(crate) fn get(&self, run: &str) -> Result<v1::Run> {
        let request = v1::GetRequest { run: run.to_owned() };
        let got = self.ask(async |mut client| Ok(client.get(request.clone()).await?.into_inner()))?;
        got.run.context("the answer has no run")
    }

    /// Where a run stands by its leader; none if he does not answer at once.
    pub(crate) fn look(&self, run: &str) -> Result<Option<v1::Run>> {
        let request = v1::GetRequest { run: run.to_owned() };
        for at in (0..self.workers.len()).filter(|at| self.workers[*at].is_awake()) {
            let ask =
                async |mut client: RunsClient<Channel>| Ok(client.get(request.clone()).await?.into_inner());
            if let Ok(got) = self.ask_one(at, &ask)? {
                return Ok(got.run);
            }
        }
        Ok(None)
    }

    /// Waits for the end of a run.
    pub(crate) fn end(&mut self, run: &str, patience: Duration) -> Result<RunEnd> {
        let begun = Instant::now();
        while begun.elapsed() < patience {
            let found = self.get(run)?;
            if found.phase() == v1::RunPhase::Ended {
                let status = superstep_wire::status_of(found.status)?;
                let outputs = superstep_wire::payload_of(found.outputs)?.value().clone();
                return Ok(RunEnd { status, outputs });
            }
            self.demand_alive()?;
            sleep(Duration::from_millis(50));
        }
        bail!("run {run} has not ended after {} s: {:?}", patience.as_secs(), self.get(run)?)
    }

    /// How many lines of all workers' logs have `words`.
    pub(crate) fn said(&self, words: &str) -> Result<usize> {
        let counts = self.workers.iter().map(|worker| worker.said(&self.plan, words));
        counts.sum()
    }
}

/// A port of loopback that is free, and that is given to nobody else while its worker is dead.
pub(crate) fn free_port() -> Result<SocketAddr> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // Another process that looks for ports begins elsewhere.
    let first = std::process::id().wrapping_mul(7_919);
    let count = u32::from(PORTS.end - PORTS.start);
    for _ in 0..count {
        let number = first.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % count;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, PORTS.start + u16::try_from(number)?));
        if TcpListener::bind(address).is_ok() {
            return Ok(address);
        }
    }
    bail!("no port of loopback is free")
}

/// Whether the same again may be answered. A connection that breaks in the middle is unknown.
fn may_pass(status: &Status) -> bool {
    matches!(
        status.code(),
        Code::Unavailable | Code::Unknown | Code::Cancelled | Code::DeadlineExceeded | Code::Internal
    )
}
