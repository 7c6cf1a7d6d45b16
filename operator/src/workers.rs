//! The workers of graphs, as the operator asks them: by the service `Runs` and nothing else.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use superstep_proto::v1::runs_client::RunsClient;
use superstep_transport::{AddressError, IdentityError, MESSAGE, Security, channel};
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

use crate::names::{GRPC, OfGraph};

/// How long workers may take to say how a run stands.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long they may take to begin one: models are loaded before.
const LONG: Duration = Duration::from_secs(300);

/// Why workers cannot be asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WorkersError {
    /// Their address is none.
    #[error("the workers of graph \"{graph}\" have no address")]
    Address {
        /// The graph.
        graph: String,
        /// Why.
        source: AddressError,
    },
    /// The name of their graph is none.
    #[error("graph \"{graph}\" has no name that a certificate could have")]
    Name {
        /// The graph.
        graph: String,
        /// Why.
        source: IdentityError,
    },
    /// There is no certificate to show to them.
    #[error("there is no certificate for namespace \"{namespace}\"")]
    Certificate {
        /// The namespace.
        namespace: String,
        /// Why.
        source: CertificateError,
    },
}

/// Why there is no certificate.
pub(crate) type CertificateError = Box<dyn std::error::Error + Send + Sync>;

/// What the operator shows to the workers of a namespace.
pub(crate) trait Certificates: std::fmt::Debug + Send + Sync {
    /// Its certificate there.
    ///
    /// # Errors
    /// There is none.
    fn for_namespace(&self, namespace: &str) -> Result<Security, CertificateError>;
}

/// The workers of all graphs.
#[derive(Debug)]
pub(crate) struct Workers {
    certificates: Arc<dyn Certificates>,
    domain: String,
    channels: Mutex<HashMap<(String, String), Channel>>,
}

impl Workers {
    /// Workers that are reached with these certificates. `domain` is that of services, such as `svc`.
    pub(crate) fn new(certificates: Arc<dyn Certificates>, domain: impl Into<String>) -> Self {
        Self { certificates, domain: domain.into(), channels: Mutex::default() }
    }

    /// The service of the workers of a graph.
    ///
    /// # Errors
    /// They cannot be asked.
    pub(crate) fn runs(&self, namespace: &str, graph: &str) -> Result<RunsClient<Channel>, WorkersError> {
        let key = (namespace.to_owned(), graph.to_owned());
        let mut channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        let channel = match channels.get(&key) {
            Some(channel) => channel.clone(),
            None => {
                let channel = self.channel(namespace, graph)?;
                channels.insert(key, channel.clone());
                channel
            }
        };
        Ok(RunsClient::new(channel).max_decoding_message_size(MESSAGE).max_encoding_message_size(MESSAGE))
    }

    /// Forgets the workers of graphs that are gone.
    pub(crate) fn keep(&self, is_there: impl Fn(&str, &str) -> bool) {
        let mut channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        channels.retain(|(namespace, graph), _| is_there(namespace, graph));
    }

    fn channel(&self, namespace: &str, graph: &str) -> Result<Channel, WorkersError> {
        let security = self.certificates.for_namespace(namespace);
        let security = security
            .map_err(|source| WorkersError::Certificate { namespace: namespace.to_owned(), source })?;
        let graph = graph.to_owned();
        let name = match graph.parse() {
            Ok(name) => name,
            Err(source) => return Err(WorkersError::Name { graph, source }),
        };
        let address =
            format!("{}://{}.{namespace}.{}:{GRPC}", security.scheme(), OfGraph(&graph).runs(), self.domain);
        channel(&address, &security, Some(&name)).map_err(|source| WorkersError::Address { graph, source })
    }
}

/// A request with the patience that answers from memory need.
pub(crate) fn short<T>(message: T) -> Request<T> {
    with_patience(message, PATIENCE)
}

/// A request with the patience that loading models needs.
pub(crate) fn long<T>(message: T) -> Request<T> {
    with_patience(message, LONG)
}

fn with_patience<T>(message: T, patience: Duration) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(patience);
    request
}

/// Whether the same request may go well later.
pub(crate) fn may_pass(status: &Status) -> bool {
    match status.code() {
        Code::Unavailable
        | Code::DeadlineExceeded
        | Code::Cancelled
        | Code::Unknown
        | Code::Internal
        | Code::Aborted
        | Code::ResourceExhausted
        // The certificate may have run out, or that of the workers.
        | Code::Unauthenticated
        | Code::PermissionDenied
        // Workers of an older release.
        | Code::Unimplemented => true,
        Code::Ok
        | Code::InvalidArgument
        | Code::NotFound
        | Code::AlreadyExists
        | Code::FailedPrecondition
        | Code::OutOfRange
        | Code::DataLoss => false,
    }
}
