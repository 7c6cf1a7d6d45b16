//! The messages of one superstep as they arrive.

use std::collections::BTreeMap;

use super::{ShareError, Taken};
use crate::columns::{Letters, Stamp};

/// The messages of one superstep, by the partition that sends them.
pub(super) struct Arrivals<M> {
    /// None of those of whom nothing has come.
    by_sender: Vec<Option<Parts<M>>>,
}

/// What one partition sends.
struct Parts<M> {
    /// How many there are, as their sender says.
    count: u32,
    here: BTreeMap<u32, Letters<M>>,
}

impl<M> Parts<M> {
    fn is_whole(&self) -> bool {
        self.here.len() == self.count as usize
    }

    /// All of them, in order.
    fn joined(self) -> Letters<M> {
        let mut parts = self.here.into_values();
        let mut joined = parts.next().unwrap_or_default();
        parts.for_each(|mut part| joined.append(&mut part));
        joined
    }
}

impl<M> Arrivals<M> {
    pub(super) fn new(partitions: usize) -> Self {
        Self { by_sender: (0..partitions).map(|_| None).collect() }
    }

    /// All that a partition sends.
    pub(super) fn put_whole(&mut self, from: usize, letters: Letters<M>) {
        self.by_sender[from] = Some(Parts { count: 1, here: BTreeMap::from([(0, letters)]) });
    }

    /// A part of it.
    pub(super) fn put(&mut self, stamp: Stamp, letters: Letters<M>) -> Result<Taken, ShareError> {
        let Stamp { from, part, parts, .. } = stamp;
        let known = self.by_sender[from as usize]
            .get_or_insert_with(|| Parts { count: parts, here: BTreeMap::new() });
        if known.count != parts || part >= parts {
            return Err(ShareError::Parts { from, found: parts, known: known.count });
        }
        if known.here.contains_key(&part) {
            return Ok(Taken::Repeated);
        }
        known.here.insert(part, letters);
        Ok(Taken::New)
    }

    pub(super) fn is_whole(&self) -> bool {
        self.by_sender.iter().all(|parts| parts.as_ref().is_some_and(Parts::is_whole))
    }

    /// All of it, by sender; itself, as long as something is missing.
    pub(super) fn whole(self) -> Result<Vec<Letters<M>>, Self> {
        if !self.is_whole() {
            return Err(self);
        }
        Ok(self.by_sender.into_iter().map(|parts| parts.map(Parts::joined).unwrap_or_default()).collect())
    }
}
