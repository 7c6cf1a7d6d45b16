//! Making a child what it is to be.

use std::sync::Arc;
use std::time::Duration;

use kube::Api;
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams, Preconditions};

use super::Children;
use super::child::{Child, Owner};
use super::digest::Digest;
use super::drift::{essence, is_as};
use super::known::{CONTEST, Written};
use super::live::Live;
use super::seen::Seen;
use crate::context::Context;
use crate::names::MANAGER;

/// How long a child that is not followed is believed to be there.
const TRUSTED: Duration = Duration::from_secs(60);
/// How often a child is written for the same end within [`CONTEST`].
const ROUNDS: u32 = 5;

/// How a child stands.
#[derive(Clone, Debug)]
pub(crate) enum Settled {
    /// It was what it is to be, as far as is known.
    There,
    /// It was made so.
    Applied,
    /// It was made so a while ago, and is not followed.
    Unseen,
    /// One that had its name is being deleted first.
    Leaving,
}

/// Why a child is not what it is to be.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unsettled {
    /// Somebody else has an object of that name.
    #[error("{kind} {name} belongs to {by}: delete it, or give this object another name")]
    Taken {
        /// The kind of the child.
        kind: String,
        /// Its name.
        name: String,
        /// Whose it is.
        by: String,
    },
    /// Somebody else changes it whenever it is written.
    #[error(
        "{kind} {name} is changed by somebody else as often as it is put right: kubectl get --show-managed-fields tells by whom"
    )]
    Contested {
        /// The kind of the child.
        kind: String,
        /// Its name.
        name: String,
    },
    /// The API server does not take it.
    #[error("{kind} {name} is refused: {why}")]
    Refused {
        /// The kind of the child.
        kind: String,
        /// Its name.
        name: String,
        /// What the API server says.
        why: String,
    },
    /// The API server cannot be asked.
    #[error("{kind} {name} cannot be written")]
    Away {
        /// The kind of the child.
        kind: String,
        /// Its name.
        name: String,
        /// Why.
        source: kube::Error,
    },
}

impl Children {
    /// Makes a child what it is to be, unless it is so already.
    ///
    /// # Errors
    /// Somebody else has the name, the API server refuses it, or cannot be reached.
    pub(crate) async fn settle(
        &self,
        context: &Context,
        owner: &Owner,
        child: &Child,
    ) -> Result<Settled, Unsettled> {
        let api: Api<Live> = Api::namespaced_with(context.client.clone(), &owner.namespace, &child.resource);
        let live = match self.seen(child.kind(), &owner.namespace, child.name()) {
            Some(seen) if !self.is_doubtful(child, &seen) => Some(seen),
            None if self.was_written(child) => return Ok(Settled::Unseen),
            // What bears no label of ours is not followed, and neither is what was made a moment ago.
            Some(_) | None => {
                let found = api.get_opt(child.name()).await.map_err(|error| away(child, error))?;
                found.and_then(|object| object.seen(child.kind())).map(|(_, seen)| Arc::new(seen))
            }
        };
        if let Some(seen) = &live {
            if seen.is_leaving && (seen.is_of(owner) || seen.is_of_a_former(owner)) {
                return Ok(Settled::Leaving);
            }
            if !seen.is_of(owner) && !seen.is_lost() {
                return former(seen, owner, child);
            }
            if self.is_on_its_way(child, seen) {
                return Ok(Settled::Applied);
            }
            if self.is_settled(child, seen) {
                self.note(child, &seen.version, seen.digest, false);
                return Ok(Settled::There);
            }
        }
        if self.is_contested(child) {
            return Err(Unsettled::Contested {
                kind: child.kind().to_owned(),
                name: child.name().to_owned(),
            });
        }
        let how = PatchParams::apply(MANAGER).force();
        let patch = Patch::Apply(&child.object);
        let now = api.patch(child.name(), &how, &patch).await.map_err(|error| refused(child, error))?;
        let before = live.map_or_else(Box::default, |seen| seen.version.clone());
        let Some((_, seen)) = now.seen(child.kind()) else { return Ok(Settled::Leaving) };
        self.note(child, &before, seen.digest, true);
        if seen.version == before {
            return Ok(Settled::There);
        }
        tracing::debug!(kind = child.kind(), name = child.name(), "applied");
        Ok(Settled::Applied)
    }

