//! Matrices in the layout that has a fast kernel, converted tensor by tensor while a model is loaded.

mod conversion;

use std::collections::BTreeMap;
use std::sync::Arc;

use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{CpuStorage, CustomOp1, Layout};

pub(crate) use self::conversion::{Held, held};
use self::conversion::{ROUTER, ROWS, Rows, convert, floats, qtensor};
use crate::error::LoadError;
use crate::gguf::{Gguf, StoredTensor};

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

    /// Whether the file has a tensor.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.gguf.entry(name).is_some()
    }

    /// A vector as floats.
    pub(crate) fn vector(&mut self, name: &str, len: usize) -> Result<Vec<f32>, LoadError> {
        self.floats(name, &[len])
    }

    fn floats(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>, LoadError> {
        let stored = self.gguf.tensor(name, shape)?;
        self.note(&stored);
        let len = shape.iter().product();
        let floats = floats(&stored, 1, len).map_err(|error| self.convert(name, &error))?;
        count(&mut self.held, GgmlDType::F32, len as u64 * 4);
        Ok(floats)
    }

    /// The named tensors, `(name, rows)`, stacked into one matrix of `columns` columns.
    pub(crate) fn linear(&mut self, tensors: &[(&str, usize)], columns: usize) -> Result<Linear, LoadError> {
        let rows = tensors.iter().map(|(name, rows)| self.rows(name, *rows, columns));
        let rows = rows.collect::<Result<Vec<_>, _>>()?;
        stack(rows, columns).map_err(|error| self.convert(tensors[0].0, &error))
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
        let mut rows: Vec<Vec<Rows>> = (0..experts).map(|_| Vec::new()).collect();
        for (name, len) in tensors {
            let stored = self.gguf.tensor(name, &[experts, *len, columns])?;
            self.note(&stored);
            let (mut bytes, mut dtype) = (0, stored.dtype);
            let of_expert = stored.bytes.len() / experts;
            for (rows, own) in rows.iter_mut().zip(stored.bytes.chunks_exact(of_expert)) {
                let own = StoredTensor { dtype: stored.dtype, bytes: own.to_vec() };
                let own = padded(own, *len, columns).map_err(|error| self.convert(name, &error))?;
                bytes += own.bytes.len() as u64;
                dtype = own.dtype;
                rows.push(own);
            }
            count(&mut self.held, dtype, bytes);
        }
        let stacked = rows.into_iter().map(|rows| stack(rows, columns));
        stacked.collect::<candle_core::Result<_>>().map_err(|error| self.convert(tensors[0].0, &error))
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

    /// A table whose rows are looked up and never multiplied, as stored.
    pub(crate) fn table(
        &mut self,
        name: &str,
        rows: usize,
        columns: usize,
    ) -> Result<Arc<QTensor>, LoadError> {
        let stored = self.gguf.tensor(name, &[rows, columns])?;
        self.note(&stored);
        count(&mut self.held, stored.dtype, stored.bytes.len() as u64);
        let table = qtensor(stored.dtype, &stored.bytes, (rows, columns));
        table.map(Arc::new).map_err(|error| self.convert(name, &error))
    }

    fn rows(&mut self, name: &str, rows: usize, columns: usize) -> Result<Rows, LoadError> {
        let stored = self.gguf.tensor(name, &[rows, columns])?;
        self.note(&stored);
        let padded = padded(stored, rows, columns).map_err(|error| self.convert(name, &error))?;
        count(&mut self.held, padded.dtype, padded.bytes.len() as u64);
        Ok(padded)
    }

    /// Counts a tensor of the file.
    fn note(&mut self, stored: &StoredTensor) {
        count(&mut self.stored, stored.dtype, stored.bytes.len() as u64);
    }

    fn convert(&self, name: &str, error: &candle_core::Error) -> LoadError {
        LoadError::Convert {
            path: self.gguf.path().to_owned(),
            tensor: name.to_owned(),
            reason: error.to_string(),
        }
    }
}

/// Converts a matrix, and puts zeros behind its rows until they fill tiles.
fn padded(stored: StoredTensor, rows: usize, columns: usize) -> candle_core::Result<Rows> {
    let mut converted = convert(stored, rows, columns)?;
    let row_bytes = converted.bytes.len() / rows;
    converted.rows = rows.next_multiple_of(ROWS);
    // In every block format a block of zero bytes stands for zeros.
    converted.bytes.resize(converted.rows * row_bytes, 0);
    Ok(converted)
}

/// Makes one matrix of `columns` columns of the rows of several; those of one format that follow each other are
/// multiplied at once.
fn stack(matrices: Vec<Rows>, columns: usize) -> candle_core::Result<Linear> {
    let mut groups: Vec<Rows> = Vec::new();
    let mut offsets = Vec::new();
    let mut stride = 0;
    for next in matrices {
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
    let columns = groups.first().map_or(columns, |group| group.columns);
    let part = |group: Rows| qtensor(group.dtype, &group.bytes, (group.rows, group.columns)).map(Arc::new);
    let parts = groups.into_iter().map(part).collect::<candle_core::Result<_>>()?;
    Ok(Linear { parts, columns, stride, offsets })
}

/// Counts a tensor.
pub(crate) fn count(census: &mut Census, dtype: GgmlDType, bytes: u64) {
    let entry = census.entry(format!("{dtype:?}")).or_default();
    entry.0 += 1;
    entry.1 = entry.1.saturating_add(bytes);
}
