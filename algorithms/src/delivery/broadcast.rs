//! One message for all neighbours.

use std::mem;
use std::ops::Range;
use std::sync::Arc;

use super::Route;
use super::combined::{self, Folded, FoldedInbox};
use super::travel::Travel;
use crate::columns::Letters;
use crate::combine::Combine;
use crate::workers;

/// A vertex sends the same along all its edges, and messages to a vertex are folded.
///
/// A message is kept once, with its sender. Where much is sent, receivers fetch: each vertex folds the messages
/// of those with an edge to it, over the edges backwards, and nobody writes to another's memory. Where little is
/// sent, senders push as in [`Combined`](super::Combined) (Beamer et al., *Direction-Optimizing Breadth-First
/// Search*, 2012). What is chosen depends on the graph and the senders alone.
///
/// If a vertex sends more than once in a superstep, the messages are folded.
#[derive(Debug, Clone, Copy)]
pub struct Broadcast;

/// Receivers fetch if at least one in so many edges carries a message: one that is fetched costs far less than
/// one that is pushed, and fetching looks at all edges.
const FETCHED: usize = 8;

/// What a partition sends.
#[derive(Debug)]
pub struct Sent<M> {
    /// Ascending.
    senders: Vec<u32>,
    /// What each of them sends.
    messages: Vec<M>,
    /// The edges that it takes.
    links: usize,
    /// Made when messages are first pushed.
    folded: Option<Folded<M>>,
}

/// What a partition receives.
#[derive(Debug)]
pub struct Fetched<M> {
    range: Range<u32>,
    /// By vertex of the graph, what it sends: shared by all partitions in a superstep in which receivers fetch.
    all: Option<Arc<Vec<M>>>,
    taken: M,
    /// Made when messages are first pushed.
    folded: Option<FoldedInbox<M>>,
}

impl<M> Sent<M> {
    fn clear(&mut self) {
        self.senders.clear();
        self.messages.clear();
    }
}

fn fetch<M: Combine>(route: &Route<'_>, outboxes: &mut [Sent<M>], inboxes: &mut [Fetched<M>]) {
    let mut kept = inboxes.iter_mut().map(|inbox| inbox.all.take()).fold(None, |kept, all| kept.or(all));
    let all = Arc::make_mut(kept.get_or_insert_with(Arc::default));
    let vertices = route.cuts.vertices();
    let everyone = outboxes.iter().map(|outbox| outbox.senders.len()).sum::<usize>() == vertices;
    if let ([outbox], true) = (&mut *outboxes, everyone) {
        mem::swap(all, &mut outbox.messages);
    } else {
        if !everyone {
            all.clear();
        }
        all.resize(vertices, M::IDENTITY);
        for (sender, message) in
            outboxes.iter_mut().flat_map(|outbox| outbox.senders.iter().zip(outbox.messages.drain(..)))
        {
            all[*sender as usize] = message;
        }
    }
    outboxes.iter_mut().for_each(Sent::clear);
    inboxes.iter_mut().for_each(|inbox| inbox.all.clone_from(&kept));
}

fn push<M: Combine>(route: &Route<'_>, load: usize, outboxes: &mut [Sent<M>], inboxes: &mut [Fetched<M>]) {
    workers::each(route.threads, load, outboxes, |_, outbox| {
        let folded = &mut outbox.folded;
        let folded = folded.get_or_insert_with(|| Folded::new(route.cuts.vertices()));
        for (sender, message) in outbox.senders.iter().zip(&outbox.messages) {
            for row in route.sending(*sender) {
                row.iter().for_each(|target| folded.fold(*target, message));
            }
        }
        outbox.clear();
    });
    let mut folded: Vec<_> = outboxes.iter_mut().filter_map(|outbox| outbox.folded.as_mut()).collect();
    let mut receiving: Vec<_> = inboxes
        .iter_mut()
        .map(|inbox| {
            inbox.all = None;
            inbox.folded.get_or_insert_with(|| FoldedInbox::new(inbox.range.clone()))
        })
        .collect();
    combined::exchange(route, &mut folded, &mut receiving);
}

/// Whether an edge takes what a vertex sends into a range.
fn reaches(route: &Route<'_>, sender: u32, range: &Range<u32>) -> bool {
    route.sending(sender).iter().any(|row| {
        let first = row.partition_point(|target| *target < range.start);
        row.get(first).is_some_and(|target| *target < range.end)
    })
}

/// What a vertex sends, once for each edge into a range.
fn along<'a, M: Combine>(
    route: &Route<'a>,
    (sender, message): &'a (u32, M),
    range: &'a Range<u32>,
) -> impl Iterator<Item = (u32, M)> + 'a {
    let rows = route.sending(*sender).into_iter();
    let own = rows.flat_map(move |row| {
        let (first, end) = (
            row.partition_point(|target| *target < range.start),
            row.partition_point(|target| *target < range.end),
        );
        &row[first..end]
    });
    own.map(|target| (*target, message.clone()))
}

