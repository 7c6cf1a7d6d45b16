//! The keys and values of every token that a slot holds, allocated once.

use std::ops::Range;

use crate::hyperparameters::Hyperparameters;
use crate::kernel::LANES;

/// The sides of a cache.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KvShape {
    pub(crate) slots: usize,
    pub(crate) layers: usize,
    pub(crate) heads: usize,
    pub(crate) head_dim: usize,
    /// Positions per slot, a multiple of [`LANES`].
    pub(crate) positions: usize,
}

impl KvShape {
    /// The cache of a network for `slots` generations of `context` positions.
    pub(crate) fn of(sizes: &Hyperparameters, slots: usize, context: usize) -> Self {
        Self {
            slots,
            layers: sizes.layers,
            heads: sizes.heads.key_value,
            head_dim: sizes.heads.dim,
            positions: context.next_multiple_of(LANES),
        }
    }

    /// The bytes of keys and values together.
    pub(crate) fn bytes(&self) -> u64 {
        let sides =
            [self.slots, self.layers, self.heads, self.head_dim, self.positions, 2 * size_of::<f32>()];
        sides.into_iter().fold(1_u64, |product, side| product.saturating_mul(side as u64))
    }
}

/// Keys and values, `[slot][layer][head]` outside.
///
/// Values lie `[position][head_dim]`. Keys lie in blocks of [`LANES`] positions, each `[head_dim][LANES]`, so that
/// the scores of a whole block come out of one pass without sums across a vector. Pages that no sequence has
/// reached are never touched and take no memory.
pub(crate) struct KvCache {
    shape: KvShape,
    keys: Vec<f32>,
    values: Vec<f32>,
}

impl KvCache {
    pub(crate) fn new(shape: KvShape) -> Self {
        let len = shape.slots * shape.layers * shape.heads * shape.positions * shape.head_dim;
        Self { shape, keys: vec![0.0; len], values: vec![0.0; len] }
    }

    /// The bytes that it takes when it is full.
    #[cfg(test)]
    pub(crate) fn bytes(&self) -> u64 {
        (size_of_val(&*self.keys) + size_of_val(&*self.values)) as u64
    }

    /// Stores the key and the value of one position for all heads of a layer.
    pub(crate) fn write(
        &mut self,
        (slot, layer): (usize, usize),
        position: usize,
        key: &[f32],
        value: &[f32],
    ) {
        let dim = self.shape.head_dim;
        for head in 0..self.shape.heads {
            let base = self.base(slot, layer, head);
            let own = head * dim..(head + 1) * dim;
            let at = base + position * dim;
            self.values[at..at + dim].copy_from_slice(&value[own.clone()]);
            let block = base + position / LANES * LANES * dim + position % LANES;
            for (index, key) in key[own].iter().enumerate() {
                self.keys[block + index * LANES] = *key;
            }
        }
    }

    /// Copies what one slot holds of some positions to another; of the block of keys that the first is in, all.
    pub(crate) fn copy(&mut self, from: usize, to: usize, positions: Range<usize>) {
        let dim = self.shape.head_dim;
        let start = positions.start / LANES * LANES * dim;
        let end = positions.end.next_multiple_of(LANES) * dim;
        for layer in 0..self.shape.layers {
            for head in 0..self.shape.heads {
                let (source, target) = (self.base(from, layer, head), self.base(to, layer, head));
                self.keys.copy_within(source + start..source + end, target + start);
                self.values.copy_within(source + start..source + end, target + start);
            }
        }
    }

    pub(crate) fn keys(&self, slot: usize, layer: usize, head: usize) -> &[f32] {
        let base = self.base(slot, layer, head);
        &self.keys[base..base + self.shape.positions * self.shape.head_dim]
    }

    pub(crate) fn values(&self, slot: usize, layer: usize, head: usize) -> &[f32] {
        let base = self.base(slot, layer, head);
        &self.values[base..base + self.shape.positions * self.shape.head_dim]
    }

    fn base(&self, slot: usize, layer: usize, head: usize) -> usize {
        ((slot * self.shape.layers + layer) * self.shape.heads + head)
            * self.shape.positions
            * self.shape.head_dim
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_copied_is_there_and_nothing_else_changes() {
        let shape = KvShape { slots: 3, layers: 2, heads: 2, head_dim: 16, positions: 48 };
        let mut cache = KvCache::new(shape);
        let row = |seed: usize| (0..32).map(|index| (seed * 100 + index) as f32).collect::<Vec<_>>();
        for slot in 0..3 {
            for layer in 0..2 {
                for position in 0..48 {
                    let seed = (slot * 2 + layer) * 48 + position;
                    cache.write((slot, layer), position, &row(seed), &row(seed + 1000));
                }
            }
        }
        let side = |cache: &KvCache, slot: usize| {
            let heads = [(0, 0), (0, 1), (1, 0), (1, 1)];
            heads.map(|(layer, head)| {
                [cache.keys(slot, layer, head), cache.values(slot, layer, head)].concat()
            })
        };
        let before = [0, 1, 2].map(|slot| side(&cache, slot));
        cache.copy(2, 0, 20..32);
        let after = [0, 1, 2].map(|slot| side(&cache, slot));
        assert_eq!(before[1..], after[1..]);
        for (head, floats) in after[0].iter().enumerate() {
            for (index, float) in floats.iter().enumerate() {
                // Sixteen positions of sixteen floats make a block.
                let is_copied = index % (48 * 16) / 256 == 1;
                let from = if is_copied { 2 } else { 0 };
                assert_eq!(*float, before[from][head][index]);
            }
        }
    }
}
