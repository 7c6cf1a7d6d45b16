//! Blocks of weights that lie in a file, which the kernels read where they lie.
//!
//! A page of them takes memory from when it is first read, and can be let go at any time: the file has it.

use std::fs::File;
use std::io;
use std::marker::PhantomData;
use std::ops::Range;
use std::sync::Arc;

use candle_core::quantized::k_quants::{
    BlockQ2K, BlockQ3K, BlockQ4_0, BlockQ4_1, BlockQ4K, BlockQ5_0, BlockQ5_1, BlockQ5K, BlockQ6K, BlockQ8_0,
    BlockQ8_1, BlockQ8K, matmul, matmul_f16,
};
use candle_core::quantized::{GgmlDType, GgmlType, QStorage, QTensor, QuantizedType};
use candle_core::{CpuStorage, Result};
use half::{bf16, f16};
use memmap2::{Mmap, MmapOptions, UncheckedAdvice};

/// A part of a file.
#[derive(Debug)]
pub(crate) struct Mapping(Mmap);

impl Mapping {
    /// Maps `length` bytes from `offset`; the file has them, and nobody writes into it again.
    pub(crate) fn of(file: &File, offset: u64, length: usize) -> io::Result<Self> {
        // SAFETY: whoever calls this has made the file under a name of its own, or opened one that is put in place by
        // renaming and is never written after that. A user who cuts it meanwhile ends the process by a signal, which
        // is no other behaviour than that of any mapped program.
        #[expect(unsafe_code, reason = "a mapping is only as constant as its file")]
        unsafe { MmapOptions::new().offset(offset).len(length).map(file) }.map(Self)
    }

    /// Lets go of the memory that it takes; what is read again is read from the file.
    pub(crate) fn release(&self) {
        // SAFETY: the mapping is shared with the file and was never written, so that no byte changes.
        #[expect(unsafe_code, reason = "of other mappings this advice would drop what was written")]
        let advised = unsafe { self.0.unchecked_advise(UncheckedAdvice::DontNeed) };
        // What is locked into memory cannot be let go, and stays right where it is.
        drop(advised);
    }
}

/// The matrix whose blocks are a range of a mapping.
pub(crate) fn matrix(
    mapping: &Arc<Mapping>,
    range: Range<usize>,
    dtype: GgmlDType,
    (rows, columns): (usize, usize),
) -> Result<QTensor> {
    let blocks = rows.checked_mul(columns).map(|elements| elements / dtype.block_size());
    let expected = blocks.and_then(|blocks| blocks.checked_mul(dtype.type_size()));
    let is_whole = mapping.0.get(range.clone()).is_some_and(|bytes| Some(bytes.len()) == expected);
    if !is_whole {
        candle_core::bail!("{range:?} of a file are not the blocks of {rows} rows of {columns}");
    }
    let mapping = Arc::clone(mapping);
    let storage: Box<dyn QuantizedType> = match dtype {
        GgmlDType::F32 => Blocks::<f32>::boxed(mapping, range),
        GgmlDType::F16 => Blocks::<f16>::boxed(mapping, range),
        GgmlDType::BF16 => Blocks::<bf16>::boxed(mapping, range),
        GgmlDType::Q4_0 => Blocks::<BlockQ4_0>::boxed(mapping, range),
        GgmlDType::Q4_1 => Blocks::<BlockQ4_1>::boxed(mapping, range),
        GgmlDType::Q5_0 => Blocks::<BlockQ5_0>::boxed(mapping, range),
        GgmlDType::Q5_1 => Blocks::<BlockQ5_1>::boxed(mapping, range),
        GgmlDType::Q8_0 => Blocks::<BlockQ8_0>::boxed(mapping, range),
        GgmlDType::Q8_1 => Blocks::<BlockQ8_1>::boxed(mapping, range),
        GgmlDType::Q2K => Blocks::<BlockQ2K>::boxed(mapping, range),
        GgmlDType::Q3K => Blocks::<BlockQ3K>::boxed(mapping, range),
        GgmlDType::Q4K => Blocks::<BlockQ4K>::boxed(mapping, range),
        GgmlDType::Q5K => Blocks::<BlockQ5K>::boxed(mapping, range),
        GgmlDType::Q6K => Blocks::<BlockQ6K>::boxed(mapping, range),
        GgmlDType::Q8K => Blocks::<BlockQ8K>::boxed(mapping, range),
    }?;
    QTensor::new(QStorage::Cpu(storage), (rows, columns))
}

/// Blocks of one type in a mapping.
struct Blocks<T> {
    mapping: Arc<Mapping>,
    range: Range<usize>,
    kind: PhantomData<fn() -> T>,
}

impl<T: GgmlType + 'static> Blocks<T> {
    fn boxed(mapping: Arc<Mapping>, range: Range<usize>) -> Result<Box<dyn QuantizedType>> {
        let blocks = Self { mapping, range, kind: PhantomData };
        if size_of_val(blocks.all()) != blocks.range.len() {
            candle_core::bail!("{:?} of a file do not lie as their kernel needs them", blocks.range);
        }
        Ok(Box::new(blocks))
    }

    fn all(&self) -> &[T] {
        let bytes = &self.mapping.0[self.range.clone()];
        // SAFETY: all block types are plain numbers without padding, for which every pattern of bits is a value.
        #[expect(unsafe_code, reason = "the tensor library has no other way to see bytes as blocks")]
        let (_, blocks, _) = unsafe { bytes.align_to::<T>() };
        blocks
    }
}

