//! A worker process: it elects a leader with the others, leads if it is elected, and works on what it is given.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use superstep_engine::Record;
use superstep_proto::v1;
use superstep_store::{Store, StoreError};
use superstep_telemetry::Traces;
use superstep_transport::{
    AddressError, Gate, Identity, Listener, Refusals, Security, check_address, is_of_this_machine,
};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::channels::Channels;
use crate::discovery::{Discovery, DiscoveryError, Member};
use crate::leader::{Attendance, Leader, LeaderHandle, Shared, ToLeader};
use crate::leases::{Election, Leases, Pace, Standing};
use crate::peer::{Attending, Peer, Tracer, attend};
use crate::provisions::Provisions;
use crate::runs::RunsService;
use crate::services::serve;
use crate::stale::Stale;

/// What a worker is started with.
pub struct NodeConfig {
    /// Its name, unique in the group and the same after a restart.
    pub name: String,
    /// Where it listens.
    pub listen: SocketAddr,
    /// Where others reach it, if that is not where it listens: a URI.
    pub address: Option<String>,
    /// What it has, such as `gpu`.
    pub labels: BTreeSet<String>,
    /// How fast a lease changes hands.
    pub pace: Pace,
    /// How its connections are kept from others.
    pub security: Security,
}

impl NodeConfig {
    fn check(&self) -> Result<(), NodeError> {
        let is_good = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if self.name.is_empty() || self.name.len() > 40 || !self.name.bytes().all(is_good) {
            return Err(NodeError::Name { name: self.name.clone() });
        }
        match &self.security {
            Security::Plaintext if !is_of_this_machine(&self.listen.ip().to_string()) => {
                return Err(NodeError::Plaintext { address: self.listen });
            }
            Security::Plaintext | Security::Within(_) => {}
            Security::Mutual(credentials) => match credentials.identity() {
                Identity::Worker { name, .. } if name.as_str() == self.name => {}
                identity @ (Identity::Worker { .. } | Identity::Client { .. }) => {
                    let (name, identity) = (self.name.clone(), Box::new(identity.clone()));
                    return Err(NodeError::Certificate { name, identity });
                }
            },
        }
        self.address.as_ref().map_or(Ok(()), |address| Ok(check_address(address, &self.security)?))
    }
}

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

