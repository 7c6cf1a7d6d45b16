//! Matrices in the layout that has a fast kernel, converted tensor by tensor while a model is loaded.

mod conversion;
mod stack;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{CpuStorage, CustomOp1, Layout};

pub(crate) use self::conversion::{Held, held};
use self::conversion::{ROUTER, floats, matrix, padded_columns, padded_rows, qtensor};
use self::stack::Stack;
use crate::converted::{Blocks, Kept, Place};
use crate::error::LoadError;
use crate::gguf::Gguf;
use crate::mapped::{self, Mapping};
use crate::tiles::{Instructions, MANY};

/// A matrix with more than this share of a model's bytes is put into its tiles while the model is loaded.
const LARGE: u64 = 16;

/// Tensors by format: how many, and how many bytes.
pub(crate) type Census = BTreeMap<String, (usize, u64)>;

/// A matrix that rows are multiplied with, made of one or more tensors with the same number of columns.
pub(crate) struct Linear {
    parts: Vec<Arc<QTensor>>,
    columns: usize,
    stride: usize,
    offsets: Vec<usize>,
    /// Where the blocks lie, if they lie in a file.
    mapping: Option<Arc<Mapping>>,
    /// After products of how many rows they were let go: a bit for few, and one for many.
    released: AtomicU8,
}

impl Linear {
    /// Floats that an input row has; those behind the real columns must be zero.
    pub(crate) fn columns(&self) -> usize {
        self.columns
    }

    /// Floats that an output row has.
    pub(crate) fn stride(&self) -> usize {
        self.stride
    }

    /// Where the outputs of each source tensor begin in an output row.
    pub(crate) fn offsets(&self) -> &[usize] {
        &self.offsets
    }

    /// Multiplies `rows` rows of [`columns`](Self::columns) floats.
    pub(crate) fn forward(&self, input: Vec<f32>, rows: usize) -> candle_core::Result<Vec<f32>> {
        let product = self.product(input, rows)?;
        self.release(rows);
        Ok(product)
    }

    fn product(&self, input: Vec<f32>, rows: usize) -> candle_core::Result<Vec<f32>> {
        let layout = Layout::contiguous((rows, self.columns));
        let input = CpuStorage::F32(input);
        if let [part] = self.parts.as_slice() {
            return multiply(part, &input, &layout);
        }
        let mut joined = vec![0.0; rows * self.stride];
        let mut at = 0;
        for part in &self.parts {
            let width = part.shape().dims2()?.0;
            let product = multiply(part, &input, &layout)?;
            for (joined, product) in joined.chunks_exact_mut(self.stride).zip(product.chunks_exact(width)) {
                joined[at..at + width].copy_from_slice(product);
            }
            at += width;
        }
        Ok(joined)
    }

    /// Lets go of the blocks once the kernels have made their tiles of them: those for few rows, or those for many.
    fn release(&self, rows: usize) {
        let Some(mapping) = &self.mapping else { return };
        let tiles = if rows < MANY { 1 } else { 2 };
        if self.released.load(Ordering::Relaxed) & tiles == 0 {
            self.released.fetch_or(tiles, Ordering::Relaxed);
            mapping.release();
        }
    }

    /// The first part, which also serves as the embedding table if the model ties them.
    pub(crate) fn table(&self) -> Arc<QTensor> {
        Arc::clone(&self.parts[0])
    }
}

fn multiply(part: &QTensor, input: &CpuStorage, layout: &Layout) -> candle_core::Result<Vec<f32>> {
    match part.cpu_fwd(input, layout)? {
        (CpuStorage::F32(product), _) => Ok(product),
        (other, _) => candle_core::bail!(
            "a product of f32 rows came out as {:?}",
            candle_core::backend::BackendStorage::dtype(&other)
        ),
    }
}

/// Whole rows of blocks of one type.
#[derive(Clone, Copy)]
struct Part {
    dtype: GgmlDType,
    rows: usize,
    bytes: u64,
}

