//! The ids of a run's trace, equal in every process that works on the run.

use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};
use superstep_engine::{CallKey, Epoch, FrameId};
use superstep_graph::VertexName;

/// An activation, or a group, as messages name it: a vertex starts at most one in a superstep.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) frame: FrameId,
    pub(crate) vertex: VertexName,
    pub(crate) superstep: u64,
}

/// The ids of one run.
#[derive(Clone, Debug)]
pub(crate) struct TraceIds {
    trace: TraceId,
    key: [u8; 32],
}

impl TraceIds {
    /// Those of a run by its name and the second of its start: a name may be used again in another store.
    pub(crate) fn of(run: &str, started_at: u64) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"superstep trace 1");
        hasher.update(&started_at.to_le_bytes());
        hasher.update(run.as_bytes());
        let key = *hasher.finalize().as_bytes();
        let trace = TraceId::from_bytes(first(&key));
        Self { trace, key }
    }

    pub(crate) fn root(&self) -> SpanId {
        self.span("run", &[])
    }

    pub(crate) fn superstep(&self, superstep: u64) -> SpanId {
        self.span("superstep", &superstep.to_le_bytes())
    }

    pub(crate) fn activation(&self, place: &Place) -> SpanId {
        let Place { frame, vertex, superstep } = place;
        self.span("activation", format!("{}/{vertex}@{superstep}", frame.0).as_bytes())
    }

    /// The part of a worker in a superstep, in one term.
    pub(crate) fn share(&self, superstep: u64, worker: &str, epoch: Epoch) -> SpanId {
        self.span("worker", format!("{superstep}/{}/{worker}", epoch.0).as_bytes())
    }

    /// The id of the `sending`th time that a call is sent.
    pub(crate) fn call(&self, call: &CallKey, sending: u64) -> SpanId {
        let name = call.idempotency_key(&self.trace.to_string());
        self.span("call", format!("{name}/{sending}").as_bytes())
    }

    pub(crate) fn context(&self, span: SpanId) -> SpanContext {
        SpanContext::new(self.trace, span, TraceFlags::SAMPLED, false, TraceState::default())
    }

    pub(crate) fn trace(&self) -> TraceId {
        self.trace
    }

    fn span(&self, kind: &str, name: &[u8]) -> SpanId {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(kind.as_bytes());
        hasher.update(&[0]);
        hasher.update(name);
        SpanId::from_bytes(first(hasher.finalize().as_bytes()))
    }
}

fn first<const N: usize>(bytes: &[u8; 32]) -> [u8; N] {
    std::array::from_fn(|index| bytes[index])
}
