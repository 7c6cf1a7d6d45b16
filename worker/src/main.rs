//! `superstep-worker`: a process that works on runs with others.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use clap::Parser;
use superstep_store::{ObjectPlace, Store};
use superstep_worker::{FileLease, Loader, MemberFolder, Node, NodeConfig, Pace, Surroundings};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// Works on runs, together with the other workers of its group: one of them leads.
#[derive(Parser)]
#[command(name = "superstep-worker", version)]
struct Arguments {
    /// The name of this worker, unique in its group and the same after a restart.
    #[arg(long, env = "SUPERSTEP_WORKER_NAME")]
    name: String,
    /// Where it listens.
    #[arg(long, default_value = "127.0.0.1:7101", value_name = "ADDRESS:PORT")]
    listen: SocketAddr,
    /// Where others reach it, if that is not where it listens.
    #[arg(long, value_name = "URL")]
    address: Option<String>,
    /// Where runs are kept: file:///FOLDER, s3://BUCKET/PREFIX, gs://… or az://…
    #[arg(long, env = "SUPERSTEP_STORE_URL", value_name = "URL")]
    store: String,
    /// The folder in which the workers of the group find each other and elect who leads.
    #[arg(long, env = "SUPERSTEP_GROUP", value_name = "DIR")]
    group: PathBuf,
    /// What it has that vertices may ask for, such as gpu.
    #[arg(long = "label", value_name = "LABEL")]
    labels: Vec<String>,
    /// Write log lines as JSON.
    #[arg(long)]
    log_json: bool,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if arguments.log_json {
        lines.json().flatten_event(true).init();
    } else {
        lines.init();
    }
    tokio::runtime::Runtime::new()?.block_on(work(arguments))
}

async fn work(arguments: Arguments) -> Result<()> {
    let place: ObjectPlace = arguments.store.parse()?;
    let store = Store::object(&place)?;
    let members = MemberFolder::new(arguments.group.join("members"))?;
    let around = Surroundings {
        leases: Arc::new(FileLease::new(arguments.group.join("leader"))),
        discovery: Arc::new(members),
        provisions: Arc::new(Loader::new(store.clone())),
        store,
    };
    let config = NodeConfig {
        name: arguments.name,
        listen: arguments.listen,
        address: arguments.address,
        labels: arguments.labels.into_iter().collect::<BTreeSet<_>>(),
        pace: Pace::default(),
    };
    let mut terminate = signal(SignalKind::terminate()).context("cannot hear signals")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot hear signals")?;
    let node = Node::start(config, around).await?;
    tracing::info!(address = node.address(), "the worker listens");
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("the worker leaves; a second signal stops it at once");
    tokio::select! {
        () = node.leave() => {}
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
