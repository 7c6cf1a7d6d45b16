//! LoRA adapters: what a fine-tuning adds to the matrices of a model, as products of two thin ones.
//!
//! Hu et al., arXiv:2106.09685. The weights of the model stay as they are, and rows of one batch may have different
//! adapters or none: for each row the sum of `outward * (inward * x)` is added to the product with the matrix itself.

mod file;

use std::sync::atomic::{AtomicU64, Ordering};

use crate::hyperparameters::Hyperparameters;
use crate::kernel::{add_scaled, dot};
use crate::network::Batch;
use crate::parallel::for_each;

/// A matrix of a layer that an adapter can add to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Site {
    Query,
    Key,
    Value,
    AttentionOutput,
    Gate,
    Up,
    Down,
}

impl Site {
    pub(crate) const ALL: [Self; 7] =
        [Self::Query, Self::Key, Self::Value, Self::AttentionOutput, Self::Gate, Self::Up, Self::Down];

    /// The columns and rows of the matrix.
    fn sides(self, sizes: &Hyperparameters) -> (usize, usize) {
        let (hidden, wide) = (sizes.hidden, sizes.feed_forward);
        let query = sizes.heads.query * sizes.heads.dim;
        let key = sizes.heads.key_value * sizes.heads.dim;
        match self {
            Self::Query => (hidden, query),
            Self::Key | Self::Value => (hidden, key),
            Self::AttentionOutput => (query, hidden),
            Self::Gate | Self::Up => (hidden, wide),
            Self::Down => (wide, hidden),
        }
    }
}

/// What is added to one matrix.
#[derive(Debug, Default)]
struct Delta {
    /// Columns of the matrix.
    inputs: usize,
    /// Rows of the matrix.
    outputs: usize,
    /// `[rank][inputs]`.
    inward: Vec<f32>,
    /// `[rank][outputs]`, scaled.
    outward: Vec<f32>,
}

impl Delta {
    /// A row in the space between, which has one float per rank.
    fn inner(&self, row: &[f32]) -> Vec<f32> {
        self.inward.chunks_exact(self.inputs).map(|inward| dot(&row[..self.inputs], inward)).collect()
    }

    fn add(&self, inner: &[f32], out: &mut [f32]) {
        for (scale, outward) in inner.iter().zip(self.outward.chunks_exact(self.outputs)) {
            add_scaled(&mut out[..self.outputs], outward, *scale);
        }
    }
}

/// A loaded adapter.
#[derive(Debug)]
pub(crate) struct Adapter {
    id: AdapterId,
    /// By layer and site.
    layers: Vec<[Option<Delta>; Site::ALL.len()]>,
}

/// Tells the adapters of a process apart, also those that were loaded under one name after another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AdapterId(u64);

impl Adapter {
    fn new(layers: Vec<[Option<Delta>; Site::ALL.len()]>) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self { id: AdapterId(NEXT.fetch_add(1, Ordering::Relaxed)), layers }
    }

    pub(crate) fn id(&self) -> AdapterId {
        self.id
    }

    fn delta(&self, layer: usize, site: Site) -> Option<&Delta> {
        self.layers.get(layer)?[site as usize].as_ref()
    }
}

/// What adapters add to the product of the rows of a batch with one matrix.
pub(crate) struct Shifts<'a> {
    /// In the order of rows.
    shifts: Vec<Shift<'a>>,
}

struct Shift<'a> {
    row: usize,
    /// Where the outputs of the site begin in a row of the product.
    at: usize,
    delta: &'a Delta,
    inner: Vec<f32>,
}

impl<'a> Shifts<'a> {
    /// Looks at the rows before they are multiplied: `columns` floats each in `input`. `sites` are those that the
    /// matrix is made of, with where their outputs begin in a row of the product.
    pub(crate) fn of(
        batch: Batch<'a>,
        layer: usize,
        sites: &[(Site, usize)],
        (input, columns): (&[f32], usize),
    ) -> Self {
        let mut shifts = Vec::new();
        for (row, of_row) in batch.rows.iter().enumerate() {
            let Some(adapter) = of_row.adapter else { continue };
            for (site, at) in sites {
                if let Some(delta) = batch.adapters[adapter].delta(layer, *site) {
                    shifts.push(Shift { row, at: *at, delta, inner: Vec::new() });
                }
            }
        }
        for_each(shifts.iter_mut().collect(), |shift: &mut Shift<'_>| {
            shift.inner = shift.delta.inner(&input[shift.row * columns..(shift.row + 1) * columns]);
        });
        Self { shifts }
    }

    /// Adds to the product, whose rows have `stride` floats.
    pub(crate) fn add(&self, product: &mut [f32], stride: usize) {
        let mut of_rows = self.shifts.chunk_by(|one, next| one.row == next.row).peekable();
        let mut pieces = Vec::new();
        for (index, out) in product.chunks_exact_mut(stride).enumerate() {
            if let Some(shifts) = of_rows.next_if(|shifts| shifts[0].row == index) {
                pieces.push((out, shifts));
            }
        }
        for_each(pieces, |(out, shifts): (&mut [f32], &[Shift<'_>])| {
            for Shift { at, delta, inner, .. } in shifts {
                delta.add(inner, &mut out[*at..]);
            }
        });
    }
}

#[cfg(test)]
mod tests;