/// Reads tensors of a file and converts them.
pub(crate) struct Weights<'a> {
    gguf: &'a Gguf,
    place: Place,
    /// As in the file.
    pub(crate) stored: Census,
    /// As in memory.
    pub(crate) held: Census,
}

impl<'a> Weights<'a> {
    /// Those of a file, which `place` keeps.
    pub(crate) fn new(gguf: &'a Gguf, place: Place) -> Self {
        Self { gguf, place, stored: Census::new(), held: Census::new() }
    }

    /// Whether the file has a tensor.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.gguf.entry(name).is_some()
    }

    /// Where they are, when all that the model has were asked for.
    pub(crate) fn finish(self) -> Kept {
        self.place.finish(self.gguf)
    }

    /// A vector as floats.
    pub(crate) fn vector(&mut self, name: &str, len: usize) -> Result<Vec<f32>, LoadError> {
        self.floats(name, &[len])
    }

    /// The matrix of layer `index` that chooses experts, row by row.
    pub(crate) fn router(
        &mut self,
        index: usize,
        experts: usize,
        columns: usize,
    ) -> Result<Vec<f32>, LoadError> {
        let name = format!("blk.{index}.{ROUTER}");
        self.floats(&name, &[experts, columns])
    }

    fn floats(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>, LoadError> {
        let stored = self.gguf.tensor(name, shape)?;
        count(&mut self.stored, stored.dtype, stored.bytes.len() as u64);
        let len = shape.iter().product();
        let floats =
            floats(stored.dtype, &stored.bytes, (1, len)).map_err(|error| failed(self.gguf, name, &error))?;
        count(&mut self.held, GgmlDType::F32, len as u64 * 4);
        Ok(floats)
    }

    /// The named tensors, `(name, rows)`, stacked into one matrix of `columns` columns.
    pub(crate) fn linear(&mut self, tensors: &[(&str, usize)], columns: usize) -> Result<Linear, LoadError> {
        let stack = Stack { tensors, columns, experts: None };
        let parts = self.parts(&stack)?;
        self.stacked(&stack, 0, &parts)
    }

    /// A tensor that has the rows of several matrices, so many of each.
    pub(crate) fn joined(
        &mut self,
        name: &str,
        parts: &[usize],
        columns: usize,
    ) -> Result<Linear, LoadError> {
        let whole = self.linear(&[(name, parts.iter().sum())], columns)?;
        let offsets = parts.iter().scan(0, |end, rows| {
            let at = *end;
            *end += rows;
            Some(at)
        });
        Ok(Linear { offsets: offsets.collect(), ..whole })
    }

    /// For each of some experts the named tensors, `(name, rows)`, stacked into one matrix of `columns` columns. In the
    /// file each tensor has the rows of all experts, one expert behind the other.
    pub(crate) fn of_experts(
        &mut self,
        experts: usize,
        tensors: &[(&str, usize)],
        columns: usize,
    ) -> Result<Vec<Linear>, LoadError> {
        let stack = Stack { tensors, columns, experts: Some(experts) };
        let parts = self.parts(&stack)?;
        (0..experts).map(|index| self.stacked(&stack, index, &parts)).collect()
    }

    /// What each tensor of a stack becomes, of one expert if there are some. Counts it, with those of all experts.
    fn parts(&mut self, stack: &Stack<'_>) -> Result<Vec<Part>, LoadError> {
        let part = |(name, rows): &(&str, usize)| {
            let (stored, bytes) = self.gguf.stored(name, self.gguf.checked(name, &stack.shape(*rows))?)?;
            count(&mut self.stored, stored, bytes);
            let Held { dtype, bytes, .. } = matrix(stored, (*rows, stack.columns), Instructions::here());
            count(&mut self.held, dtype, bytes.saturating_mul(stack.shares() as u64));
            Ok(Part { dtype, rows: padded_rows(*rows), bytes })
        };
        stack.tensors.iter().map(part).collect()
    }

    /// The matrix of a stack, of the expert with this index if there are some.
    fn stacked(&mut self, stack: &Stack<'_>, index: usize, parts: &[Part]) -> Result<Linear, LoadError> {
        let gguf = self.gguf;
        let failed = |error: candle_core::Error| failed(gguf, stack.tensors[0].0, &error);
        let length: u64 = parts.iter().map(|part| part.bytes).sum();
        let blocks = self.place.blocks(&stack.name(index), length, || stack.converted(gguf, index))?;
        let (mut offsets, mut stride) = (Vec::new(), 0);
        for part in parts {
            offsets.push(stride);
            stride += part.rows;
        }
        let columns = padded_columns(stack.columns);
        let made = matrices(&blocks, &merged(parts), columns).map_err(failed)?;
        let mapping = match blocks {
            Blocks::File(mapping) => Some(mapping),
            Blocks::Memory(_) => None,
        };
        let is_large = mapping.is_some() && length.saturating_mul(LARGE) > gguf.size();
        let parts = made.into_iter().map(Arc::new).collect();
        let linear = Linear { parts, columns, stride, offsets, mapping, released: AtomicU8::new(0) };
        if is_large {
            // Its blocks and its tiles are in memory together for a moment, in which there is little else so far.
            linear.forward(vec![0.0; columns], 1).map_err(failed)?;
        }
        Ok(linear)
    }

    /// A table whose rows are looked up and never multiplied, as stored.
    pub(crate) fn table(
        &mut self,
        name: &str,
        rows: usize,
        columns: usize,
    ) -> Result<Arc<QTensor>, LoadError> {
        let gguf = self.gguf;
        let (dtype, bytes) = gguf.stored(name, gguf.checked(name, &[rows, columns])?)?;
        count(&mut self.stored, dtype, bytes);
        count(&mut self.held, dtype, bytes);
        let blocks = self.place.blocks(name, bytes, || Ok(gguf.tensor(name, &[rows, columns])?.bytes))?;
        let table = matrices(&blocks, &[Part { dtype, rows, bytes }], columns);
        let table = table.map_err(|error| failed(gguf, name, &error))?.pop();
        Ok(Arc::new(table.expect("one part is one matrix")))
    }
}

