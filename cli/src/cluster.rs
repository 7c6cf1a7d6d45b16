//! `superstep cluster`: workers on this machine, and what a cluster is.

mod certificates;
mod processes;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use superstep_proto::v1;
use superstep_proto::v1::runs_client::RunsClient;
use tokio::runtime::Runtime;
use tonic::transport::Channel;

use crate::args::cluster::{ClusterArgs, ClusterCommand, StatusArgs, Trust, UpArgs};
use crate::args::runs::Store;
use crate::exit::{CommandError, Exit};
use crate::remote::Remote;
use crate::signals::Signals;
use crate::{log, output, shell};

use certificates::Certificates;
pub(crate) use processes::ProcessError;
use processes::Processes;

/// Starts workers, or shows them.
///
/// # Errors
/// They cannot be started, or reached.
pub(crate) fn cluster(args: &ClusterArgs) -> Result<Exit, CommandError> {
    match &args.command {
        ClusterCommand::Up(args) => up(args),
        ClusterCommand::Status(args) => status(args),
    }
}

fn up(args: &UpArgs) -> Result<Exit, CommandError> {
    let folder = folder(args)?;
    let store = args.store.clone().unwrap_or_else(|| format!("file://{}", folder.join("runs").display()));
    let runtime = Runtime::new()?;
    let mut signals = Signals::watch(&runtime)?;
    // Children are waited for by the runtime.
    let inside = runtime.enter();
    let mut processes = Processes::new(&folder, &store)?;
    let names: Vec<String> = (1..=args.workers).map(|number| format!("worker-{number}")).collect();
    let mut certificates =
        if args.tls { Some(Certificates::make(&folder.join("tls"), &names)?) } else { None };
    for (number, name) in (0..).zip(&names) {
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, args.port.saturating_add(number)));
        let tls = certificates.as_ref().map(|certificates| certificates.of(name));
        processes.start(name, listen, tls.as_deref())?;
    }
    drop(inside);
    let trust = Trust { tls: certificates.as_ref().map(Certificates::of_client), workers_of: None };
    let scheme = if args.tls { "https" } else { "http" };
    let url = format!("{scheme}://127.0.0.1:{}", args.port);
    runtime.block_on(async {
        tokio::select! {
            ready = ready(&url, &trust, args.workers, &mut processes) => ready?,
            () = signals.come() => {}
        }
        loop {
            tokio::select! {
                () = signals.come() => break,
                () = Certificates::keep(certificates.as_mut()) => {}
                gone = processes.gone() => match gone {
                    Some(text) => log::say(&text),
                    None => break,
                },
            }
        }
        processes.terminate();
        tokio::select! {
            () = processes.all_gone() => {}
            () = signals.come() => processes.kill(),
        }
        Ok(Exit::Success)
    })
}

/// The folder of the cluster, whose name has no place where it does not lie.
fn folder(args: &UpArgs) -> Result<PathBuf, CommandError> {
    let folder = match &args.folder {
        Some(folder) => folder.clone(),
        None => {
            let runs = Store { folder: None }.folder(&|name| std::env::var(name).ok());
            runs.ok_or(CommandError::NoStore)?.join("cluster")
        }
    };
    std::fs::create_dir_all(&folder)?;
    Ok(folder.canonicalize()?)
}

/// Waits until all workers attend to the one that leads, and says so.
async fn ready(
    url: &str,
    trust: &Trust,
    workers: u16,
    processes: &mut Processes,
) -> Result<(), CommandError> {
    let remote = Remote::new(url, trust)?;
    loop {
        if let Some(text) = processes.look() {
            return Err(ProcessError::Ended { text }.into());
        }
        // Until the first worker listens nobody answers, and until one leads none can.
        let cluster = remote.look(cluster_of).await?.unwrap_or_default();
        if cluster.workers.len() >= usize::from(workers) {
            let leader = cluster.leader;
            let at = shell::address(url, trust.tls.as_deref());
            log::say(&format!(
                "{workers} workers, of which {leader} leads; run graphs with: superstep run --connect {at} -f FILE"
            ));
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn cluster_of(mut client: RunsClient<Channel>) -> Result<v1::ClusterResponse, tonic::Status> {
    Ok(client.cluster(v1::ClusterRequest {}).await?.into_inner())
}

fn status(args: &StatusArgs) -> Result<Exit, CommandError> {
    let runtime = Runtime::new()?;
    let cluster =
        runtime.block_on(async { Remote::new(&args.connect, &args.trust)?.ask(cluster_of).await })?;
    let worker = |worker: &v1::Worker| {
        json!({
            "name": worker.name,
            "leads": worker.name == cluster.leader,
            "address": worker.address,
            "labels": worker.labels,
            "runs": worker.partitions,
            "staleRefused": worker.stale_refused,
        })
    };
    let workers: Vec<Value> = cluster.workers.iter().map(worker).collect();
    if args.output == output::OutputFormat::Table {
        output::result(&Value::Array(workers), args.output)?;
        if let Some(seconds) = cluster.store_away_seconds {
            log::say(&format!("the store has been away for {seconds} s, and runs wait for it"));
        }
        return Ok(Exit::Success);
    }
    let all = json!({
        "leader": cluster.leader,
        "workers": workers,
        "storeAwaySeconds": cluster.store_away_seconds,
        "staleRefused": cluster.stale_refused,
        "callersRefused": cluster.callers_refused,
    });
    output::result(&all, args.output)?;
    Ok(Exit::Success)
}
