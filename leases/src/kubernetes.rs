//! A lease as an object of a cluster, which tools read as that of any elected process.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt as _};
use k8s_openapi::api::coordination::v1::{Lease as Object, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use kube::api::{ObjectMeta, PostParams};
use kube::core::Status;
use kube::{Api, Client};

use crate::election::Pace;
use crate::lease::{Lease, LeaseError, Leases};

/// The annotation that counts how often the lease was written.
pub const RENEWALS: &str = "superstep.dev/renewals";

/// Who writes the lease, as its managed fields say.
const MANAGER: &str = "superstep-lease";

/// A lease of `coordination.k8s.io/v1`. It is replaced only if it is what was read, by its resource version, and made only if
/// it is not there: as it was, with its labels and owners, if it was there before and somebody has deleted it. Times are
/// written for others, as client-go does, and never read.
///
/// Whoever uses it may `create`, `get` and `update` it, and no other: it is made by a `PUT` to its name, which the API server
/// takes for leases, and for which a rule with this one name gives the right to create, as it does not for a `POST`.
pub struct KubernetesLease {
    api: Api<Object>,
    namespace: String,
    name: String,
    lasts: Duration,
    /// How long a request may take.
    within: Duration,
    known: Mutex<Known>,
}

/// What is known of the object.
#[derive(Default)]
struct Known {
    /// It, as it was read or written last; none if it is not there, or has changed since.
    now: Option<Object>,
    /// It, as it was when it was there.
    last: Option<Object>,
}

impl KubernetesLease {
    /// The lease `name` of a namespace, which changes hands at this pace. No request takes so long that the pace is not kept.
    #[must_use]
    pub fn new(client: Client, namespace: &str, name: &str, pace: Pace) -> Self {
        Self {
            api: Api::namespaced(client, namespace),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            lasts: pace.lasts,
            // A look is two requests, and there are several looks before the holder gives up.
            within: pace.gives_up / 4,
            known: Mutex::default(),
        }
    }

    async fn read_now(&self) -> Result<Option<Lease>, LeaseError> {
        let found = self.ask("read", self.api.get_opt(&self.name)).await?;
        let lease = found.as_ref().map(lease_of);
        self.know(found);
        Ok(lease)
    }

    async fn replace_now(&self, seen: Option<Lease>, next: Lease) -> Result<bool, LeaseError> {
        let params = PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() };
        let (what, before) = match seen {
            None => ("make", self.anew()),
            Some(seen) => {
                let Some(known) = self.known(&seen).await? else { return Ok(false) };
                ("replace", known)
            }
        };
        let changed = self.rewritten(before, &next);
        match self.ask(what, self.api.replace(&self.name, &params, &changed)).await {
            Ok(written) => {
                self.know(Some(written));
                Ok(true)
            }
            Err(error) if is_outrun(&error) => {
                self.know(None);
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// The object that says `seen`, if the lease still does.
    async fn known(&self, seen: &Lease) -> Result<Option<Object>, LeaseError> {
        let says = |object: &Object| lease_of(object) == *seen;
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).now.clone();
        match known.filter(says) {
            Some(known) => Ok(Some(known)),
            None => Ok(self.ask("read", self.api.get_opt(&self.name)).await?.filter(says)),
        }
    }

    fn know(&self, object: Option<Object>) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if object.is_some() {
            known.last.clone_from(&object);
        }
        known.now = object;
    }

    /// The object to be made where there is none: what it was, without what made it that one. An object without a version
    /// is made only if there is none.
    fn anew(&self) -> Object {
        let last = self.known.lock().unwrap_or_else(PoisonError::into_inner).last.clone();
        let Object { metadata, spec } = last.unwrap_or_default();
        let metadata = ObjectMeta {
            name: Some(self.name.clone()),
            namespace: Some(self.namespace.clone()),
            labels: metadata.labels,
            annotations: metadata.annotations,
            owner_references: metadata.owner_references,
            ..ObjectMeta::default()
        };
        Object { metadata, spec }
    }

    fn rewritten(&self, mut object: Object, next: &Lease) -> Object {
        let annotations = object.metadata.annotations.get_or_insert_default();
        annotations.insert(RENEWALS.to_owned(), next.renewals.to_string());
        let spec = object.spec.take().unwrap_or_default();
        object.spec = Some(spec_of(spec, next, self.lasts, MicroTime(Timestamp::now())));
        object
    }

    async fn ask<T>(
        &self,
        what: &'static str,
        request: impl Future<Output = kube::Result<T>>,
    ) -> Result<T, LeaseError> {
        let (namespace, name) = (self.namespace.clone(), self.name.clone());
        match tokio::time::timeout(self.within, request).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(source)) => Err(LeaseError::Cluster { what, namespace, name, source: Box::new(source) }),
            Err(_) => Err(LeaseError::Silent { what, namespace, name, after: self.within }),
        }
    }
}