/// Those of one format that follow each other as one, which is multiplied at once.
fn merged(parts: &[Part]) -> Vec<Part> {
    let mut merged: Vec<Part> = Vec::new();
    for part in parts {
        match merged.last_mut() {
            Some(last) if last.dtype == part.dtype => {
                last.rows += part.rows;
                last.bytes += part.bytes;
            }
            Some(_) | None => merged.push(*part),
        }
    }
    merged
}

fn failed(gguf: &Gguf, name: &str, error: &candle_core::Error) -> LoadError {
    let (path, tensor) = (gguf.path().to_owned(), name.to_owned());
    LoadError::Convert { path, tensor, reason: error.to_string() }
}

/// The matrices whose blocks lie one behind the other.
fn matrices(blocks: &Blocks, parts: &[Part], columns: usize) -> candle_core::Result<Vec<QTensor>> {
    let mut at = 0;
    let range = |part: &Part| -> candle_core::Result<Range<usize>> {
        let start = at;
        at += usize::try_from(part.bytes).map_err(candle_core::Error::wrap)?;
        Ok(start..at)
    };
    let ranges = parts.iter().map(range).collect::<candle_core::Result<Vec<_>>>()?;
    let made = parts.iter().zip(ranges).map(|(part, range)| match blocks {
        Blocks::Memory(bytes) => qtensor(part.dtype, &bytes[range], (part.rows, columns)),
        Blocks::File(mapping) => mapped::matrix(mapping, range, part.dtype, (part.rows, columns)),
    });
    made.collect()
}

/// Counts a tensor.
pub(crate) fn count(census: &mut Census, dtype: GgmlDType, bytes: u64) {
    let entry = census.entry(format!("{dtype:?}")).or_default();
    entry.0 += 1;
    entry.1 = entry.1.saturating_add(bytes);
}
