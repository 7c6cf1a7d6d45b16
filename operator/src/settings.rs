//! How the operator was installed.

use std::net::SocketAddr;

use clap::Args;

use crate::certificates::Signing;

/// What `superstep-operator run` is given.
#[derive(Args, Clone, Debug)]
pub(crate) struct Settings {
    /// The namespaces that are looked after, by commas or repeated; all of them if left out
    #[arg(long = "namespace", env = "SUPERSTEP_NAMESPACES", value_delimiter = ',', value_name = "NAMESPACE")]
    namespaces: Vec<String>,
    /// The namespace of the operator itself
    #[arg(long, env = "POD_NAMESPACE", default_value = "superstep", value_name = "NAMESPACE")]
    pub(crate) own_namespace: String,
    /// The name of this process among those of the operator
    #[arg(long, env = "POD_NAME", default_value = "superstep-operator", value_name = "NAME")]
    pub(crate) name: String,
    /// A Lease of the operator's namespace, by which one of several processes is elected that works; without it, each works
    #[arg(long, env = "SUPERSTEP_LEASE", value_name = "NAME")]
    pub(crate) lease: Option<String>,
    #[command(flatten)]
    pub(crate) images: Images,
    #[command(flatten)]
    pub(crate) store: DefaultStore,
    /// A PersistentVolumeClaim of each namespace that pods have as /models, to read
    #[arg(long, env = "SUPERSTEP_MODELS_CLAIM", value_name = "NAME")]
    pub(crate) models_claim: Option<String>,
    /// Where workers have their certificates signed, such as <https://superstep-operator.superstep.svc:8443>
    #[arg(long, env = "SUPERSTEP_SIGNER_ADDRESS", value_name = "URL")]
    pub(crate) signer_address: Option<String>,
    #[command(flatten)]
    pub(crate) signing: Signing,
    /// Addresses and ports of the API server that pods may reach, such as 10.0.0.1:6443; if left out, the usual
    /// ports everywhere
    #[arg(long = "api-server", env = "SUPERSTEP_API_SERVERS", value_delimiter = ',', value_name = "IP:PORT")]
    pub(crate) api_servers: Vec<SocketAddr>,
    /// Make no NetworkPolicies: the cluster has its own
    #[arg(long, env = "SUPERSTEP_NO_NETWORK_POLICIES")]
    pub(crate) no_network_policies: bool,
    /// Where health and metrics are served
    #[arg(long, env = "SUPERSTEP_HEALTH", default_value = "0.0.0.0:8080", value_name = "ADDRESS:PORT")]
    pub(crate) health: SocketAddr,
    /// Write log lines as JSON
    #[arg(long, env = "SUPERSTEP_LOG_JSON")]
    pub(crate) log_json: bool,
}

/// The images of pods.
#[derive(Args, Clone, Debug)]
pub(crate) struct Images {
    /// The image of workers, and of model servers with engine candle
    #[arg(long = "worker-image", env = "SUPERSTEP_WORKER_IMAGE", value_name = "IMAGE")]
    pub(crate) worker: String,
    /// The same for pods with GPUs; that of the others if left out
    #[arg(long = "worker-gpu-image", env = "SUPERSTEP_WORKER_GPU_IMAGE", value_name = "IMAGE")]
    pub(crate) worker_gpu: Option<String>,
    /// When images are pulled: Always, IfNotPresent or Never; as Kubernetes has it if left out
    #[arg(long = "image-pull-policy", env = "SUPERSTEP_IMAGE_PULL_POLICY", value_name = "POLICY")]
    pub(crate) pull_policy: Option<String>,
    /// Secrets of each namespace with which images are pulled
    #[arg(
        long = "image-pull-secret",
        env = "SUPERSTEP_IMAGE_PULL_SECRETS",
        value_delimiter = ',',
        value_name = "NAME"
    )]
    pub(crate) pull_secrets: Vec<String>,
}

/// Where the runs of graphs are kept that say nothing of it. Without any of it they go with their pods.
#[derive(Args, Clone, Debug)]
pub(crate) struct DefaultStore {
    /// Where runs are kept, such as s3://BUCKET/{namespace}/{graph}
    #[arg(long = "store", env = "SUPERSTEP_STORE_URL", value_name = "URL", conflicts_with = "claim")]
    pub(crate) url: Option<String>,
    /// A Secret of each namespace whose keys the workers have as variables of their environment
    #[arg(
        id = "store-secret",
        long = "store-secret",
        env = "SUPERSTEP_STORE_SECRET",
        value_name = "NAME",
        requires = "url"
    )]
    pub(crate) secret: Option<String>,
    /// A PersistentVolumeClaim of each namespace in which runs are kept
    #[arg(long = "store-claim", env = "SUPERSTEP_STORE_CLAIM", value_name = "NAME")]
    pub(crate) claim: Option<String>,
    /// Ports of object stores, which workers may reach
    #[arg(
        long = "store-port",
        env = "SUPERSTEP_STORE_PORTS",
        value_delimiter = ',',
        default_value = "443,9000",
        value_name = "PORT"
    )]
    pub(crate) ports: Vec<u16>,
}

impl Settings {
    /// The namespaces that are looked after, each by itself; none is all of them.
    pub(crate) fn scopes(&self) -> Vec<Option<String>> {
        let named: Vec<_> =
            self.namespaces.iter().filter(|name| !name.is_empty()).cloned().map(Some).collect();
        if named.is_empty() { vec![None] } else { named }
    }
}
