//! Messages folded at the sender.

use std::mem;
use std::ops::Range;

use super::Route;
use super::travel::{Put, Travel};
use crate::columns::Letters;
use crate::combine::Combine;
use crate::workers;

/// Messages to the same vertex are folded where they are sent, one slot for each vertex and sending partition
/// (*Pregel*, §3.2), and again where they arrive: a vertex gets one message or none.
#[derive(Debug, Clone, Copy)]
pub struct Combined;

/// What a partition sends, folded.
#[derive(Debug)]
pub struct Folded<M> {
    /// By vertex of the graph; what nobody sent to holds the identity.
    slots: Vec<M>,
    /// The vertices that were sent to, in the order in which they first were. One whose slot came back to the
    /// identity may be there more than once.
    touched: Vec<u32>,
}

/// What a partition receives, folded.
#[derive(Debug)]
pub struct FoldedInbox<M> {
    first: u32,
    /// By vertex of the partition.
    slots: Vec<M>,
    /// The vertices that receive, ascending, unless `dense`.
    arrived: Vec<u32>,
    dense: bool,
    taken: M,
}

/// What one partition sends another one: slots and, unless it is dense, which of them are used.
type Piece<'a, M> = (&'a mut [M], &'a [u32]);

impl<M: Combine> Folded<M> {
    pub(super) fn new(vertices: usize) -> Self {
        Self { slots: vec![M::IDENTITY; vertices], touched: Vec::new() }
    }

    #[inline]
    pub(super) fn fold(&mut self, target: u32, message: &M) {
        let slot = &mut self.slots[target as usize];
        if *slot == M::IDENTITY {
            self.touched.push(target);
        }
        *slot = slot.combine(message);
    }

    /// What goes to each partition, ascending.
    fn leave(&mut self, route: &Route<'_>) -> Vec<Letters<M>> {
        let mut touched = mem::take(&mut self.touched);
        let slots = &mut self.slots;
        let mut letter = |target: u32| {
            let message = mem::replace(&mut slots[target as usize], M::IDENTITY);
            (message != M::IDENTITY).then_some((target, message))
        };
        let ranges = (0..route.cuts.partitions()).map(|partition| route.cuts.range(partition));
        let letters = if touched.len() > route.cuts.vertices() / 8 {
            ranges.map(|range| range.filter_map(&mut letter).collect()).collect()
        } else {
            touched.sort_unstable();
            let mut rest = &touched[..];
            ranges
                .map(|range| {
                    let (own, others) = rest.split_at(rest.partition_point(|target| *target < range.end));
                    rest = others;
                    own.iter().copied().filter_map(&mut letter).collect()
                })
                .collect()
        };
        touched.clear();
        self.touched = touched;
        letters
    }

    fn pending(&self) -> Vec<(u32, M)> {
        let mut touched = self.touched.clone();
        touched.sort_unstable();
        touched.dedup();
        touched.into_iter().map(|target| (target, self.slots[target as usize].clone())).collect()
    }
}

impl<M: Combine> FoldedInbox<M> {
    pub(super) fn new(range: Range<u32>) -> Self {
        let slots = vec![M::IDENTITY; range.len()];
        Self { first: range.start, slots, arrived: Vec::new(), dense: false, taken: M::IDENTITY }
    }