impl<T: GgmlType + 'static> QuantizedType for Blocks<T> {
    fn dtype(&self) -> GgmlDType {
        T::DTYPE
    }

    fn matmul_t(&self, mkn: (usize, usize, usize), lhs: &[f32], dst: &mut [f32]) -> Result<()> {
        matmul(mkn, lhs, self.all(), dst)
    }

    fn matmul_t_f16(&self, mkn: (usize, usize, usize), lhs: &[f16], dst: &mut [f16]) -> Result<()> {
        matmul_f16(mkn, lhs, self.all(), dst)
    }

    fn embedding(&self, ids: &[u32], rows: usize, hidden: usize) -> Result<CpuStorage> {
        let row_blocks = hidden / T::BLCK_SIZE;
        let mut floats = vec![0.0; ids.len() * hidden];
        for (id, floats) in ids.iter().zip(floats.chunks_exact_mut(hidden)) {
            let row = *id as usize;
            let blocks = (row < rows).then(|| &self.all()[row * row_blocks..(row + 1) * row_blocks]);
            let Some(blocks) = blocks else { candle_core::bail!("there is no row {row} of {rows}") };
            T::to_float(blocks, floats);
        }
        Ok(CpuStorage::F32(floats))
    }

    fn dequantize(&self, elem_count: usize) -> Result<CpuStorage> {
        let mut floats = vec![0.0; elem_count];
        T::to_float(self.all(), &mut floats);
        Ok(CpuStorage::F32(floats))
    }

    fn storage_size_in_bytes(&self) -> usize {
        self.range.len()
    }

    fn as_ptr(&self) -> *const u8 {
        self.mapping.0[self.range.clone()].as_ptr()
    }

    fn block_size(&self) -> usize {
        T::BLCK_SIZE
    }

    fn from_float(&mut self, _: &[f32]) {
        unreachable!("only what the tensor library has made itself is written")
    }

    fn from_float_imatrix(&mut self, _: &[f32], _: &[f32], _: usize) {
        unreachable!("only what the tensor library has made itself is written")
    }

    fn size(&self) -> usize {
        self.range.len()
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;
    use std::io::Write;

    use candle_core::{Device, Tensor};

    use super::*;

    #[test]
    fn blocks_in_a_file_are_those_in_memory() {
        let floats: Vec<f32> = (0..16_u16 * 256).map(|n| f32::from(n % 97) / 97.0 - 0.5).collect();
        let source = Tensor::from_vec(floats, (16, 256), &Device::Cpu).unwrap();
        let input = Tensor::ones((2, 256), candle_core::DType::F32, &Device::Cpu).unwrap();
        let ids = Tensor::new(&[3_u32, 15], &Device::Cpu).unwrap();
        for dtype in [GgmlDType::F32, GgmlDType::Q4_1, GgmlDType::Q8_0, GgmlDType::Q4K, GgmlDType::Q6K] {
            let held = QTensor::quantize(&source, dtype).unwrap();
            let bytes = held.data().map(Cow::into_owned).unwrap();
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(&[&[0; 4096], bytes.as_slice()].concat()).unwrap();
            let mapping = Arc::new(Mapping::of(&file, 4096, bytes.len()).unwrap());
            let mapped = matrix(&mapping, 0..bytes.len(), dtype, (16, 256)).unwrap();
            let table = |tensor: &QTensor| tensor.embedding(&ids).unwrap().to_vec2::<f32>().unwrap();
            let product = |tensor: QTensor| {
                let product = input.apply_op1_no_bwd(&tensor).unwrap();
                product.to_vec2::<f32>().unwrap()
            };
            assert_eq!(table(&mapped), table(&held), "{dtype:?}");
            mapping.release();
            assert_eq!(table(&mapped), table(&held), "{dtype:?}, after the pages are let go");
            assert_eq!(product(mapped), product(held), "{dtype:?}");
            assert!(matrix(&mapping, 0..bytes.len() - 1, dtype, (16, 256)).is_err());
            assert!(matrix(&mapping, 1..bytes.len() + 1, dtype, (16, 256)).is_err());
        }
    }

    #[test]
    fn a_row_that_is_not_there_is_an_error() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&[0; 64 * 4]).unwrap();
        let mapping = Arc::new(Mapping::of(&file, 0, 64 * 4).unwrap());
        let table = matrix(&mapping, 0..64 * 4, GgmlDType::F32, (2, 32)).unwrap();
        let ids = Tensor::new(&[2_u32], &Device::Cpu).unwrap();
        assert!(table.embedding(&ids).is_err());
        let shifted = Arc::new(Mapping::of(&file, 0, 64 * 4).unwrap());
        assert!(
            matrix(&shifted, 2..2 + 32 * 4, GgmlDType::F32, (1, 32)).is_err(),
            "floats lie at multiples of 4"
        );
    }
}
