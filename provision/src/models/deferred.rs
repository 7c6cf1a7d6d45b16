//! Servers whose model is loaded when it is needed.

use std::sync::Arc;

use superstep_api::ModelServer;
use superstep_runtime::{Deferred, Loaded};

use super::{Downloads, ModelError, calls_tools, load_server};

/// The model of a server, which is loaded when it is needed.
pub(super) fn deferred(server: &ModelServer, downloads: &Arc<dyn Downloads>) -> Deferred {
    let (named, downloads) = (server.clone(), Arc::clone(downloads));
    let make = move || {
        let served = load_server(&named, &*downloads)?;
        if served.writing.is_none() && served.embedding.is_none() {
            let server = named.metadata.name.clone();
            return Err(ModelError::OnlyRanks { name: server.as_str().into(), server }.into());
        }
        tracing::info!(server = named.metadata.name, "a model is loaded");
        Ok(Loaded { writing: served.writing, embedding: served.embedding })
    };
    let says = (calls_tools(&server.spec), server.spec.prices.unwrap_or_default());
    Deferred::new(server.metadata.name.clone(), says, make)
}
