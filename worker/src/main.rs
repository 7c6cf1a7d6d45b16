//! `superstep-worker`: a process that works on runs with others.

mod serve;
mod trace;

use std::collections::BTreeSet;
use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use clap::error::ErrorKind;
use clap::{Args, CommandFactory as _, Parser, Subcommand};
use superstep_serving::ServeArguments;
use superstep_store::{ObjectPlace, Store};
use superstep_transport::{Credentials, LOOK, Security};
use superstep_worker::{FileLease, Loader, MemberFolder, Node, NodeConfig, Pace, Surroundings};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use trace::TraceArgs;

/// Works on runs, together with the other workers of its group: one of them leads. Or serves a model.
#[derive(Parser)]
#[command(
    name = "superstep-worker",
    version,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    disable_help_subcommand = true,
    after_help = "\
Examples:
  superstep-worker --name a --store file:///var/lib/runs --group /var/lib/group --tls /etc/superstep/a \\
    --listen 0.0.0.0:7101 --address https://a.workers:7101
  superstep-worker --name a --store file:///tmp/runs --group /tmp/group --plaintext
  superstep-worker serve --file /etc/superstep/model/model.yaml --listen 0.0.0.0:8000"
)]
struct Whole {
    #[command(flatten)]
    work: Option<Arguments>,
    #[command(subcommand)]
    command: Option<Command>,
    /// Write log lines as JSON.
    #[arg(long, global = true)]
    log_json: bool,
}

/// What it does instead of working on runs.
#[derive(Subcommand)]
enum Command {
    /// Serve a model by OpenAI's protocol.
    #[command(after_help = serve::EXAMPLES)]
    Serve(ServeArguments),
}

/// What it needs to work on runs.
#[derive(Args)]
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
    /// A folder with ca.crt, tls.crt and tls.key: connections are encrypted, and both ends show certificates. The
    /// files are followed: what is replaced is used without a restart.
    #[arg(long, env = "SUPERSTEP_TLS", value_name = "DIR", conflicts_with = "plaintext")]
    tls: Option<PathBuf>,
    /// Do without encryption and certificates, on loopback only: every process of this machine may ask for anything.
    #[arg(long)]
    plaintext: bool,
    #[command(flatten)]
    trace: TraceArgs,
}

fn main() -> Result<ExitCode> {
    let Whole { work: arguments, command, log_json } = Whole::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if log_json {
        lines.json().flatten_event(true).init();
    } else {
        lines.with_ansi(std::io::stderr().is_terminal()).init();
    }
    let runtime = tokio::runtime::Runtime::new()?;
    match (command, arguments) {
        (Some(Command::Serve(arguments)), _) => runtime.block_on(serve::serve(arguments)),
        (None, Some(arguments)) => runtime.block_on(work(arguments)).map(|()| ExitCode::SUCCESS),
        (None, None) => {
            let what =
                "a worker needs a name, a store and a group; superstep-worker serve needs none of them";
            Whole::command().error(ErrorKind::MissingRequiredArgument, what).exit()
        }
    }
}

/// How the worker is kept from others, which nobody may leave out.
fn security(arguments: &Arguments) -> Result<Security> {
    match &arguments.tls {
        Some(folder) => {
            Ok(Security::Mutual(Credentials::open(folder, LOOK).context("there are no certificates")?))
        }
        None if arguments.plaintext => Ok(Security::Plaintext),
        None => {
            let what =
                "a worker needs certificates (--tls DIR), or --plaintext to do without, on loopback only";
            Whole::command().error(ErrorKind::MissingRequiredArgument, what).exit()
        }
    }
}

async fn work(arguments: Arguments) -> Result<()> {
    let security = security(&arguments)?;
    let traces = arguments.trace.begin(&arguments.name)?;
    let place: ObjectPlace = arguments.store.parse()?;
    let store = Store::object(&place)?;
    let members = MemberFolder::new(arguments.group.join("members"))?;
    let around = Surroundings {
        leases: Arc::new(FileLease::new(arguments.group.join("leader"))),
        discovery: Arc::new(members),
        provisions: Arc::new(Loader::new(store.clone())),
        store,
        traces: traces.clone(),
    };
    let config = NodeConfig {
        name: arguments.name,
        listen: arguments.listen,
        address: arguments.address,
        labels: arguments.labels.into_iter().collect::<BTreeSet<_>>(),
        pace: Pace::default(),
        security,
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
    trace::finish(traces).await
}
