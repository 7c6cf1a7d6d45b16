//! What a vertex does.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::combine::Combine;
use crate::context::Context;
use crate::delivery::Delivery;
use crate::graph::Graph;

/// A vertex program (Malewicz et al., *Pregel*, 2010, §2 and §3).
///
/// In superstep 0 every vertex is computed, without messages. Later a vertex is computed if it got messages, or
/// did not vote to halt when it was last computed. The execution ends when nobody would be computed, or
/// [`finished`](Self::finished) says so.
pub trait VertexProgram: Sync {
    /// What a vertex holds.
    type Value: Clone + Send + Sync + Serialize + DeserializeOwned;
    /// What vertices send.
    type Message: Clone + Send + Sync + Serialize + DeserializeOwned;
    /// What all vertices fold together in a superstep and see in the next one. `()` for nothing.
    type Aggregate: Combine + Serialize + DeserializeOwned;
    /// How messages travel: [`Each`](crate::Each), [`Combined`](crate::Combined) or
    /// [`Broadcast`](crate::Broadcast).
    type Delivery: Delivery<Self::Message>;

    /// The value of a vertex before superstep 0.
    fn initial(&self, graph: &Graph, vertex: u32) -> Self::Value;

    /// One vertex in one superstep. It must not depend on anything but what it is given.
    ///
    /// `messages` holds one message at most if they are folded, else all, in the order of their senders.
    fn compute(&self, context: &mut Context<'_, Self>, value: &mut Self::Value, messages: &[Self::Message]);

    /// Which edges [`Context::send_along`] follows.
    fn along(&self) -> Along {
        Along::Out
    }

    /// Whether the execution ends before this superstep, whose vertices would see this aggregate.
    fn finished(&self, _superstep: u64, _aggregate: &Self::Aggregate) -> bool {
        false
    }
}

/// The edges that messages follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Along {
    /// Edges that leave the vertex.
    Out,
    /// Edges that leave it and edges that come to it, each undirected edge once.
    Both,
}
