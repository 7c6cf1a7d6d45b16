//! Matrices in the layout that has a fast kernel, converted tensor by tensor while a model is loaded.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use candle_core::quantized::{GgmlDType, QStorage, QTensor};
use candle_core::{CpuStorage, CustomOp1, Device, Layout, Tensor};

use crate::error::LoadError;
use crate::gguf::{Gguf, StoredTensor};
use crate::tiles::Instructions;

/// The kernels take columns in super-blocks of this many.
const COLUMNS: usize = 256;
/// The kernels take rows in tiles of this many.
const ROWS: usize = 16;

/// Tensors by format: how many, and how many bytes.
pub(crate) type Census = BTreeMap<String, (usize, u64)>;

/// A matrix that rows are multiplied with, made of one or more tensors with the same number of columns.
pub(crate) struct Linear {
    parts: Vec<Arc<QTensor>>,
    columns: usize,
    stride: usize,
    offsets: Vec<usize>,
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
struct Rows {
    dtype: GgmlDType,
    columns: usize,
    rows: usize,
    bytes: Vec<u8>,
}

/// Reads tensors of a file and converts them.
pub(crate) struct Weights<'a> {
    gguf: &'a Gguf,
    /// As in the file.
    pub(crate) stored: Census,
    /// As in memory.
    pub(crate) held: Census,
}

impl<'a> Weights<'a> {
    pub(crate) fn new(gguf: &'a Gguf) -> Self {
        Self { gguf, stored: Census::new(), held: Census::new() }
    }

    /// A vector as floats.
    pub(crate) fn vector(&mut self, name: &str, len: usize) -> Result<Vec<f32>, LoadError> {
        let stored = self.gguf.tensor(name, &[len])?;
        count(&mut self.stored, stored.dtype, stored.bytes.len() as u64);
        let floats = floats(&stored, 1, len).map_err(|error| self.convert(name, &error))?;
        count(&mut self.held, GgmlDType::F32, len as u64 * 4);
        Ok(floats)
    }

    /// The named tensors, `(name, rows)`, stacked into one matrix of `columns` columns.
    pub(crate) fn linear(&mut self, tensors: &[(&str, usize)], columns: usize) -> Result<Linear, LoadError> {
        let mut groups: Vec<Rows> = Vec::new();
        let mut offsets = Vec::new();
        let mut stride = 0;
        for (name, rows) in tensors {
            let next = self.rows(name, *rows, columns)?;
            offsets.push(stride);
            stride += next.rows;
            match groups.last_mut() {
                Some(last) if last.dtype == next.dtype => {
                    last.bytes.extend_from_slice(&next.bytes);
                    last.rows += next.rows;
                }
                Some(_) | None => groups.push(next),
            }
        }
        let padded = groups.first().map_or(columns, |group| group.columns);
        let parts = groups
            .into_iter()
            .map(|group| Ok(Arc::new(qtensor(group.dtype, &group.bytes, (group.rows, group.columns))?)))
            .collect::<candle_core::Result<Vec<_>>>()
            .map_err(|error| self.convert(tensors[0].0, &error))?;
        Ok(Linear { parts, columns: padded, stride, offsets })
    }

    /// A table whose rows are looked up and never multiplied, as stored.
    pub(crate) fn table(
        &mut self,
        name: &str,
        rows: usize,
        columns: usize,
    ) -> Result<Arc<QTensor>, LoadError> {
        let stored = self.gguf.tensor(name, &[rows, columns])?;
        count(&mut self.stored, stored.dtype, stored.bytes.len() as u64);
        count(&mut self.held, stored.dtype, stored.bytes.len() as u64);
        let table = qtensor(stored.dtype, &stored.bytes, (rows, columns));
        table.map(Arc::new).map_err(|error| self.convert(name, &error))
    }

    fn rows(&mut self, name: &str, rows: usize, columns: usize) -> Result<Rows, LoadError> {
        let stored = self.gguf.tensor(name, &[rows, columns])?;
        count(&mut self.stored, stored.dtype, stored.bytes.len() as u64);
        let mut converted = convert(stored, rows, columns).map_err(|error| self.convert(name, &error))?;
        let row_bytes = converted.bytes.len() / rows;
        converted.rows = rows.next_multiple_of(ROWS);
        // In every block format a block of zero bytes stands for zeros.
        converted.bytes.resize(converted.rows * row_bytes, 0);
        count(&mut self.held, converted.dtype, converted.bytes.len() as u64);
        Ok(converted)
    }

