//! The group that a worker belongs to, as its arguments say.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use superstep_leases::{FileLease, Leases, Pace};
use superstep_transport::Identity;
use superstep_worker::{Discovery, MemberFolder, Signing};

use crate::arguments::Arguments;

/// Where a worker finds the others.
pub(crate) struct Group {
    pub(crate) leases: Arc<dyn Leases>,
    pub(crate) discovery: Arc<dyn Discovery>,
    pub(crate) pace: Pace,
    /// Where others reach it, if that follows from who it is.
    pub(crate) address: Option<String>,
    /// Whom its certificate has to name, if that is known.
    pub(crate) identity: Option<Identity>,
    /// Who signs that, if the worker has to ask for it.
    pub(crate) signing: Option<Signing>,
}

impl Group {
    pub(crate) async fn of(arguments: &Arguments) -> Result<Self> {
        #[cfg(feature = "kubernetes")]
        if arguments.pod.kubernetes {
            return of_pods(arguments).await;
        }
        of_folder(arguments)
    }
}

fn of_folder(arguments: &Arguments) -> Result<Group> {
    let folder = arguments.group.as_ref().context("a worker has a group: --group DIR")?;
    Ok(Group {
        leases: Arc::new(FileLease::new(folder.join("leader"))),
        discovery: Arc::new(MemberFolder::new(folder.join("members"))?),
        pace: Pace::default(),
        address: None,
        identity: None,
        signing: None,
    })
}

#[cfg(feature = "kubernetes")]
async fn of_pods(arguments: &Arguments) -> Result<Group> {
    use superstep_leases::KubernetesLease;
    use superstep_worker::Pods;

    let (pod, name) = (&arguments.pod, &arguments.name);
    let said = |argument: &Option<String>| {
        argument.clone().context("a pod has a namespace, a graph, a service and a lease")
    };
    let (namespace, graph, service) = (said(&pod.namespace)?, said(&pod.graph)?, said(&pod.service)?);
    let identity = Identity::worker(&namespace, &graph, name)?;
    let signing = pod.signer.as_ref().zip(pod.signer_ca.as_ref()).zip(pod.token.as_ref());
    let signing =
        signing.zip(arguments.tls.as_ref()).map(|(((signer, authorities), token), folder)| Signing {
            signer: signer.clone(),
            authorities: authorities.clone(),
            token: token.clone(),
            folder: folder.clone(),
            identity: identity.clone(),
        });
    let client = kube::Client::try_default().await.context("it is not known where the API server is")?;
    let pace = Pace::of_cluster();
    let pods = Pods::new(&service, &namespace, arguments.listen.port());
    Ok(Group {
        leases: Arc::new(KubernetesLease::new(client, &namespace, &said(&pod.lease)?, pace)),
        address: Some(pods.address(name)),
        discovery: Arc::new(pods),
        pace,
        identity: Some(identity),
        signing,
    })
}
