//! Messages delivered one by one.

use std::mem;
use std::ops::Range;

use super::Route;
use super::travel::{Put, Travel};
use crate::columns::Letters;
use crate::workers;

/// Every message is delivered by itself. A vertex gets them in the order of their senders, those of one sender
/// in the order in which they were sent.
#[derive(Debug, Clone, Copy)]
pub struct Each;

/// A target and what is sent to it.
type Letter<M> = (u32, M);

/// What a partition sends.
#[derive(Debug)]
pub struct Sent<M> {
    /// By receiving partition, in the order of sending.
    boxes: Vec<Vec<Letter<M>>>,
}

/// What a partition receives.
#[derive(Debug)]
pub struct Sorted<M> {
    range: Range<u32>,
    /// The vertices that receive, ascending.
    targets: Vec<u32>,
    /// Where the messages of each of them end.
    ends: Vec<usize>,
    messages: Vec<M>,
    /// How many of `targets` are behind the vertex that was asked last.
    passed: usize,
}

impl<M: Clone> Sorted<M> {
    /// Sorts by target, and keeps the order of the messages to one target.
    fn collect(&mut self, letters: &mut Vec<Letter<M>>) {
        self.targets.clear();
        self.ends.clear();
        self.messages.clear();
        self.passed = 0;
        if letters.len() >= self.range.len() {
            self.count(letters);
        } else {
            letters.sort_by_key(|(target, _)| *target);
            for (target, message) in letters.drain(..) {
                if self.targets.last() != Some(&target) {
                    self.targets.push(target);
                    self.ends.push(self.messages.len());
                }
                self.messages.push(message);
                *self.ends.last_mut().expect("one was pushed with the target") = self.messages.len();
            }
        }
    }

    /// By counting, which is linear in messages and vertices.
    fn count(&mut self, letters: &mut Vec<Letter<M>>) {
        let first = self.range.start;
        let index = |target: u32| (target - first) as usize;
        let mut next = vec![0_usize; self.range.len() + 1];
        letters.iter().for_each(|(target, _)| next[index(*target) + 1] += 1);
        for (vertex, target) in self.range.clone().enumerate() {
            if next[vertex + 1] > 0 {
                self.targets.push(target);
                self.ends.push(next[vertex] + next[vertex + 1]);
            }
            next[vertex + 1] += next[vertex];
        }
        // Each place is filled below; until then any message stands there.
        let Some((_, any)) = letters.first().cloned() else { return };
        self.messages.resize(letters.len(), any);
        for (target, message) in letters.drain(..) {
            let at = &mut next[index(target)];
            self.messages[*at] = message;
            *at += 1;
        }
    }
}

impl<M: Clone + Send> Travel<M> for Each {
    type Outbox = Sent<M>;
    type Inbox = Sorted<M>;

    fn outbox(route: &Route<'_>) -> Sent<M> {
        Sent { boxes: (0..route.cuts.partitions()).map(|_| Vec::new()).collect() }
    }

    fn inbox(range: Range<u32>) -> Sorted<M> {
        Sorted { range, targets: Vec::new(), ends: Vec::new(), messages: Vec::new(), passed: 0 }
    }

    fn send_along(outbox: &mut Sent<M>, route: &Route<'_>, sender: u32, message: M) {
        for row in route.sending(sender) {
            let mut rest = row;
            for (partition, letters) in outbox.boxes.iter_mut().enumerate() {
                let end = route.cuts.range(partition).end;
                let (own, others) = rest.split_at(rest.partition_point(|target| *target < end));
                letters.extend(own.iter().map(|target| (*target, message.clone())));
                rest = others;
            }
        }
    }

    fn is_empty(outbox: &Sent<M>) -> bool {
        outbox.boxes.iter().all(Vec::is_empty)
    }

    fn exchange(route: &Route<'_>, outboxes: &mut [Sent<M>], inboxes: &mut [Sorted<M>]) {
        let load = outboxes.iter().flat_map(|outbox| &outbox.boxes).map(Vec::len).sum();
        let mut receivers: Vec<(Vec<Letter<M>>, &mut Sorted<M>)> = Vec::new();
        for (partition, inbox) in inboxes.iter_mut().enumerate() {
            let mut boxes = outboxes.iter_mut().map(|outbox| &mut outbox.boxes[partition]);
            let mut letters = boxes.next().map(mem::take).unwrap_or_default();
            boxes.for_each(|sent| letters.append(sent));
            receivers.push((letters, inbox));
        }
        workers::each(route.threads, load, &mut receivers, |_, (letters, inbox)| inbox.collect(letters));
        let Some(first) = outboxes.first_mut() else { return };
        first.boxes = receivers.into_iter().map(|(letters, _)| letters).collect();
    }

    fn arrived(inbox: &Sorted<M>, index: usize) -> Option<u32> {
        inbox.targets.get(index).copied()
    }

    fn scans(_: &Sorted<M>) -> bool {
        false
    }

    fn take<'i>(inbox: &'i mut Sorted<M>, _: &Route<'_>, vertex: u32) -> &'i [M] {
        let at = inbox.passed;
        if inbox.targets.get(at) != Some(&vertex) {
            return &[];
        }
        inbox.passed += 1;
        let start = if at == 0 { 0 } else { inbox.ends[at - 1] };
        &inbox.messages[start..inbox.ends[at]]
    }

    fn named(route: &Route<'_>, _: usize, to: usize) -> Range<u32> {
        route.cuts.range(to)
    }

    fn leave(outbox: &mut Sent<M>, _: &Route<'_>) -> Vec<Letters<M>> {
        outbox.boxes.iter_mut().map(mem::take).collect()
    }

    fn arrive(inbox: &mut Sorted<M>, _: &Route<'_>, came: Vec<Letters<M>>) {
        let mut boxes = came.into_iter();
        let mut letters = boxes.next().unwrap_or_default();
        boxes.for_each(|mut sent| letters.append(&mut sent));
        inbox.collect(&mut letters);
    }

    fn pending(outboxes: &[Sent<M>]) -> Vec<(u32, M)> {
        let mut all: Vec<Letter<M>> =
            outboxes.iter().flat_map(|outbox| outbox.boxes.iter().flatten().cloned()).collect();
        all.sort_by_key(|(target, _)| *target);
        all
    }

    fn restore(outbox: &mut Sent<M>, route: &Route<'_>, pending: Vec<(u32, M)>) {
        for (target, message) in pending {
            Self::put(outbox, route, target, message);
        }
    }
}

impl<M: Clone + Send> Put<M> for Each {
    #[inline]
    fn put(outbox: &mut Sent<M>, route: &Route<'_>, target: u32, message: M) {
        outbox.boxes[route.cuts.owner(target)].push((target, message));
    }
}