/// Why a worker cannot start.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// Its name is none.
    #[error("{name:?} is no name of a worker: 1 to 40 of a-z, 0-9 and -")]
    Name {
        /// What it was to be.
        name: String,
    },
    /// Its certificate is another's.
    #[error("the worker is to be {name:?}, and its certificate names {identity}")]
    Certificate {
        /// What it was to be.
        name: String,
        /// Whom the certificate names.
        identity: Box<Identity>,
    },
    /// Others would reach it without encryption.
    #[error(
        "without encryption a worker listens on loopback only, and {address} is not: show certificates, or listen on \
         127.0.0.1"
    )]
    Plaintext {
        /// Where it was to listen.
        address: SocketAddr,
    },
    /// Others could not reach it so.
    #[error("the address of the worker cannot be used")]
    Address(#[from] AddressError),
    /// It cannot listen there.
    #[error("cannot listen on {address}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The store does not keep what it must.
    #[error("the store cannot be used")]
    Store(#[from] StoreError),
    /// The others cannot be told.
    #[error("the other workers cannot be told")]
    Discovery(#[from] DiscoveryError),
    /// The service of reflection cannot be made.
    #[error("the services cannot describe themselves")]
    Reflection(#[from] tonic_reflection::server::Error),
}

/// A worker that works. Dropping it stops it at once, as a crash would.
pub struct Node {
    me: Member,
    discovery: Arc<dyn Discovery>,
    refusals: Refusals,
    leaving: watch::Sender<bool>,
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
        config.check()?;
        let store = around.store.clone();
        tokio::task::spawn_blocking(move || store.probe()).await.expect("probing does not panic")?;
        let listen = |source| NodeError::Listen { address: config.listen, source };
        let listener = Listener::bind(config.listen, &config.security).await.map_err(listen)?;
        let bound = listener.address();
        let scheme = config.security.scheme();
        let address = config.address.unwrap_or_else(|| format!("{scheme}://{bound}"));
        let me = Member { name: config.name.clone(), address: address.clone() };
        around.discovery.announce(&me).await?;
        let channels = Channels::new(config.security.clone());
        let (leader_here, leads) = watch::channel(None);
        let (leader_address, leader_is_at) = watch::channel(None);
        let (leaving, wants_to_leave) = watch::channel(false);
        let stale = Stale::default();
        let (store, provisions) = (around.store.clone(), Arc::clone(&around.provisions));
        let tracer = Tracer { worker: config.name.as_str().into(), traces: around.traces.clone() };
        let peer = Peer::new(store, provisions, channels.clone(), stale.clone(), tracer);
        let runs = RunsService {
            name: config.name.clone(),
            store: around.store.clone(),
            provisions: Arc::clone(&around.provisions),
            leader: leads.clone(),
            leader_is_at: leader_is_at.clone(),
            channels: channels.clone(),
            stale: stale.clone(),
            refusals: config.security.refusals(),
        };
        let attendance = Attendance::new(&config.name, leads, Gate::for_workers(&config.security));
        let server = serve(listener, &config.security, attendance, peer.clone(), runs)?;
        let election = Elections {
            election: Election::new(config.name.clone(), config.pace, Instant::now()),
            around: around.clone(),
            me: me.clone(),
            leader_here,
            leader_address,
            looked: watch::channel(Instant::now()).0,
            stale,
            leaving: wants_to_leave.clone(),
        };
        let register = v1::Register {
            worker: config.name,
            incarnation: incarnation(),
            address,
            labels: config.labels.into_iter().collect(),
        };
        let attending = attend(Attending {
            peer,
            channels,
            discovery: Arc::clone(&around.discovery),
            register,
            leader: leader_is_at,
            leaving: wants_to_leave,
        });
        Ok(Self {
            me,
            discovery: around.discovery,
            refusals: config.security.refusals(),
            leaving,
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
    pub fn refusals(&self) -> &Refusals {
        &self.refusals
    }

    /// Stops the worker once the leader has given its vertices to others: nothing is done again because of it. It
    /// takes as long as what is in flight takes.
    pub async fn leave(mut self) {
        if self.leaving.send(true).is_ok()
            && let Err(error) = (&mut self.attending).await
        {
            tracing::warn!(%error, "the worker has stopped before it was dismissed");
        }
        if let Err(error) = self.withdraw().await {
            let why = crate::with_causes(&error);
            tracing::warn!(%why, "the others cannot be told that the worker is gone");
        }
    }

    /// Tells the others that the worker is gone, unless another process has its name by then.
    async fn withdraw(&self) -> Result<(), DiscoveryError> {
        if self.discovery.members().await?.contains(&self.me) {
            self.discovery.withdraw(&self.me.name).await?;
        }
        Ok(())
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.attending.abort();
        self.others.iter().for_each(JoinHandle::abort);
    }
}

/// Tells this process from others under the same name.
fn incarnation() -> String {
    use std::hash::{BuildHasher as _, RandomState};
    format!("{:08x}", RandomState::new().hash_one(std::process::id()) & 0xffff_ffff)
}

/// The part of a worker that elects.
struct Elections {
    election: Election,
    around: Surroundings,
    me: Member,
    leader_here: watch::Sender<Option<LeaderHandle>>,
    leader_address: watch::Sender<Option<Arc<str>>>,
    /// When the lease was looked at last, whatever came of it.
    looked: watch::Sender<Instant>,
    stale: Stale,
    leaving: watch::Receiver<bool>,
}

impl Elections {
    async fn go_on(mut self) {
        let mut look = tokio::time::interval(self.election.pace().looks);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            look.tick().await;
            if *self.leaving.borrow() {
                self.give_up().await;
                continue;
            }
            if let Err(error) = self.look().await {
                let why = crate::with_causes(&error);
                tracing::warn!(%why, "the lease cannot be looked at");
            }
            self.follow().await;
            self.looked.send_replace(Instant::now());
        }
    }

    async fn look(&mut self) -> Result<(), crate::leases::LeaseError> {
        let read = self.around.leases.read().await?;
        if let Some(next) = self.election.look(read.clone(), Instant::now()) {
            let written = self.around.leases.replace(read, next.clone()).await?;
            self.election.wrote(next, written, Instant::now());
        }
        Ok(())
    }

    /// Leads, or follows who leads. A worker that has begun to lead goes on with its runs as long as nobody takes
    /// them: the lease says only whom others attend to.
    async fn follow(&self) {
        match self.election.standing(Instant::now()) {
            Standing::Leads => {
                if self.leader_here.borrow().is_none() {
                    tracing::info!(worker = self.me.name, "this worker leads");
                    self.leader_here.send_replace(Some(self.begin()));
                }
                self.set_address(Some(self.me.address.as_str().into()));
            }
            Standing::Follows(name) => {
                match self.around.discovery.members().await {
                    Ok(members) => {
                        let leader = members.into_iter().find(|member| member.name == name);
                        self.set_address(leader.map(|leader| leader.address.into()));
                    }
                    Err(error) => {
                        let why = crate::with_causes(&error);
                        tracing::warn!(%why, "the leader cannot be found");
                    }
                }
                self.stop_leading();
            }
            Standing::Vacant => {}
        }
    }

    /// Another one leads: nobody attends here any more, and he takes the runs.
    fn stop_leading(&self) {
        if self.leader_here.borrow().is_some() {
            tracing::info!(worker = self.me.name, "another worker leads");
            self.leader_here.send_replace(None);
        }
    }

    fn set_address(&self, address: Option<Arc<str>>) {
        self.leader_address.send_if_modified(|known| {
            let changed = *known != address;
            *known = address;
            changed
        });
    }

    fn begin(&self) -> LeaderHandle {
        let (sender, inbox) = mpsc::unbounded_channel();
        let shared = Shared {
            name: self.me.name.as_str().into(),
            store: self.around.store.clone(),
            provisions: Arc::clone(&self.around.provisions),
            leader: sender.clone(),
            leads: self.leader_here.subscribe(),
            looked: self.looked.subscribe(),
            trusts: self.election.pace().gives_up,
            silent: self.election.taken_from().map(Into::into),
            stale: self.stale.clone(),
            traces: self.around.traces.clone(),
        };
        tokio::spawn(Leader::new(shared, inbox).lead());
        if sender.send(ToLeader::TakeUp).is_err() {
            tracing::trace!("the leader has just begun");
        }
        sender
    }

    /// Gives the lease back, so that another one leads at once.
    async fn give_up(&mut self) {
        if let Some((seen, next)) = self.election.release() {
            match self.around.leases.replace(seen, next.clone()).await {
                Ok(written) => self.election.wrote(next, written, Instant::now()),
                Err(error) => {
                    let why = crate::with_causes(&error);
                    tracing::warn!(%why, "the lease cannot be given back");
                }
            }
        }
        if let Err(error) =
            self.around.leases.read().await.map(|read| self.election.look(read, Instant::now()))
        {
            let why = crate::with_causes(&error);
            tracing::warn!(%why, "the lease cannot be looked at");
        }
        if let Standing::Follows(_) = self.election.standing(Instant::now()) {
            self.follow().await;
        }
    }
}
