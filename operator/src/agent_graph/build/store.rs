//! Where the runs of a graph are kept, as its pods have it.

use k8s_openapi::api::core::v1::{EnvFromSource, SecretEnvSource, Volume, VolumeMount};

use super::Plan;
use crate::pods::{claimed, ephemeral, mounted};

/// The folder of runs, where they are kept in one.
const FOLDER: &str = "/runs";
/// The volume of that folder.
const VOLUME: &str = "runs";

/// A store.
pub(super) struct Store {
    /// Where it is.
    pub(super) url: String,
    /// The volume that it is in, and where that is seen.
    pub(super) volume: Option<(Volume, VolumeMount)>,
    /// The Secret with what it takes to reach it.
    pub(super) secret: Option<EnvFromSource>,
    /// Whether it is reached over the network.
    pub(super) is_remote: bool,
}

/// The store of a graph, or of all that say nothing of it.
pub(super) fn store(plan: &Plan<'_>) -> Store {
    let default = &plan.settings.store;
    match &plan.workers.store {
        Some(own) => match (&own.object, &own.claim) {
            (Some(object), _) => {
                let secret = object.secret_ref.as_ref().map(|secret| secret.name.as_str());
                remote(object.url.clone(), secret)
            }
            (None, Some(claim)) => in_claim(plan, &claim.name),
            (None, None) => with_the_pod(),
        },
        None => match (&default.url, &default.claim) {
            (Some(url), _) => {
                let url =
                    url.replace("{namespace}", &plan.owner.namespace).replace("{graph}", &plan.owner.name);
                remote(url, default.secret.as_deref())
            }
            (None, Some(claim)) => in_claim(plan, claim),
            (None, None) => with_the_pod(),
        },
    }
}

fn remote(url: String, secret: Option<&str>) -> Store {
    let secret = secret.map(|name| EnvFromSource {
        secret_ref: Some(SecretEnvSource { name: name.to_owned(), optional: Some(false) }),
        ..EnvFromSource::default()
    });
    let is_remote = !url.starts_with("file:");
    Store { url, volume: None, secret, is_remote }
}

fn in_claim(plan: &Plan<'_>, claim: &str) -> Store {
    // Graphs may share a claim, and each has a folder of its own in it.
    let url = format!("file://{FOLDER}/{}", plan.owner.name);
    in_folder(url, claimed(VOLUME, claim, false))
}

fn with_the_pod() -> Store {
    in_folder(format!("file://{FOLDER}"), ephemeral(VOLUME, false))
}

fn in_folder(url: String, volume: Volume) -> Store {
    Store { url, volume: Some((volume, mounted(VOLUME, FOLDER, false))), secret: None, is_remote: false }
}
