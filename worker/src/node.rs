//! A worker process: it elects a leader with the others, leads if it is elected, and works on what it is given.

mod config;
mod elections;

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use superstep_engine::Record;
use superstep_leases::{Election, Leases};
use superstep_proto::v1;
use superstep_store::Store;
use superstep_telemetry::Traces;
use superstep_transport::{Listener, Refusals, Security};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use tokio::time::{Duration, timeout};

use crate::blocking::blocking;
use crate::channels::Channels;
use crate::counts::Counts;
use crate::discovery::{Discovery, Member};
use crate::leader::Attendance;
use crate::limits::{LOST, TELLINGS};
use crate::peer::{Attending, Peer, Tracer, attend};
use crate::provisions::Provisions;
use crate::runs::RunsService;
use crate::services::serve;
use crate::vitals::Vitals;

pub use config::{NodeConfig, NodeError};
use elections::Elections;

/// How long a worker that leaves waits until it has given the lease back.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a worker shares with the others of its group, and how it loads what runs need.
#[derive(Clone)]
pub struct Surroundings {
    /// Where runs are kept.
    pub store: Store<Record>,
    /// Who should lead.
    pub leases: Arc<dyn Leases>,
    /// Who else there is.
    pub discovery: Arc<dyn Discovery>,
    /// Models, tools and programs.
    pub provisions: Arc<dyn Provisions>,
    /// Where the traces of runs go, if they are wanted. Whoever starts the worker finishes them.
    pub traces: Option<Arc<Traces>>,
}

/// A worker that works. Dropping it stops it at once, as a crash would.
pub struct Node {
    me: Member,
    discovery: Arc<dyn Discovery>,
    vitals: Vitals,
    leaving: watch::Sender<bool>,
    given_back: watch::Sender<bool>,
    attending: JoinHandle<()>,
    others: Vec<JoinHandle<()>>,
}

impl Node {
    /// Starts a worker on the present tokio runtime.
    ///
    /// # Errors
    /// It is not who its certificate names, or would be reached without encryption; it cannot listen, the store does
    /// not keep what it must, or the others cannot be told.
    pub async fn start(config: NodeConfig, around: Surroundings) -> Result<Self, NodeError> {
        Self::start_patient(config, around, LOST).await
    }

