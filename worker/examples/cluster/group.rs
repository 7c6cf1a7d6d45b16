//! A group of worker processes, and a run on it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use superstep_leases::{FileLease, Pace};
use superstep_proto::v1;
use superstep_proto::v1::runs_client::RunsClient;
use superstep_store::{ObjectPlace, Store};
use superstep_transport::Security;
use superstep_worker::{Channels, Loader, MemberFolder, Node, NodeConfig, Surroundings};
use tokio::time::sleep;
use tonic::transport::Channel;

use crate::ticks::{self, Ticking};

/// Workers, which are stopped when this is dropped.
pub(crate) struct Group {
    folder: tempfile::TempDir,
    workers: Vec<Child>,
}

/// What a run took.
pub(crate) struct Measured {
    /// As the leader's clock says.
    pub(crate) seconds: f64,
    /// Of all workers together.
    pub(crate) cpu: f64,
    /// The median of its supersteps in microseconds, if a vertex tells them apart.
    pub(crate) superstep: Option<f64>,
}

impl Group {
    /// Starts workers that keep runs in `store`, and waits until all attend; `pinned` to a core each. The workers are
    /// named and labelled a, b, ….
    pub(crate) async fn start(store: &Path, count: usize, pinned: bool) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("superstep-bench").tempdir_in(store)?;
        let mut group = Self { folder, workers: Vec::new() };
        for (at, name) in ('a'..='z').take(count).enumerate() {
            let me = std::env::current_exe()?;
            let mut command = if pinned {
                let mut command = Command::new("taskset");
                command.arg("--cpu-list").arg(at.to_string()).arg(me);
                command
            } else {
                Command::new(me)
            };
            let name = name.to_string();
            command.args(["--worker", &name, "--label", &name, "--folder"]).arg(group.folder.path());
            group.workers.push(command.stdin(Stdio::null()).spawn().context("a worker cannot be started")?);
        }
        for _ in 0..1_000 {
            sleep(Duration::from_millis(20)).await;
            let Ok(mut client) = group.client().await else { continue };
            let cluster = client.cluster(v1::ClusterRequest {}).await;
            if cluster.is_ok_and(|cluster| cluster.into_inner().workers.len() == count) {
                return Ok(group);
            }
        }
        bail!("the workers do not find each other")
    }

    async fn client(&self) -> Result<RunsClient<Channel>> {
        let members = MemberFolder::new(self.folder.path().join("members"))?.members().await?;
        let member = members.first().context("nobody is there")?;
        Ok(Channels::new(Security::Plaintext).runs(&member.address)?)
    }

    /// A run of a graph, to its end.
    pub(crate) async fn run(&self, documents: &[String], input: &Value) -> Result<Measured> {
        let mut client = self.client().await?;
        let before = self.cpu()?;
        let request = v1::SubmitRequest {
            documents: documents.to_vec(),
            input: serde_json::to_vec(input)?.into(),
            ..v1::SubmitRequest::default()
        };
        let run = client.submit(request).await?.into_inner().run;
        loop {
            sleep(Duration::from_millis(100)).await;
            let found = client.get(v1::GetRequest { run: run.clone() }).await?.into_inner().run;
            let found = found.context("a run is missing in the answer")?;
            if found.phase() != v1::RunPhase::Ended {
                continue;
            }
            let status = superstep_wire::status_of(found.status)?;
            let elapsed = found.totals.map_or(0, |totals| totals.elapsed_micros);
            let good = matches!(
                status,
                superstep_engine::RunStatus::Succeeded | superstep_engine::RunStatus::LimitReached(_)
            );
            if !good {
                bail!("the run has ended otherwise: {status:?}");
            }
            let superstep = ticks::median(self.folder.path())?;
            return Ok(Measured { seconds: elapsed as f64 / 1e6, cpu: self.cpu()? - before, superstep });
        }
    }

    /// The CPU seconds that the workers have used.
    fn cpu(&self) -> Result<f64> {
        let ticks = rustix::param::clock_ticks_per_second() as f64;
        let of = |worker: &Child| -> Result<f64> {
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", worker.id()))?;
            let behind = stat.rsplit_once(") ").context("a line of /proc has another form")?.1;
            let fields: Vec<&str> = behind.split(' ').collect();
            let ticks_of =
                |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok()).unwrap_or(0.0);
            Ok((ticks_of(11) + ticks_of(12)) / ticks)
        };
        self.workers.iter().map(of).sum()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        for worker in &mut self.workers {
            if worker.kill().and_then(|()| worker.wait()).is_err() {
                eprintln!("a worker has stopped by itself");
            }
        }
    }
}

/// Is a worker of the group in a folder.
pub(crate) async fn work(name: &str, folder: &Path, labels: &[String]) -> Result<()> {
    let runs: PathBuf = folder.join("runs");
    std::fs::create_dir_all(&runs)?;
    let place: ObjectPlace = format!("file://{}", runs.display()).parse()?;
    let store = Store::object(&place)?;
    let around = Surroundings {
        leases: Arc::new(FileLease::new(folder.join("leader"))),
        discovery: Arc::new(MemberFolder::new(folder.join("members"))?),
        provisions: Arc::new(Ticking::new(Loader::new(store.clone()), folder)),
        store,
        traces: None,
    };
    let config = NodeConfig {
        name: name.to_owned(),
        listen: "127.0.0.1:0".parse()?,
        address: None,
        labels: labels.iter().cloned().collect(),
        pace: Pace::default(),
        security: Security::Plaintext,
    };
    let _node = Node::start(config, around).await?;
    std::future::pending().await
}