    fn convert(&self, name: &str, error: &candle_core::Error) -> LoadError {
        LoadError::Convert {
            path: self.gguf.path().to_owned(),
            tensor: name.to_owned(),
            reason: error.to_string(),
        }
    }
}

/// Counts a tensor.
pub(crate) fn count(census: &mut Census, dtype: GgmlDType, bytes: u64) {
    let entry = census.entry(format!("{dtype:?}")).or_default();
    entry.0 += 1;
    entry.1 = entry.1.saturating_add(bytes);
}

/// A tensor as it is held.
pub(crate) struct Held {
    pub(crate) dtype: GgmlDType,
    pub(crate) bytes: u64,
    /// Of the copy that the kernels make.
    pub(crate) tile_bytes: u64,
}

/// How a stored tensor is held: matrices as [`Weights::linear`] converts them, vectors as floats.
pub(crate) fn held(stored: GgmlDType, shape: &[usize], instructions: Instructions) -> Held {
    let (dtype, rows, columns) = match shape {
        [rows, columns] => {
            (held_format(stored), rows.next_multiple_of(ROWS), columns.next_multiple_of(COLUMNS))
        }
        _ => (GgmlDType::F32, 1, shape.iter().product()),
    };
    let blocks = (rows as u64).saturating_mul(columns as u64) / dtype.block_size() as u64;
    Held {
        dtype,
        bytes: blocks.saturating_mul(dtype.type_size() as u64),
        tile_bytes: instructions.tile_bytes(dtype, rows, columns),
    }
}

fn qtensor(dtype: GgmlDType, bytes: &[u8], shape: (usize, usize)) -> candle_core::Result<QTensor> {
    QTensor::new(QStorage::from_data(Cow::Borrowed(bytes), &Device::Cpu, dtype)?, shape)
}

fn floats(stored: &StoredTensor, rows: usize, columns: usize) -> candle_core::Result<Vec<f32>> {
    qtensor(stored.dtype, &stored.bytes, (rows, columns))?.dequantize(&Device::Cpu)?.flatten_all()?.to_vec1()
}

/// Keeps Q4_K and Q6_K, widens the rows of Q8_0, and turns every other format into Q8_0.
///
/// Q8_0 has more bits than any block format and half the error of the 8-bit activations that it is multiplied
/// with, so that the conversion does not show; F16, BF16 and F32 lose at most 1/254 of the largest of 32
/// neighbours.
fn convert(stored: StoredTensor, rows: usize, columns: usize) -> candle_core::Result<Rows> {
    let padded = columns.next_multiple_of(COLUMNS);
    let dtype = held_format(stored.dtype);
    let kept = |bytes| Ok(Rows { dtype, columns: padded, rows, bytes });
    if stored.dtype != dtype {
        let floats = floats(&stored, rows, columns)?;
        let wide = if padded == columns { floats } else { widen(&floats, columns, padded) };
        let wide = Tensor::from_vec(wide, (rows, padded), &Device::Cpu)?;
        return kept(QTensor::quantize(&wide, dtype)?.data()?.into_owned());
    }
    let row = |columns: usize| columns / dtype.block_size() * dtype.type_size();
    kept(if padded == columns { stored.bytes } else { widen(&stored.bytes, row(columns), row(padded)) })
}

/// The format that has a fast kernel and loses the least.
fn held_format(stored: GgmlDType) -> GgmlDType {
    match stored {
        GgmlDType::Q4K | GgmlDType::Q6K => stored,
        GgmlDType::F32
        | GgmlDType::F16
        | GgmlDType::BF16
        | GgmlDType::Q4_0
        | GgmlDType::Q4_1
        | GgmlDType::Q5_0
        | GgmlDType::Q5_1
        | GgmlDType::Q8_0
        | GgmlDType::Q8_1
        | GgmlDType::Q2K
        | GgmlDType::Q3K
        | GgmlDType::Q5K
        | GgmlDType::Q8K => GgmlDType::Q8_0,
    }
}

/// Puts zeros behind each row of `len` elements until it has `wide`.
fn widen<T: Copy + Default>(rows: &[T], len: usize, wide: usize) -> Vec<T> {
    let mut widened = vec![T::default(); rows.len() / len * wide];
    for (wide, row) in widened.chunks_exact_mut(wide).zip(rows.chunks_exact(len)) {
        wide[..len].copy_from_slice(row);
    }
    widened
}
