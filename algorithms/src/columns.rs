//! Messages of one partition for another one, as bytes.

use thiserror::Error;

use crate::fixed::Fixed;

/// Which messages they are: all that decides whether they are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// The attempt at the execution. Messages of another one are of no use.
    pub term: u64,
    /// The superstep in which they arrive.
    pub superstep: u64,
    /// The partition that sends them.
    pub from: u32,
    /// Which part they are of what it sends, from 0.
    pub part: u32,
    /// How many parts there are, at least one: that nothing is sent is said by one that is empty.
    pub parts: u32,
}

/// Messages with the vertices that they go to, or, of a [`Broadcast`](crate::Broadcast), that they come from.
pub type Letters<M> = Vec<(u32, M)>;

/// Bytes are no columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ColumnsError {
    /// They are of a later version, or of nothing of ours.
    #[error("columns of format {0} are not known")]
    Format(u8),
    /// They are cut off.
    #[error("columns have {found} bytes, and say that they have {said}")]
    Length {
        /// Their length.
        found: usize,
        /// What it has to be.
        said: usize,
    },
    /// Messages of the program have another length.
    #[error("messages have {found} bytes each, and {wanted} are wanted")]
    Width {
        /// The length of those that came.
        found: u32,
        /// That of the program's.
        wanted: usize,
    },
    /// Their part is none of the parts that there are.
    #[error("part {part} of {parts} does not exist")]
    Part {
        /// Which.
        part: u32,
        /// Of how many.
        parts: u32,
    },
}

const FORMAT: u8 = 1;
/// Format, width, stamp and count.
const HEAD: usize = 1 + 4 + 8 + 8 + 4 + 4 + 4 + 4;

/// Messages as a head and two columns: whom they go to, and what they say. They stay in their order.
///
/// # Panics
/// There are 2^32 messages or more.
pub fn pack<M: Fixed>(stamp: Stamp, letters: &[(u32, M)]) -> Vec<u8> {
    let number = |count| u32::try_from(count).expect("a part has fewer than 2^32 messages");
    let mut out = Vec::with_capacity(HEAD + letters.len() * (u32::BYTES + M::BYTES));
    let Stamp { term, superstep, from, part, parts } = stamp;
    out.push(FORMAT);
    number(M::BYTES).put(&mut out);
    (term, superstep).put(&mut out);
    ((from, part), (parts, number(letters.len()))).put(&mut out);
    letters.iter().for_each(|(id, _)| id.put(&mut out));
    letters.iter().for_each(|(_, message)| message.put(&mut out));
    out
}

/// The messages of bytes, and which they are. Whether their vertices exist is for the [`Share`](crate::Share) to see.
///
/// # Errors
/// They are no columns of such messages.
pub fn unpack<M: Fixed>(bytes: &[u8]) -> Result<(Stamp, Letters<M>), ColumnsError> {
    let format = bytes.first().copied().unwrap_or_default();
    if format != FORMAT {
        return Err(ColumnsError::Format(format));
    }
    let Some((head, columns)) = bytes.split_at_checked(HEAD) else {
        return Err(ColumnsError::Length { found: bytes.len(), said: HEAD });
    };
    let (found, head) = (u32::read(&head[1..5]), &head[5..]);
    let (term, superstep) = Fixed::read(&head[..16]);
    let ((from, part), (parts, count)) = <((u32, u32), (u32, u32))>::read(&head[16..]);
    if found as usize != M::BYTES {
        return Err(ColumnsError::Width { found, wanted: M::BYTES });
    }
    if part >= parts {
        return Err(ColumnsError::Part { part, parts });
    }
    let said = (count as usize).saturating_mul(u32::BYTES + M::BYTES);
    if columns.len() != said {
        return Err(ColumnsError::Length { found: bytes.len(), said: said.saturating_add(HEAD) });
    }
    let (ids, messages) = columns.split_at(count as usize * u32::BYTES);
    let (ids, messages) = (ids.chunks_exact(u32::BYTES), messages.chunks_exact(M::BYTES));
    let letters = ids.zip(messages).map(|(id, message)| (u32::read(id), M::read(message))).collect();
    Ok((Stamp { term, superstep, from, part, parts }, letters))
}

