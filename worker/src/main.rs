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

use anyhow::{Context as _, Result, bail};
use clap::error::ErrorKind;
use clap::CommandFactory as _;
use superstep_store::{ObjectPlace, Store};
use superstep_transport::{Credentials, LOOK, Security};
use superstep_worker::{Health, Loader, Node, NodeConfig, Surroundings};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::EnvFilter;

use arguments::{Arguments, Command, Told, What, Whole};
use surroundings::Group;

fn main() -> Result<ExitCode> {
    let Told { what, log_json } = Whole::read();
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
    match what {
        What::Instead(Command::Serve(arguments)) => runtime.block_on(serve::serve(arguments)),
        What::Instead(Command::Tunnel(arguments)) => {
            let done = runtime.block_on(tunnel::tunnel(arguments)).map(|()| ExitCode::SUCCESS);
            // A read of stdin that is under way holds nobody up.
            runtime.shutdown_background();
            done
        }
        What::Work(arguments) => runtime.block_on(work(*arguments)).map(|()| ExitCode::SUCCESS),
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
    let config = NodeConfig {
        name: arguments.name,
        listen: arguments.listen,
        address: arguments.address.or(group.address),
        labels: arguments.labels.into_iter().collect::<BTreeSet<_>>(),
        pace: group.pace,
        security,
    };
    let node = Node::start(config, around).await?;
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