    /// Notes what was written, or found to be so.
    fn note(&self, child: &Child, before: &str, after: Digest, is_written: bool) {
        let known = self.known(child.kind());
        known.note(child, before, after, is_written);
        // Nobody tells when what is not followed goes, and nothing is made of what was written earlier.
        if !self.follows(child.kind()) {
            known.forget(TRUSTED);
        }
    }

    /// Whether something holds of the last time that a child was written to be what it is to be.
    fn was(&self, child: &Child, holds: impl FnOnce(&Written) -> bool) -> bool {
        self.known(child.kind()).was(child, holds)
    }

    /// Whether somebody changes it back whenever it is written.
    fn is_contested(&self, child: &Child) -> bool {
        self.was(child, |last| last.times >= ROUNDS && last.since.elapsed() < CONTEST)
    }

    /// Whether one that is not followed was written so short a time ago that nobody looks.
    fn was_written(&self, child: &Child) -> bool {
        !self.follows(child.kind()) && self.was(child, |last| last.at.elapsed() < TRUSTED)
    }

    /// Whether it was written, and what was seen last is older than that.
    fn is_on_its_way(&self, child: &Child, seen: &Seen) -> bool {
        self.was(child, |last| last.before == seen.version && last.after != seen.digest)
    }

    /// Whether what is seen of it is what came of writing it, or says the same.
    fn is_settled(&self, child: &Child, seen: &Seen) -> bool {
        self.was(child, |last| last.after == seen.digest)
            || (seen.wanted == Some(child.wanted)
                && seen
                    .essence()
                    .is_some_and(|live| is_as(child.kind(), &live, &essence(child.object.clone()))))
    }

    /// Whether it would have to be compared and only its digest was kept, which is that of an earlier end.
    fn is_doubtful(&self, child: &Child, seen: &Seen) -> bool {
        seen.is_bare()
            && seen.wanted == Some(child.wanted)
            && !self.was(child, |last| last.after == seen.digest)
    }

    /// Deletes those of the owner's children that are none of `wanted`.
    ///
    /// # Errors
    /// The API server refuses it or cannot be reached.
    pub(crate) async fn sweep(
        &self,
        context: &Context,
        owner: &Owner,
        wanted: &[Child],
    ) -> Result<(), kube::Error> {
        for (key, seen) in self.of(owner) {
            if seen.is_leaving || wanted.iter().any(|child| child.key == key) {
                continue;
            }
            let Some(resource) = self.kinds.iter().find(|resource| *resource.kind == *key.kind) else {
                continue;
            };
            let api: Api<DynamicObject> =
                Api::namespaced_with(context.client.clone(), &owner.namespace, resource);
            let exactly = Preconditions {
                uid: Some(seen.uid.to_string()),
                resource_version: Some(seen.version.to_string()),
            };
            let how = DeleteParams { preconditions: Some(exactly), ..DeleteParams::background() };
            match api.delete(&key.name, &how).await {
                Ok(_) => tracing::info!(kind = &*key.kind, name = &*key.name, "deleted: nobody wants it"),
                // Another look is taken when it has been seen as it is.
                Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

fn former(seen: &Seen, owner: &Owner, child: &Child) -> Result<Settled, Unsettled> {
    if seen.is_of_a_former(owner) {
        return Ok(Settled::Leaving);
    }
    let by = seen
        .owner
        .as_ref()
        .map_or_else(|| "nobody that the operator knows".to_owned(), |by| format!("{} {}", by.kind, by.name));
    Err(Unsettled::Taken { kind: child.kind().to_owned(), name: child.name().to_owned(), by })
}

/// A refusal that stays one while nothing is changed, or else a failure.
fn refused(child: &Child, error: kube::Error) -> Unsettled {
    if let kube::Error::Api(status) = &error
        && matches!(status.code, 400 | 403 | 413 | 422)
    {
        let mut why = status.message.clone();
        if why.contains("updates to statefulset spec") {
            why.push_str(
                "; kubectl delete statefulset --cascade=orphan lets it be made anew, and keeps its pods",
            );
        }
        return Unsettled::Refused { kind: child.kind().to_owned(), name: child.name().to_owned(), why };
    }
    away(child, error)
}

fn away(child: &Child, source: kube::Error) -> Unsettled {
    Unsettled::Away { kind: child.kind().to_owned(), name: child.name().to_owned(), source }
}
