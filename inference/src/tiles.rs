//! The second copy of a matrix: the kernels of the tensor library put it into tiles at its first use, and keep both.
//!
//! Sizes are those of `candle_core::quantized::repack_x86` and `repack`, which are not public.

use candle_core::quantized::GgmlDType;

/// Columns of a tile, or of eight tiles of Q8_0.
const COLUMNS: usize = 256;
/// Rows of a tile.
const ROWS: usize = 16;
/// So many rows of input have tiles of their own where there are instructions for it.
pub(crate) const MANY: usize = 32;

/// The instructions that decide which tiles are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Instructions {
    /// None that the kernels use.
    Plain,
    /// Those of 64-bit ARM.
    Neon,
    /// AVX2 without products of bytes.
    Avx2,
    /// AVX2 or AVX-512 with products of bytes.
    Vnni,
    /// AVX-512 with products of bytes, and of tiles.
    Amx,
}

impl Instructions {
    /// Those of this machine.
    pub(crate) fn here() -> Self {
        if cfg!(target_arch = "aarch64") { Self::Neon } else { x86() }
    }

    /// The bytes of the tiles of a matrix that is held in `dtype`, with all its padding.
    pub(crate) fn tile_bytes(self, dtype: GgmlDType, rows: usize, columns: usize) -> u64 {
        let stored = ROWS * COLUMNS / dtype.block_size() * dtype.type_size();
        let per_tile = match (self, dtype) {
            (Self::Plain, _) | (Self::Avx2, GgmlDType::Q8_0) => 0,
            (_, GgmlDType::Q8_0) | (Self::Neon, GgmlDType::Q4K | GgmlDType::Q6K) => stored,
            // Scales and minima of 8 groups for 16 rows as floats, and two weights to the byte.
            (Self::Avx2 | Self::Vnni, GgmlDType::Q4K) => 2 * 8 * ROWS * 4 + ROWS * COLUMNS / 2,
            // The same, and once more with one weight to the byte, for many rows at once.
            (Self::Amx, GgmlDType::Q4K) => 2 * 2 * 8 * ROWS * 4 + ROWS * COLUMNS / 2 + ROWS * COLUMNS,
            // Scales of 16 groups for 16 rows as floats, and one weight to the byte.
            (Self::Avx2 | Self::Vnni | Self::Amx, GgmlDType::Q6K) => 16 * ROWS * 4 + ROWS * COLUMNS,
            (Self::Neon | Self::Avx2 | Self::Vnni | Self::Amx, _) => 0,
        };
        let tiles = (rows / ROWS) as u64 * (columns / COLUMNS) as u64;
        tiles.saturating_mul(per_tile as u64)
    }
}

impl Instructions {
    /// Whether the kernels go on reading the blocks of a matrix that is held in `dtype`.
    pub(crate) fn reads_blocks_again(self, dtype: GgmlDType) -> bool {
        match self {
            Self::Plain => true,
            Self::Neon => !matches!(dtype, GgmlDType::Q8_0 | GgmlDType::Q4K | GgmlDType::Q6K),
            // A single row is multiplied with the blocks of Q6_K, and more of them with their tiles.
            Self::Avx2 => dtype != GgmlDType::Q4K,
            Self::Vnni | Self::Amx => !matches!(dtype, GgmlDType::Q8_0 | GgmlDType::Q4K),
        }
    }
}

#[cfg(target_arch = "x86_64")]
fn x86() -> Instructions {
    let has_wide = std::is_x86_feature_detected!("avx512f") && std::is_x86_feature_detected!("avx512vnni");
    // Bits 24 and 25 of leaf 7: tiles, and products of bytes in them. Only Linux lets a process have them.
    let has_tiles = cfg!(target_os = "linux") && (std::arch::x86_64::__cpuid_count(7, 0).edx >> 24) & 3 == 3;
    if has_wide && has_tiles {
        Instructions::Amx
    } else if has_wide || std::is_x86_feature_detected!("avxvnni") {
        Instructions::Vnni
    } else if std::is_x86_feature_detected!("avx2") {
        Instructions::Avx2
    } else {
        Instructions::Plain
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn x86() -> Instructions {
    Instructions::Plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_are_as_large_as_the_kernels_make_them() {
        for (instructions, dtype, bytes) in [
            (Instructions::Vnni, GgmlDType::Q8_0, 8 * (16 * 2 + 16 * 32)),
            (Instructions::Avx2, GgmlDType::Q8_0, 0),
            (Instructions::Vnni, GgmlDType::Q4K, 3072),
            (Instructions::Amx, GgmlDType::Q4K, 3072 + 5120),
            (Instructions::Amx, GgmlDType::Q6K, 5120),
            (Instructions::Neon, GgmlDType::Q6K, 16 * 210),
            (Instructions::Plain, GgmlDType::Q6K, 0),
            (Instructions::Vnni, GgmlDType::F32, 0),
        ] {
            assert_eq!(instructions.tile_bytes(dtype, 32, 512), 4 * bytes, "{instructions:?} {dtype:?}");
        }
    }
}
