//! How tensors are held: in formats that have fast kernels, and as wide as these take them.

use std::borrow::Cow;

use candle_core::quantized::{GgmlDType, QStorage, QTensor};
use candle_core::{Device, Tensor};

use crate::gguf::{StoredTensor, significant};
use crate::tiles::Instructions;

/// The kernels take columns in super-blocks of this many.
const COLUMNS: usize = 256;
/// The kernels take rows in tiles of this many.
pub(super) const ROWS: usize = 16;

/// Whole rows of blocks of one type.
pub(super) struct Rows {
    pub(super) dtype: GgmlDType,
    pub(super) columns: usize,
    pub(super) rows: usize,
    pub(super) bytes: Vec<u8>,
}

/// What the name of the matrix ends with that chooses experts. It is small, and what it chooses changes with a rounding.
pub(super) const ROUTER: &str = "ffn_gate_inp.weight";

/// A tensor as it is held.
pub(crate) struct Held {
    pub(crate) dtype: GgmlDType,
    pub(crate) bytes: u64,
    /// Of the copy that the kernels make.
    pub(crate) tile_bytes: u64,
}

/// How a stored tensor is held: matrices as [`Weights::linear`](super::Weights::linear) converts them, those of experts
/// each for itself, and vectors and what chooses experts as floats.
pub(crate) fn held(name: &str, stored: GgmlDType, shape: &[usize], instructions: Instructions) -> Held {
    let padded = |rows: usize, columns: usize| {
        let whole = |side: usize, of: usize| side.checked_next_multiple_of(of).unwrap_or(usize::MAX);
        (held_format(stored), whole(rows, ROWS), whole(columns, COLUMNS))
    };
    let (matrices, (dtype, rows, columns)) = match significant(shape) {
        [rows, columns] if !name.ends_with(ROUTER) => (1, padded(*rows, *columns)),
        [experts, rows, columns] => (*experts as u64, padded(*rows, *columns)),
        _ => {
            let floats = shape.iter().fold(1_usize, |product, side| product.saturating_mul(*side));
            (1, (GgmlDType::F32, 1, floats))
        }
    };
    let blocks = (rows as u64).saturating_mul(columns as u64) / dtype.block_size() as u64;
    Held {
        dtype,
        bytes: blocks.saturating_mul(dtype.type_size() as u64).saturating_mul(matrices),
        tile_bytes: instructions.tile_bytes(dtype, rows, columns).saturating_mul(matrices),
    }
}

pub(super) fn qtensor(dtype: GgmlDType, bytes: &[u8], shape: (usize, usize)) -> candle_core::Result<QTensor> {
    QTensor::new(QStorage::from_data(Cow::Borrowed(bytes), &Device::Cpu, dtype)?, shape)
}

pub(super) fn floats(stored: &StoredTensor, rows: usize, columns: usize) -> candle_core::Result<Vec<f32>> {
    qtensor(stored.dtype, &stored.bytes, (rows, columns))?.dequantize(&Device::Cpu)?.flatten_all()?.to_vec1()
}

/// Keeps Q4_K and Q6_K, widens the rows of Q8_0, and turns every other format into Q8_0.
///
/// Q8_0 has more bits than any block format and half the error of the 8-bit activations that it is multiplied
/// with, so that the conversion does not show; F16, BF16 and F32 lose at most 1/254 of the largest of 32
/// neighbours.
pub(super) fn convert(stored: StoredTensor, rows: usize, columns: usize) -> candle_core::Result<Rows> {
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