impl<M: Combine> Travel<M> for Broadcast {
    type Outbox = Sent<M>;
    type Inbox = Fetched<M>;

    fn outbox(_: &Route<'_>) -> Sent<M> {
        Sent { senders: Vec::new(), messages: Vec::new(), links: 0, folded: None }
    }

    fn inbox(range: Range<u32>) -> Fetched<M> {
        Fetched { range, all: None, taken: M::IDENTITY, folded: None }
    }

    fn send_along(outbox: &mut Sent<M>, route: &Route<'_>, sender: u32, message: M) {
        if let (Some(last), Some(sent)) = (outbox.senders.last(), outbox.messages.last_mut())
            && *last == sender
        {
            *sent = sent.combine(&message);
            return;
        }
        outbox.senders.push(sender);
        outbox.messages.push(message);
        outbox.links += route.sending(sender).iter().map(|row| row.len()).sum::<usize>();
    }

    fn is_empty(outbox: &Sent<M>) -> bool {
        outbox.links == 0
    }

    fn exchange(route: &Route<'_>, outboxes: &mut [Sent<M>], inboxes: &mut [Fetched<M>]) {
        let load: usize = outboxes.iter_mut().map(|outbox| mem::take(&mut outbox.links)).sum();
        if load * FETCHED >= route.links() + route.cuts.vertices() {
            fetch(route, outboxes, inboxes);
        } else {
            push(route, load, outboxes, inboxes);
        }
    }

    fn arrived(inbox: &Fetched<M>, index: usize) -> Option<u32> {
        inbox.folded.as_ref()?.arrived(index)
    }

    fn scans(inbox: &Fetched<M>) -> bool {
        inbox.all.is_some() || inbox.folded.as_ref().is_some_and(FoldedInbox::scans)
    }

    #[inline]
    fn take<'i>(inbox: &'i mut Fetched<M>, route: &Route<'_>, vertex: u32) -> &'i [M] {
        let Some(all) = &inbox.all else {
            return inbox.folded.as_mut().map_or(&[], |folded| folded.take(vertex));
        };
        let mut folded = M::IDENTITY;
        for row in route.receiving(vertex) {
            folded = row.iter().fold(folded, |folded, sender| folded.combine(&all[*sender as usize]));
        }
        inbox.taken = folded;
        if inbox.taken == M::IDENTITY { &[] } else { std::slice::from_ref(&inbox.taken) }
    }

    fn named(route: &Route<'_>, from: usize, _: usize) -> Range<u32> {
        route.cuts.range(from)
    }

    fn leave(outbox: &mut Sent<M>, route: &Route<'_>) -> Vec<Letters<M>> {
        outbox.links = 0;
        let sent: Letters<M> = outbox.senders.drain(..).zip(outbox.messages.drain(..)).collect();
        let ranges = (0..route.cuts.partitions()).map(|partition| route.cuts.range(partition));
        let into = |range: &Range<u32>| {
            sent.iter().filter(|(sender, _)| reaches(route, *sender, range)).cloned().collect()
        };
        ranges.map(|range| into(&range)).collect()
    }

    fn arrive(inbox: &mut Fetched<M>, route: &Route<'_>, came: Vec<Letters<M>>) {
        let came: Letters<M> = came.into_iter().flatten().collect();
        let vertices = route.cuts.vertices();
        if came.len() * FETCHED < vertices {
            inbox.all = None;
            let range = inbox.range.clone();
            let folded = inbox.folded.get_or_insert_with(|| FoldedInbox::new(range.clone()));
            let letters: Letters<M> = came.iter().flat_map(|sent| along(route, sent, &range)).collect();
            let count = letters.len();
            return folded.gather(letters.into_iter(), count);
        }
        let mut kept = inbox.all.take().unwrap_or_default();
        let all = Arc::make_mut(&mut kept);
        all.clear();
        all.resize(vertices, M::IDENTITY);
        came.into_iter().for_each(|(sender, message)| all[sender as usize] = message);
        inbox.all = Some(kept);
    }

    fn pending(outboxes: &[Sent<M>]) -> Vec<(u32, M)> {
        let sent = |outbox: &Sent<M>| outbox.senders.clone().into_iter().zip(outbox.messages.clone());
        outboxes.iter().flat_map(sent).collect()
    }

    fn restore(outbox: &mut Sent<M>, route: &Route<'_>, pending: Vec<(u32, M)>) {
        for (sender, message) in pending {
            Self::send_along(outbox, route, sender, message);
        }
    }
}
