//! How messages get from senders to receivers.

mod broadcast;
mod combined;
mod each;

pub use broadcast::Broadcast;
pub use combined::Combined;
pub use each::Each;

use crate::columns::Letters;
use crate::cuts::Cuts;
use crate::graph::Graph;
use crate::program::Along;
use std::ops::Range;
use travel::Travel;

/// How the messages of a program travel: [`Each`], [`Combined`] or [`Broadcast`].
pub trait Delivery<M>: Travel<M> {}

impl<M, D: Travel<M>> Delivery<M> for D {}

/// A delivery that takes a message to any vertex, not only along edges.
pub trait Addressed<M>: Delivery<M> + travel::Put<M> {}

impl<M, D: Delivery<M> + travel::Put<M>> Addressed<M> for D {}

/// What the messages of an execution have in common.
#[derive(Debug)]
pub struct Route<'g> {
    pub(crate) graph: &'g Graph,
    pub(crate) along: Along,
    pub(crate) cuts: Cuts,
    pub(crate) threads: usize,
}

impl<'g> Route<'g> {
    /// Whom a vertex sends to, as two rows.
    #[inline]
    fn sending(&self, vertex: u32) -> [&'g [u32]; 2] {
        [self.graph.forward().of(vertex), if self.both() { self.graph.backward().of(vertex) } else { &[] }]
    }

    /// From whom a vertex receives, as two rows.
    #[inline]
    fn receiving(&self, vertex: u32) -> [&'g [u32]; 2] {
        [self.graph.backward().of(vertex), if self.both() { self.graph.forward().of(vertex) } else { &[] }]
    }

    /// How many edges messages can take.
    pub(crate) fn links(&self) -> usize {
        if self.both() { 2 * self.graph.edges() } else { self.graph.edges() }
    }

    #[inline]
    fn both(&self) -> bool {
        self.along == Along::Both && self.graph.is_directed()
    }
}

/// The inside of a delivery, which only this crate can implement.
pub(crate) mod travel {
    use super::{Letters, Range, Route};

    /// Between supersteps messages are in the outboxes of partitions, one for each partition; an exchange takes
    /// them to the inboxes of those that receive.
    pub trait Travel<M> {
        /// What the vertices of a partition send.
        type Outbox: Send;
        /// What the vertices of a partition receive.
        type Inbox: Send;

        #[doc(hidden)]
        fn outbox(route: &Route<'_>) -> Self::Outbox;

        #[doc(hidden)]
        fn inbox(range: Range<u32>) -> Self::Inbox;

        /// Sends to all neighbours.
        #[doc(hidden)]
        fn send_along(outbox: &mut Self::Outbox, route: &Route<'_>, sender: u32, message: M);

        #[doc(hidden)]
        fn is_empty(outbox: &Self::Outbox) -> bool;

        /// Empties the outboxes into the inboxes, which are empty before.
        #[doc(hidden)]
        fn exchange(route: &Route<'_>, outboxes: &mut [Self::Outbox], inboxes: &mut [Self::Inbox]);

        /// The vertex that is the next to receive, of those that are known to, in ascending order. None after the
        /// last.
        #[doc(hidden)]
        fn arrived(inbox: &Self::Inbox, index: usize) -> Option<u32>;

        /// Whether [`arrived`](Self::arrived) does not know, and every vertex must be asked.
        #[doc(hidden)]
        fn scans(inbox: &Self::Inbox) -> bool;

        /// The messages of a vertex. Vertices are asked in ascending order, once each.
        #[doc(hidden)]
        fn take<'i>(inbox: &'i mut Self::Inbox, route: &Route<'_>, vertex: u32) -> &'i [M];

        /// The vertices that letters from one partition to another one name: those that receive, or those that send.
        #[doc(hidden)]
        fn named(route: &Route<'_>, from: usize, to: usize) -> Range<u32>;

        /// Empties an outbox: what goes to each partition, in the order in which it is to [arrive](Self::arrive).
        #[doc(hidden)]
        fn leave(outbox: &mut Self::Outbox, route: &Route<'_>) -> Vec<Letters<M>>;

        /// Puts what came into an inbox, which is empty before: the letters of each partition, in the order of
        /// partitions. They name vertices as [`named`](Self::named) says.
        #[doc(hidden)]
        fn arrive(inbox: &mut Self::Inbox, route: &Route<'_>, came: Vec<Letters<M>>);

        /// What is in the outboxes, the same for any number of them, in a fixed order.
        #[doc(hidden)]
        fn pending(outboxes: &[Self::Outbox]) -> Vec<(u32, M)>;

        /// Puts back what was pending.
        #[doc(hidden)]
        fn restore(outbox: &mut Self::Outbox, route: &Route<'_>, pending: Vec<(u32, M)>);
    }

    /// A delivery whose messages have an address each.
    pub trait Put<M>: Travel<M> {
        #[doc(hidden)]
        fn put(outbox: &mut Self::Outbox, route: &Route<'_>, target: u32, message: M);
    }
}
