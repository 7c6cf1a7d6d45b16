//! Results that are taken again: by what decides them, for as long as their vertices say.

mod flight;
mod program;
mod reads;

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use superstep_engine::{Failure, ProgramResult, View};
use superstep_graph::{CacheSpec, VertexSpec, canonical_json};
use superstep_store::{Digest, KeptResult, Results, StoreError};

use crate::cel::Expression;
use crate::programs::PrepareError;
use crate::roots::Bindings;
use flight::Flights;
use reads::Reads;

pub(crate) use program::Cached;

/// The target of the call by which a kept result is recorded, which uses nothing.
pub const CACHE_TARGET: &str = "cache";

/// Kept results of vertices with a `cache`, and those that are on their way: of equal activations that run at the
/// same time, one works and the others wait for its result. Clones share them.
#[derive(Clone, Debug)]
pub struct ResultCache {
    results: Results,
    meanings: BTreeMap<String, Value>,
    flights: Flights,
}

impl Default for ResultCache {
    /// A cache that is gone with its last clone.
    fn default() -> Self {
        Self::new(Results::memory(), BTreeMap::new())
    }
}

impl ResultCache {
    /// A cache of what `results` keep. `meanings` tells what the names stand for that vertices use, as
    /// `model NAME` and `tool NAME`: where that changes, what was kept is not taken again. A name without a
    /// meaning stands for itself.
    pub fn new(results: Results, meanings: BTreeMap<String, Value>) -> Self {
        Self { results, meanings, flights: Flights::default() }
    }

    /// The result of `key`, if one is kept that is younger than `ttl`. What cannot be read is a miss, with a
    /// warning.
    fn find(&self, key: Digest, ttl: Duration) -> Option<ProgramResult> {
        let kept = match self.results.find(key) {
            Ok(kept) => kept?,
            Err(error) => {
                warn(&error, "a kept result is not taken");
                return None;
            }
        };
        // What was kept by a clock that was ahead is not believed to be new for ever.
        let age = now().checked_sub(kept.kept_at)?;
        if age >= ttl.as_secs().max(1) {
            return None;
        }
        match serde_json::from_slice(&kept.bytes) {
            Ok(result) => Some(result),
            Err(error) => {
                tracing::warn!(%error, "a kept result of another version is not taken");
                None
            }
        }
    }

    /// Keeps `result`, unless it changes the graph or has receivers of its own. What cannot be kept is a
    /// warning: the run goes on.
    fn keep(&self, key: Digest, ttl: Duration, result: &ProgramResult) {
        if !result.mutations.is_empty() || !result.direct.is_empty() {
            return;
        }
        let bytes = serde_json::to_vec(result).expect("a result has text keys only");
        let kept_at = now();
        let until = kept_at.saturating_add(ttl.as_secs().max(1));
        if let Err(error) = self.results.keep(key, KeptResult { kept_at, until, bytes }) {
            warn(&error, "a result is not kept");
        }
    }

    /// What a vertex with a `cache` needs; none for one without.
    ///
    /// # Errors
    /// An expression does not compile.
    pub(crate) fn keying(&self, vertex: &VertexSpec) -> Result<Option<Keying>, PrepareError> {
        let Some(CacheSpec { ttl, key }) = &vertex.cache else { return Ok(None) };
        let told = match key {
            Some(key) => Told::Key(crate::programs::expression_at(vertex, "cache.key", key)?),
            None => Told::Reads(Reads::of(vertex)?),
        };
        Ok(Some(Keying { program: self.program(vertex), told, ttl: ttl.duration() }))
    }

    /// What a vertex does, whatever it sees.
    fn program(&self, vertex: &VertexSpec) -> String {
        let document = serde_json::to_value(vertex).expect("a vertex has text keys only");
        let kind = vertex.program().map(|program| program.kind()).unwrap_or_default();
        let models = vertex.models_used().map(|model| format!("model {model}"));
        let names = models.chain(vertex.tools_used().map(|tool| format!("tool {tool}")));
        let meanings: BTreeMap<String, &Value> =
            names.filter_map(|name| Some((name.clone(), self.meanings.get(&name)?))).collect();
        canonical_json(&json!({"kind": kind, "program": document[kind], "meanings": meanings}))
    }
}

/// What tells the results of a vertex apart.
#[derive(Debug)]
pub(crate) struct Keying {
    program: String,
    told: Told,
    ttl: Duration,
}

#[derive(Debug)]
enum Told {
    Key(Expression),
    Reads(Reads),
}

impl Keying {
    /// The key of what the vertex gives that sees `view`.
    ///
    /// # Errors
    /// The expression that tells it has no value.
    fn key(&self, view: &View) -> Result<Digest, Failure> {
        let seen = match &self.told {
            Told::Key(key) => key.evaluate(Bindings::Vertex(view))?.value().clone(),
            Told::Reads(reads) => reads.seen(view),
        };
        Ok(Digest::of(format!("{}\n{}", self.program, canonical_json(&seen)).as_bytes()))
    }
}

fn warn(error: &StoreError, what: &str) {
    let cause = std::error::Error::source(error).map(ToString::to_string);
    tracing::warn!(%error, cause, "{what}");
}

/// Seconds since 1970.
fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests;