impl Leases for KubernetesLease {
    fn read(&self) -> BoxFuture<'_, Result<Option<Lease>, LeaseError>> {
        self.read_now().boxed()
    }

    fn replace(&self, seen: Option<Lease>, next: Lease) -> BoxFuture<'_, Result<bool, LeaseError>> {
        self.replace_now(seen, next).boxed()
    }
}

/// What an object says. One that counts nothing was made by others, and is counted from its next writing on.
fn lease_of(object: &Object) -> Lease {
    let holder = object.spec.as_ref().and_then(|spec| spec.holder_identity.clone());
    let renewals = object.metadata.annotations.as_ref().and_then(|all| all.get(RENEWALS)?.parse().ok());
    Lease { holder: holder.filter(|holder| !holder.is_empty()), renewals: renewals.unwrap_or(0) }
}

/// A lease as client-go writes it: one that was given back has nobody, for a second.
fn spec_of(before: LeaseSpec, next: &Lease, lasts: Duration, now: MicroTime) -> LeaseSpec {
    let holder = next.holder.clone().unwrap_or_default();
    let stays = before.holder_identity.as_ref() == Some(&holder);
    let lasts = if holder.is_empty() { 1 } else { i32::try_from(lasts.as_secs()).unwrap_or(i32::MAX).max(1) };
    let changes = if stays || holder.is_empty() { 0 } else { 1 };
    LeaseSpec {
        acquire_time: before.acquire_time.filter(|_| stays).or(Some(now.clone())),
        lease_transitions: Some(before.lease_transitions.map_or(0, |count| count.saturating_add(changes))),
        lease_duration_seconds: Some(lasts),
        renew_time: Some(now),
        holder_identity: Some(holder),
        ..before
    }
}

/// Whether another has changed the lease since it was read, or made it.
fn is_outrun(error: &LeaseError) -> bool {
    let LeaseError::Cluster { source, .. } = error else { return false };
    let kube::Error::Api(status) = &**source else { return false };
    matches!(status.code, 404 | 409) || (status.code == 422 && misses_version(status))
}

/// Whether the API server says that what is to be replaced has to say which version of it.
fn misses_version(status: &Status) -> bool {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    causes.into_iter().any(|cause| cause.field == "metadata.resourceVersion")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> MicroTime {
        MicroTime(Timestamp::from_second(second).unwrap())
    }

    fn written(before: LeaseSpec, holder: Option<&str>, second: i64) -> LeaseSpec {
        let next = Lease { holder: holder.map(str::to_owned), renewals: 1 };
        spec_of(before, &next, Duration::from_secs(10), at(second))
    }

    #[test]
    fn a_lease_is_written_as_client_go_does() {
        let taken = written(LeaseSpec::default(), Some("one"), 1);
        let expected = LeaseSpec {
            acquire_time: Some(at(1)),
            holder_identity: Some("one".to_owned()),
            lease_duration_seconds: Some(10),
            lease_transitions: Some(0),
            renew_time: Some(at(1)),
            ..LeaseSpec::default()
        };
        assert_eq!(taken, expected);
        let renewed = written(taken, Some("one"), 2);
        assert_eq!(renewed, LeaseSpec { renew_time: Some(at(2)), ..expected });
        let given_back = written(renewed, None, 3);
        assert_eq!(given_back.holder_identity.as_deref(), Some(""));
        assert_eq!((given_back.lease_duration_seconds, given_back.lease_transitions), (Some(1), Some(0)));
        let taken = written(given_back, Some("two"), 4);
        assert_eq!((taken.lease_transitions, taken.acquire_time), (Some(1), Some(at(4))));
        assert_eq!(taken.lease_duration_seconds, Some(10));
    }

    #[test]
    fn what_others_have_made_is_a_lease() {
        let mut object = Object::default();
        assert_eq!(lease_of(&object), Lease { holder: None, renewals: 0 });
        object.spec = Some(LeaseSpec { holder_identity: Some(String::new()), ..LeaseSpec::default() });
        assert_eq!(lease_of(&object), Lease { holder: None, renewals: 0 });
        object.spec = Some(LeaseSpec { holder_identity: Some("one".to_owned()), ..LeaseSpec::default() });
        object.metadata.annotations = Some([(RENEWALS.to_owned(), "7".to_owned())].into());
        assert_eq!(lease_of(&object), Lease { holder: Some("one".to_owned()), renewals: 7 });
    }
}