    fn collect(&mut self, pieces: &mut [Piece<'_, M>], dense: bool) {
        self.dense = dense;
        self.arrived.clear();
        for (sent, touched) in pieces {
            if dense {
                for (slot, sent) in self.slots.iter_mut().zip(sent.iter_mut()) {
                    *slot = slot.combine(&mem::replace(sent, M::IDENTITY));
                }
                continue;
            }
            for target in *touched {
                let index = (target - self.first) as usize;
                let sent = mem::replace(&mut sent[index], M::IDENTITY);
                self.slots[index] = self.slots[index].combine(&sent);
            }
            self.arrived.extend_from_slice(touched);
        }
        self.arrived.sort_unstable();
        self.arrived.dedup();
    }

    /// Folds what came by itself.
    pub(super) fn gather(&mut self, letters: impl Iterator<Item = (u32, M)>, count: usize) {
        self.arrived.clear();
        self.dense = count > self.slots.len() / 8;
        for (target, message) in letters {
            let slot = &mut self.slots[(target - self.first) as usize];
            *slot = slot.combine(&message);
            if !self.dense {
                self.arrived.push(target);
            }
        }
        self.arrived.sort_unstable();
        self.arrived.dedup();
    }

    pub(super) fn take(&mut self, vertex: u32) -> &[M] {
        self.taken = mem::replace(&mut self.slots[(vertex - self.first) as usize], M::IDENTITY);
        if self.taken == M::IDENTITY { &[] } else { std::slice::from_ref(&self.taken) }
    }

    pub(super) fn arrived(&self, index: usize) -> Option<u32> {
        self.arrived.get(index).copied()
    }

    pub(super) fn scans(&self) -> bool {
        self.dense
    }
}

/// Empties what was folded into the inboxes.
pub(super) fn exchange<M: Combine>(
    route: &Route<'_>,
    outboxes: &mut [&mut Folded<M>],
    inboxes: &mut [&mut FoldedInbox<M>],
) {
    let vertices = route.cuts.vertices();
    let touched: usize = outboxes.iter().map(|outbox| outbox.touched.len()).sum();
    let dense = touched > vertices / 8;
    if let ([outbox], [inbox], true) = (&mut *outboxes, &mut *inboxes, dense) {
        mem::swap(&mut outbox.slots, &mut inbox.slots);
        inbox.dense = true;
        inbox.arrived.clear();
        outbox.touched.clear();
        return;
    }
    let mut receivers: Vec<(Vec<Piece<'_, M>>, &mut FoldedInbox<M>)> =
        inboxes.iter_mut().map(|inbox| (Vec::new(), &mut **inbox)).collect();
    for outbox in &mut *outboxes {
        if !dense {
            outbox.touched.sort_unstable();
        }
        let (mut slots, mut touched) = (&mut *outbox.slots, &*outbox.touched);
        for (partition, (pieces, _)) in receivers.iter_mut().enumerate() {
            let range = route.cuts.range(partition);
            let (head, rest) = mem::take(&mut slots).split_at_mut(range.len());
            let used = if dense { 0 } else { touched.partition_point(|target| *target < range.end) };
            pieces.push((head, &touched[..used]));
            (slots, touched) = (rest, &touched[used..]);
        }
    }
    let load = if dense { vertices * receivers.len() } else { touched };
    workers::each(route.threads, load, &mut receivers, |_, (pieces, inbox)| inbox.collect(pieces, dense));
    outboxes.iter_mut().for_each(|outbox| outbox.touched.clear());
}

impl<M: Combine> Travel<M> for Combined {
    type Outbox = Folded<M>;
    type Inbox = FoldedInbox<M>;

    fn outbox(route: &Route<'_>) -> Folded<M> {
        Folded::new(route.cuts.vertices())
    }

    fn inbox(range: Range<u32>) -> FoldedInbox<M> {
        FoldedInbox::new(range)
    }

    fn send_along(outbox: &mut Folded<M>, route: &Route<'_>, sender: u32, message: M) {
        for row in route.sending(sender) {
            row.iter().for_each(|target| outbox.fold(*target, &message));
        }
    }

    fn is_empty(outbox: &Folded<M>) -> bool {
        outbox.touched.is_empty()
    }

    fn exchange(route: &Route<'_>, outboxes: &mut [Folded<M>], inboxes: &mut [FoldedInbox<M>]) {
        let mut outboxes: Vec<&mut Folded<M>> = outboxes.iter_mut().collect();
        let mut inboxes: Vec<&mut FoldedInbox<M>> = inboxes.iter_mut().collect();
        exchange(route, &mut outboxes, &mut inboxes);
    }

    fn arrived(inbox: &FoldedInbox<M>, index: usize) -> Option<u32> {
        inbox.arrived(index)
    }

    fn scans(inbox: &FoldedInbox<M>) -> bool {
        inbox.scans()
    }

    fn take<'i>(inbox: &'i mut FoldedInbox<M>, _: &Route<'_>, vertex: u32) -> &'i [M] {
        inbox.take(vertex)
    }

    fn named(route: &Route<'_>, _: usize, to: usize) -> Range<u32> {
        route.cuts.range(to)
    }

    fn leave(outbox: &mut Folded<M>, route: &Route<'_>) -> Vec<Letters<M>> {
        outbox.leave(route)
    }

    fn arrive(inbox: &mut FoldedInbox<M>, _: &Route<'_>, came: Vec<Letters<M>>) {
        let count = came.iter().map(Vec::len).sum();
        inbox.gather(came.into_iter().flatten(), count);
    }

    fn pending(outboxes: &[Folded<M>]) -> Vec<(u32, M)> {
        let mut all: Vec<(u32, M)> = outboxes.iter().flat_map(Folded::pending).collect();
        all.sort_by_key(|(target, _)| *target);
        all.dedup_by(|next, kept| {
            let same = next.0 == kept.0;
            if same {
                kept.1 = kept.1.combine(&next.1);
            }
            same
        });
        all
    }

    fn restore(outbox: &mut Folded<M>, _: &Route<'_>, pending: Vec<(u32, M)>) {
        pending.iter().for_each(|(target, message)| outbox.fold(*target, message));
    }
}

impl<M: Combine> Put<M> for Combined {
    #[inline]
    fn put(outbox: &mut Folded<M>, _: &Route<'_>, target: u32, message: M) {
        outbox.fold(target, &message);
    }
}
