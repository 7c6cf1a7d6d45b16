//! What every controller is given.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use k8s_openapi::NamespaceResourceScope;
use kube::{Api, Client, Resource};
use superstep_api::{AgentGraphObject, AgentGraphPatchObject, GraphRunObject, ModelServerObject};
use tokio::sync::watch;

use crate::backoff::Backoff;
use crate::events::Events;
use crate::graph_run::{Compared, Mirrored, Unpatched};
use crate::metrics::Metrics;
use crate::model_server::Scaled;
use crate::pace::Pace;
use crate::remembered::Remembered;
use crate::settings::Settings;
use crate::watched::Watched;
use crate::workers::Workers;

/// What the controllers of one namespace, or of all namespaces, share.
pub(crate) struct Context {
    /// The API server.
    pub(crate) client: Client,
    /// How the operator was installed.
    pub(crate) settings: Arc<Settings>,
    /// What is counted.
    pub(crate) metrics: Arc<Metrics>,
    /// How long objects wait that could not be reconciled.
    pub(crate) backoff: Backoff,
    /// What people are told of objects.
    pub(crate) events: Events,
    /// The authorities of workers' certificates, as PEM; none as long as nobody has made one.
    pub(crate) authorities: watch::Receiver<Option<Arc<str>>>,
    /// The workers of graphs.
    pub(crate) workers: Arc<Workers>,
    /// How often the status of runs and patches is written at most, all of them together.
    pub(crate) pace: Arc<Pace>,
    /// When each run was looked at.
    pub(crate) looked: Remembered<Instant>,
    /// Which documents of their graphs runs were compared with.
    pub(crate) compared: Remembered<Compared>,
    /// How much of what runs changed of their graphs was mirrored.
    pub(crate) mirrored: Remembered<Mirrored>,
    /// Which proposals of runs have no patch.
    pub(crate) unpatched: Remembered<Unpatched>,
    /// How many replicas servers were last decided to have whose number follows their load.
    pub(crate) scaled: Remembered<Scaled>,
    /// The namespace that is looked after; none is all of them.
    pub(crate) namespace: Option<String>,
    /// The graphs.
    pub(crate) graphs: Arc<Watched<AgentGraphObject>>,
    /// The changes of graphs.
    pub(crate) patches: Arc<Watched<AgentGraphPatchObject>>,
    /// The runs.
    pub(crate) runs: Arc<Watched<GraphRunObject>>,
    /// The models.
    pub(crate) servers: Arc<Watched<ModelServerObject>>,
}

/// What the controllers of all namespaces share.
#[derive(Clone)]
pub(crate) struct Shared {
    /// The API server.
    pub(crate) client: Client,
    /// How the operator was installed.
    pub(crate) settings: Arc<Settings>,
    /// What is counted.
    pub(crate) metrics: Arc<Metrics>,
    /// The authorities of workers' certificates.
    pub(crate) authorities: watch::Receiver<Option<Arc<str>>>,
    /// The workers of graphs.
    pub(crate) workers: Arc<Workers>,
    /// How often the status of runs and patches is written at most.
    pub(crate) pace: Arc<Pace>,
}

impl Context {
    /// The context of a namespace, or of all of them, of which nothing is known.
    pub(crate) fn new(shared: &Shared, namespace: Option<String>) -> Self {
        let Shared { client, settings, metrics, authorities, workers, pace } = shared.clone();
        Self {
            events: Events::new(client.clone(), &settings.name),
            client,
            settings,
            metrics,
            backoff: Backoff::default(),
            authorities,
            workers,
            pace,
            looked: Remembered::default(),
            compared: Remembered::default(),
            mirrored: Remembered::default(),
            unpatched: Remembered::default(),
            scaled: Remembered::default(),
            namespace,
            graphs: Arc::default(),
            patches: Arc::default(),
            runs: Arc::default(),
            servers: Arc::default(),
        }
    }

    /// The objects of a kind that are looked after.
    pub(crate) fn api<K>(&self) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    {
        match &self.namespace {
            Some(namespace) => Api::namespaced(self.client.clone(), namespace),
            None => Api::all(self.client.clone()),
        }
    }

    /// Forgets what is remembered of objects that are gone.
    pub(crate) fn forget(&self) {
        let runs: HashSet<String> = self.runs.all().filter_map(|run| run.metadata.uid.clone()).collect();
        self.looked.keep(|uid| runs.contains(uid));
        self.compared.keep(|uid| runs.contains(uid));
        self.mirrored.keep(|uid| runs.contains(uid));
        self.unpatched.keep(|uid| runs.contains(uid));
        let servers: HashSet<String> =
            self.servers.all().filter_map(|server| server.metadata.uid.clone()).collect();
        self.scaled.keep(|uid| servers.contains(uid));
        self.workers.keep(|namespace, graph| {
            // What another context looks after is its own.
            self.namespace.as_ref().is_some_and(|own| own != namespace) || self.graphs.has(namespace, graph)
        });
    }

    /// Waits until the objects of all kinds of ours have been seen once.
    pub(crate) async fn has_seen_all(&self) {
        tokio::join!(
            self.graphs.has_seen_all(),
            self.patches.has_seen_all(),
            self.runs.has_seen_all(),
            self.servers.has_seen_all(),
        );
    }
}
