//! `superstep-worker`: a process that works on runs with others.

mod arguments;
mod serve;
mod surroundings;
mod trace;
mod tunnel;

use std::collections::BTreeSet;
use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::CommandFactory as _;
use clap::error::ErrorKind;
use superstep_store::{ObjectPlace, Store, StoreError};
use superstep_transport::{Credentials, LOOK, Security};
use superstep_worker::{Health, Loader, Node, NodeConfig, NodeError, Surroundings, labels_of_models};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::sleep;
use tracing_subscriber::EnvFilter;

use arguments::{Arguments, Asked, Command, Whole};
use surroundings::Group;

/// How long a worker waits before it asks again for a store that is away.
const PAUSE: Duration = Duration::from_secs(2);

fn main() -> Result<ExitCode> {
    let (asked, log_json) = Whole::asked();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    if log_json {
        lines.json().flatten_event(true).init();
    } else {
        lines.init();
    }
    let runtime = tokio::runtime::Runtime::new()?;
    match asked {
        Asked::Work(arguments) => runtime.block_on(work(*arguments)).map(|()| ExitCode::SUCCESS),
        Asked::Other(Command::Serve(arguments)) => runtime.block_on(serve::serve(arguments)),
        Asked::Other(Command::Tunnel(arguments)) => {
            let done = runtime.block_on(tunnel::tunnel(arguments)).map(|()| ExitCode::SUCCESS);
            // A read of stdin that is under way holds nobody up.
            runtime.shutdown_background();
            done
        }
    }
}

/// How the worker is kept from others, which nobody may leave out.
async fn security(arguments: &Arguments, group: &Group) -> Result<Security> {
    let Some(folder) = &arguments.tls else {
        if arguments.plaintext {
            return Ok(Security::Plaintext);
        }
        let what = "a worker needs certificates (--tls DIR), or --plaintext to do without, on loopback only";
        Whole::command().error(ErrorKind::MissingRequiredArgument, what).exit()
    };
    let credentials = match &group.signing {
        Some(signing) => signing.clone().credentials(LOOK).await,
        None => Credentials::open(folder, LOOK),
    };
    let credentials = credentials.context("there are no certificates")?;
    if let Some(expected) = &group.identity
        && credentials.identity() != expected
    {
        bail!("the worker is to be {expected}, and its certificate names {}", credentials.identity());
    }
    Ok(Security::Mutual(credentials))
}

/// The signals that ask the worker to leave.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> Result<Self> {
        let listen = |kind| signal(kind).context("cannot hear signals");
        Ok(Self { terminate: listen(SignalKind::terminate())?, interrupt: listen(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Starts the worker. A pod whose store is away waits for it, and whoever starts one by hand is told.
async fn start(
    config: impl Fn() -> NodeConfig,
    around: &Surroundings,
    waits: bool,
) -> Result<Node, NodeError> {
    loop {
        match Node::start(config(), around.clone()).await {
            Err(NodeError::Store(error @ StoreError::Away { .. })) if waits => {
                tracing::warn!(%error, "the worker waits for its store");
                sleep(PAUSE).await;
            }
            started => return started,
        }
    }
}

async fn work(arguments: Arguments) -> Result<()> {
    let mut signals = Signals::listen()?;
    let health = match arguments.health {
        Some(address) => Some(Health::listen(address).await?),
        None => None,
    };
    let group = Group::of(&arguments).await?;
    let security = tokio::select! {
        security = security(&arguments, &group) => security?,
        // It may wait for its certificate.
        () = signals.next() => return Ok(()),
    };
    let traces = arguments.trace.begin(&arguments.name)?;
    let place: ObjectPlace = arguments.store.parse()?;
    let store = Store::object(&place)?;
    let around = Surroundings {
        leases: group.leases,
        discovery: group.discovery,
        provisions: Arc::new(Loader::new(store.clone())),
        store,
        traces: traces.clone(),
    };
    let address = arguments.address.or(group.address);
    let models = labels_of_models(arguments.models.iter().map(String::as_str));
    let labels: BTreeSet<String> = arguments.labels.into_iter().chain(models).collect();
    let config = || NodeConfig {
        name: arguments.name.clone(),
        listen: arguments.listen,
        address: address.clone(),
        labels: labels.clone(),
        pace: group.pace,
        security: security.clone(),
    };
    let node = tokio::select! {
        node = start(config, &around, group.identity.is_some()) => node?,
        () = signals.next() => return trace::finish(traces).await,
    };
    tracing::info!(address = node.address(), "the worker listens");
    if let Some(health) = &health {
        health.show(node.vitals());
    }
    signals.next().await;
    tracing::info!("the worker leaves; a second signal stops it at once");
    tokio::select! {
        () = node.leave() => {}
        () = signals.next() => {}
    }
    trace::finish(traces).await
}