    /// Starts a worker that takes others for lost when they have been silent for `lost`, a few seconds at least: more
    /// than usual where everything may stand still for longer than that.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn start_patient(
        config: NodeConfig,
        around: Surroundings,
        lost: Duration,
    ) -> Result<Self, NodeError> {
        config.check()?;
        let store = around.store.clone();
        blocking(move || store.probe()).await?;
        let listener = listen(&config).await?;
        let bound = listener.address();
        let address = config.address.unwrap_or_else(|| format!("{}://{bound}", config.security.scheme()));
        let me = announce(&config.name, &address, &*around.discovery).await?;
        let channels = Channels::new(config.security.clone());
        let (leader_here, leads) = watch::channel(None);
        let (leader_address, leader_is_at) = watch::channel(None);
        let (leaving, wants_to_leave) = watch::channel(false);
        let given_back = watch::channel(false).0;
        let counts = Counts::default();
        let vitals = Vitals {
            security: config.security.clone(),
            store: around.store.clone(),
            counts: counts.clone(),
            leads: leads.clone(),
            leaving: wants_to_leave.clone(),
        };
        let peer = peer(&config.name, &around, &channels, &counts);
        let runs = RunsService {
            name: config.name.clone(),
            store: around.store.clone(),
            provisions: Arc::clone(&around.provisions),
            leader: leads.clone(),
            leader_is_at: leader_is_at.clone(),
            channels: channels.clone(),
            stale: counts.stale.clone(),
            refusals: config.security.refusals(),
            tellings: Arc::new(Semaphore::new(TELLINGS)),
        };
        let attendance = Attendance::new(&config.name, leads, lost);
        let server = serve(listener, &config.security, attendance.clone(), peer.clone(), runs)?;
        let here = here(&config.security, bound, &address);
        let election = Elections {
            election: Election::new(config.name.clone(), config.pace, Instant::now()),
            around: around.clone(),
            me: me.clone(),
            here: Arc::clone(&here),
            leader_here,
            leader_address,
            looked: watch::channel(Instant::now()).0,
            counts,
            lost,
            leaving: wants_to_leave.clone(),
            given_back: given_back.clone(),
        };
        let register = register(config.name, config.labels, address);
        let attending = attend(Attending {
            peer,
            channels,
            attendance,
            here,
            discovery: Arc::clone(&around.discovery),
            register,
            leader: leader_is_at,
            leaving: wants_to_leave,
        });
        Ok(Self {
            me,
            discovery: around.discovery,
            vitals,
            leaving,
            given_back,
            attending: tokio::spawn(attending),
            others: vec![server, tokio::spawn(election.go_on())],
        })
    }

    /// Where its services are.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.me.address
    }

    /// Who was refused.
    #[must_use]
    pub fn refusals(&self) -> Refusals {
        self.vitals.security.refusals()
    }

    /// How it is, as long as it lives and after that.
    #[must_use]
    pub fn vitals(&self) -> Vitals {
        self.vitals.clone()
    }

    /// Stops the worker once the leader has given its vertices to others: nothing is done again because of it. It
    /// takes as long as what is in flight takes.
    pub async fn leave(mut self) {
        if self.leaving.send(true).is_ok()
            && let Err(error) = (&mut self.attending).await
        {
            tracing::warn!(%error, "the worker has stopped before it was dismissed");
        }
        let mut given_back = self.given_back.subscribe();
        if timeout(PATIENCE, given_back.wait_for(|given_back| *given_back)).await.is_err() {
            tracing::warn!("the lease is left to run out");
        }
        if let Err(error) = self.discovery.withdraw(&self.me).await {
            let why = crate::with_causes(&error);
            tracing::warn!(%why, "the others cannot be told that the worker is gone");
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.attending.abort();
        self.others.iter().for_each(JoinHandle::abort);
    }
}

async fn listen(config: &NodeConfig) -> Result<Listener, NodeError> {
    let failed = |source| NodeError::Listen { address: config.listen, source };
    Listener::bind(config.listen, &config.security).await.map_err(failed)
}

/// Tells the others where this worker is.
async fn announce(name: &str, address: &str, to: &dyn Discovery) -> Result<Member, NodeError> {
    let me = Member { name: name.to_owned(), address: address.to_owned() };
    to.announce(&me).await?;
    Ok(me)
}

/// Where this process reaches itself: on its machine, whoever knows its name.
fn here(security: &Security, bound: SocketAddr, address: &str) -> Arc<str> {
    if let Security::Within(_) = security {
        return address.into();
    }
    let ip = match bound.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip @ (IpAddr::V4(_) | IpAddr::V6(_)) => ip,
    };
    format!("{}://{}", security.scheme(), SocketAddr::new(ip, bound.port())).into()
}

/// What the worker says of itself to who leads.
fn register(worker: String, labels: BTreeSet<String>, address: String) -> v1::Register {
    let labels = labels.into_iter().collect();
    v1::Register { worker, incarnation: incarnation(), address, labels, starts_at_once: true }
}

/// What the worker does for others.
fn peer(name: &str, around: &Surroundings, channels: &Channels, counts: &Counts) -> Peer {
    let (store, provisions) = (around.store.clone(), Arc::clone(&around.provisions));
    let tracer = Tracer { worker: name.into(), traces: around.traces.clone() };
    Peer::new(store, provisions, channels.clone(), counts.clone(), tracer)
}

/// Tells this process from others under the same name.
fn incarnation() -> String {
    use std::hash::{BuildHasher as _, RandomState};
    format!("{:08x}", RandomState::new().hash_one(std::process::id()) & 0xffff_ffff)
}
