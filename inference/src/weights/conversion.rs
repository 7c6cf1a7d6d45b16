//! How tensors are held: in formats that have fast kernels, and as wide as these take them.

use std::borrow::Cow;

use candle_core::quantized::{GgmlDType, QStorage, QTensor};
use candle_core::{Device, Tensor};

use crate::gguf::{StoredTensor, significant};
use crate::tiles::Instructions;

/// The kernels take columns in super-blocks of this many.
const COLUMNS: usize = 256;
/// The kernels take rows in tiles of this many.
const ROWS: usize = 16;
/// Rows that are converted at a time, so that a large matrix does not lie in memory as floats.
const CONVERTED: usize = 256;

/// What the name of the matrix ends with that chooses experts. It is small, and what it chooses changes with a rounding.
pub(super) const ROUTER: &str = "ffn_gate_inp.weight";

/// A tensor as it is held.
pub(crate) struct Held {
    pub(crate) dtype: GgmlDType,
    pub(crate) bytes: u64,
    /// Of the copy that the kernels make.
    pub(crate) tile_bytes: u64,
    /// Whether the kernels read the blocks again when they have that copy.
    pub(crate) is_read_again: bool,
}

/// How a stored tensor is held: matrices as [`Weights::linear`](super::Weights::linear) converts them, those of experts
/// each for itself, and vectors and what chooses experts as floats.
pub(crate) fn held(name: &str, stored: GgmlDType, shape: &[usize], instructions: Instructions) -> Held {
    let (matrices, one) = match significant(shape) {
        [rows, columns] if !name.ends_with(ROUTER) => (1, matrix(stored, (*rows, *columns), instructions)),
        [experts, rows, columns] => (*experts as u64, matrix(stored, (*rows, *columns), instructions)),
        _ => {
            let floats = shape.iter().fold(1_usize, |product, side| product.saturating_mul(*side));
            (1, of_blocks(GgmlDType::F32, (1, floats), instructions))
        }
    };
    let (bytes, tile_bytes) = (one.bytes.saturating_mul(matrices), one.tile_bytes.saturating_mul(matrices));
    Held { bytes, tile_bytes, ..one }
}

/// How a matrix of so many rows and columns is held, as [`convert`] makes it.
pub(super) fn matrix(stored: GgmlDType, (rows, columns): (usize, usize), instructions: Instructions) -> Held {
    of_blocks(held_format(stored), (padded_rows(rows), padded_columns(columns)), instructions)
}

fn of_blocks(dtype: GgmlDType, (rows, columns): (usize, usize), instructions: Instructions) -> Held {
    let blocks = (rows as u64).saturating_mul(columns as u64) / dtype.block_size() as u64;
    Held {
        dtype,
        bytes: blocks.saturating_mul(dtype.type_size() as u64),
        tile_bytes: instructions.tile_bytes(dtype, rows, columns),
        is_read_again: instructions.reads_blocks_again(dtype),
    }
}

/// So many rows, with those of zeros that fill a tile.
pub(super) fn padded_rows(rows: usize) -> usize {
    rows.checked_next_multiple_of(ROWS).unwrap_or(usize::MAX)
}

/// So many columns, with those of zeros that fill a super-block.
pub(super) fn padded_columns(columns: usize) -> usize {
    columns.checked_next_multiple_of(COLUMNS).unwrap_or(usize::MAX)
}

pub(super) fn qtensor(dtype: GgmlDType, bytes: &[u8], shape: (usize, usize)) -> candle_core::Result<QTensor> {
    QTensor::new(QStorage::from_data(Cow::Borrowed(bytes), &Device::Cpu, dtype)?, shape)
}

pub(super) fn floats(dtype: GgmlDType, bytes: &[u8], shape: (usize, usize)) -> candle_core::Result<Vec<f32>> {
    qtensor(dtype, bytes, shape)?.dequantize(&Device::Cpu)?.flatten_all()?.to_vec1()
}

/// Appends the blocks of a matrix, with zeros for the rows and columns that the kernels need beside.
///
/// Keeps Q4_K and Q6_K, widens the rows of Q8_0, and turns every other format into Q8_0.
///
/// Q8_0 has more bits than any block format and half the error of the 8-bit activations that it is multiplied
/// with, so that the conversion does not show; F16, BF16 and F32 lose at most 1/254 of the largest of 32
/// neighbours.
pub(super) fn convert(
    stored: StoredTensor,
    (rows, columns): (usize, usize),
    bytes: &mut Vec<u8>,
) -> candle_core::Result<()> {
    let padded = padded_columns(columns);
    let dtype = held_format(stored.dtype);
    let row = |dtype: GgmlDType, columns: usize| columns / dtype.block_size() * dtype.type_size();
    let row_bytes = row(dtype, padded);
    // In every block format a block of zero bytes stands for zeros.
    let end = bytes.len() + padded_rows(rows) * row_bytes;
    bytes.reserve_exact(end - bytes.len());
    if stored.dtype != dtype {
        for few in stored.bytes.chunks(CONVERTED * row(stored.dtype, columns)) {
            let rows = few.len() / row(stored.dtype, columns);
            let floats = floats(stored.dtype, few, (rows, columns))?;
            let wide = if padded == columns { floats } else { widen(&floats, columns, padded) };
            let wide = Tensor::from_vec(wide, (rows, padded), &Device::Cpu)?;
            bytes.extend_from_slice(&QTensor::quantize(&wide, dtype)?.data()?);
        }
    } else if padded == columns {
        bytes.extend_from_slice(&stored.bytes);
    } else {
        bytes.extend_from_slice(&widen(&stored.bytes, row(dtype, columns), row_bytes));
    }
    bytes.resize(end, 0);
    Ok(())
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
