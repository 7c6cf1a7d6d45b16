//! Workers that are the pods of a StatefulSet: where each is follows from its name, and who is there is known to the DNS of
//! the cluster. The API server is not asked.

use std::collections::BTreeSet;
use std::net::IpAddr;

use futures::future::{BoxFuture, FutureExt as _, ready};
use tokio::net::lookup_host;

use super::{Discovery, DiscoveryError, Member, is_name};

/// The pods of a headless service, which has those that are not ready too (`publishNotReadyAddresses`).
#[derive(Clone, Debug)]
pub struct Pods {
    /// The name of the service, with its namespace.
    service: String,
    port: u16,
}

impl Pods {
    /// The pods of a service, each of which listens at this port.
    #[must_use]
    pub fn new(service: &str, namespace: &str, port: u16) -> Self {
        Self { service: format!("{service}.{namespace}.svc"), port }
    }

    /// Where the pod of this name is.
    #[must_use]
    pub fn address(&self, name: &str) -> String {
        format!("https://{}:{}", self.host(name), self.port)
    }

    fn host(&self, name: &str) -> String {
        format!("{name}.{}", self.service)
    }

    async fn look_up(&self, host: &str) -> Result<BTreeSet<IpAddr>, DiscoveryError> {
        match lookup_host((host, self.port)).await {
            Ok(found) => Ok(found.map(|address| address.ip()).collect()),
            Err(source) => Err(DiscoveryError::Lookup { host: host.to_owned(), source }),
        }
    }

    /// The service has the addresses of all pods, and the pod's name has its own.
    async fn has_pods_beside(&self, name: &str) -> Result<bool, DiscoveryError> {
        let all = self.look_up(&self.service).await?;
        let own = self.look_up(&self.host(name)).await?;
        Ok(!all.is_subset(&own))
    }
}

impl Discovery for Pods {
    /// The cluster knows its pods.
    fn announce<'a>(&'a self, _me: &'a Member) -> BoxFuture<'a, Result<(), DiscoveryError>> {
        ready(Ok(())).boxed()
    }

    fn withdraw<'a>(&'a self, _me: &'a Member) -> BoxFuture<'a, Result<(), DiscoveryError>> {
        ready(Ok(())).boxed()
    }

    /// Whoever may write the lease may write any name into it.
    fn find<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Option<String>, DiscoveryError>> {
        let found = if is_name(name) {
            Ok(Some(self.address(name)))
        } else {
            Err(DiscoveryError::Name { name: name.to_owned() })
        };
        ready(found).boxed()
    }

    fn has_others<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<bool, DiscoveryError>> {
        self.has_pods_beside(name).boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn where_a_pod_is_follows_from_its_name() {
        let pods = Pods::new("triage-workers", "shop", 7101);
        let found = pods.find("triage-worker-0").await.unwrap();
        assert_eq!(found.as_deref(), Some("https://triage-worker-0.triage-workers.shop.svc:7101"));
        for name in ["", "a.example.org/", "a@b", "A", "a:1", &"a".repeat(64)] {
            assert!(matches!(pods.find(name).await, Err(DiscoveryError::Name { .. })), "{name}");
        }
    }

    #[tokio::test]
    async fn who_cannot_be_looked_up_is_not_taken_for_gone() {
        let pods = Pods { service: "superstep.invalid".to_owned(), port: 7101 };
        assert!(matches!(pods.has_others("a").await, Err(DiscoveryError::Lookup { .. })));
    }
}
