//! What has a fixed number of bytes.

use crate::combine::{Mass, Smallest, Sum};

/// A message that is as long as any other of its type, so that many stand in a column without names, tags or lengths.
/// Numbers are little-endian.
pub trait Fixed: Sized {
    /// How many bytes one has.
    const BYTES: usize;

    /// Appends [`BYTES`](Self::BYTES) bytes.
    fn put(&self, out: &mut Vec<u8>);

    /// What was [put](Self::put). All bytes mean something: `bytes` are [`BYTES`](Self::BYTES) of them, or it panics.
    fn read(bytes: &[u8]) -> Self;
}

macro_rules! number {
    ($type:ty) => {
        impl Fixed for $type {
            const BYTES: usize = size_of::<Self>();

            #[inline]
            fn put(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }

            #[inline]
            fn read(bytes: &[u8]) -> Self {
                Self::from_le_bytes(bytes.try_into().expect("a column is cut at its width"))
            }
        }
    };
}

number!(u32);
number!(u64);
number!(f64);

impl Fixed for Sum {
    const BYTES: usize = u64::BYTES;

    #[inline]
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
    }

    #[inline]
    fn read(bytes: &[u8]) -> Self {
        Self(u64::read(bytes))
    }
}

impl Fixed for Mass {
    const BYTES: usize = u64::BYTES;

    #[inline]
    fn put(&self, out: &mut Vec<u8>) {
        self.units().put(out);
    }

    #[inline]
    fn read(bytes: &[u8]) -> Self {
        Self::from_units(u64::read(bytes))
    }
}

impl<T: Fixed> Fixed for Smallest<T> {
    const BYTES: usize = T::BYTES;

    #[inline]
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
    }

    #[inline]
    fn read(bytes: &[u8]) -> Self {
        Self(T::read(bytes))
    }
}

impl<A: Fixed, B: Fixed> Fixed for (A, B) {
    const BYTES: usize = A::BYTES + B::BYTES;

    #[inline]
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
        self.1.put(out);
    }

    #[inline]
    fn read(bytes: &[u8]) -> Self {
        let (one, other) = bytes.split_at(A::BYTES);
        (A::read(one), B::read(other))
    }
}