/// What one partition sends another one in a superstep, in parts of at most so many messages, each with its stamp; of
/// `stamp` the parts do not matter.
///
/// # Panics
/// `most` is 0, or there are 2^32 parts or more.
pub fn parts<M: Fixed>(stamp: Stamp, letters: &[(u32, M)], most: usize) -> impl Iterator<Item = Vec<u8>> {
    let parts = u32::try_from(letters.len().div_ceil(most).max(1)).expect("there are fewer than 2^32 parts");
    (0..parts).map(move |part| {
        let start = part as usize * most;
        let of_part = &letters[start..letters.len().min(start + most)];
        pack(Stamp { part, parts, ..stamp }, of_part)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::combine::{Mass, Smallest, Sum};

    const STAMP: Stamp = Stamp { term: 3, superstep: 1 << 40, from: 2, part: 0, parts: 1 };

    type Message = ((Sum, Smallest<f64>), (Mass, u32));

    proptest! {
        #[test]
        fn messages_come_in_their_order_and_whole(
            letters in proptest::collection::vec((any::<u32>(), any::<(u64, f64)>()), 0..50),
            most in 1_usize..20,
        ) {
            let mut came = Vec::new();
            let mut all = parts(STAMP, &letters, most).enumerate().peekable();
            prop_assert!(all.peek().is_some());
            let count = letters.len().div_ceil(most).max(1);
            for (part, bytes) in all {
                let (stamp, letters) = unpack::<(u64, f64)>(&bytes).unwrap();
                let number = |it| u32::try_from(it).unwrap();
                prop_assert_eq!(stamp, Stamp { part: number(part), parts: number(count), ..STAMP });
                prop_assert!(letters.len() <= most);
                came.extend(letters);
            }
            prop_assert_eq!(came.len(), letters.len());
            let bits = |(id, (one, other)): &(u32, (u64, f64))| (*id, *one, other.to_bits());
            prop_assert!(came.iter().map(bits).eq(letters.iter().map(bits)));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80), head in 0..HEAD) {
            let mut mixed = pack::<(u64, u64)>(STAMP, &[(1, (2, 3))]);
            mixed.truncate(head);
            mixed.extend(&bytes);
            for bytes in [bytes, mixed] {
                if let Ok((stamp, letters)) = unpack::<(u64, u64)>(&bytes) {
                    prop_assert_eq!(pack(stamp, &letters), bytes);
                }
            }
        }
    }

    #[test]
    fn what_is_of_other_messages_cut_off_or_later_is_refused_by_cause() {
        let bytes = pack::<Message>(STAMP, &[(7, ((Sum(1), Smallest(0.5)), (Mass::new(0.25), 9)))]);
        assert_eq!(bytes.len(), HEAD + 4 + 28);
        assert!(unpack::<Message>(&bytes).is_ok());
        assert_eq!(unpack::<u64>(&bytes), Err(ColumnsError::Width { found: 28, wanted: 8 }));
        let said = bytes.len();
        for found in [HEAD, said - 1] {
            let cut = unpack::<Message>(&bytes[..found]);
            assert_eq!(cut.map(|_| ()), Err(ColumnsError::Length { found, said }));
        }
        let later = [&[2], &bytes[1..]].concat();
        assert_eq!(unpack::<Message>(&later).map(|_| ()), Err(ColumnsError::Format(2)));
        let none = pack::<u32>(Stamp { part: 1, ..STAMP }, &[]);
        assert_eq!(unpack::<u32>(&none), Err(ColumnsError::Part { part: 1, parts: 1 }));
    }
}
