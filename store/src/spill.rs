//! How a record is encoded: postcard, in which a long text or byte string stands in a blob of its own.
//!
//! Where a value of more than [`INLINE`] bytes would stand, stands the digest of the blob that holds it; the
//! length before it is that of the value and tells which of the two it is. So a log does not grow by a large
//! payload that many records repeat, and a record stays small enough to be read by itself.

use std::{cell::RefCell, sync::Arc};

use postcard::{de_flavors, ser_flavors};
use typed_arena::Arena;

use crate::{Blobs, Digest, Record, StoreError};

/// The longest text or byte string, in bytes, that stands in a record itself.
pub(crate) const INLINE: usize = 64 << 10;
const DIGEST: usize = 32;

/// Records as they go to the log, and the blobs that they name.
#[derive(Debug, Default)]
pub(crate) struct Encoded {
    pub(crate) records: Vec<u8>,
    pub(crate) blobs: Vec<(Digest, Vec<u8>)>,
}

impl Encoded {
    /// The bytes that are to be written for them.
    pub(crate) fn size(&self) -> usize {
        self.records.len() + self.blobs.iter().map(|(_, bytes)| bytes.len()).sum::<usize>()
    }

    /// Adds a record.
    pub(crate) fn push<R: Record>(&mut self, record: &R) -> Result<(), StoreError> {
        postcard::serialize_with_flavor(record, Spilling(self)).map_err(StoreError::Encode)
    }

    fn spill(&mut self, value: &[u8]) {
        let digest = Digest::of(value);
        self.records.extend_from_slice(digest.as_bytes());
        if self.blobs.iter().all(|(known, _)| *known != digest) {
            self.blobs.push((digest, value.to_vec()));
        }
    }
}

/// Postcard hands a text or a byte string over in one piece, and nothing else that is long.
struct Spilling<'a>(&'a mut Encoded);

impl ser_flavors::Flavor for Spilling<'_> {
    type Output = ();

    fn try_extend(&mut self, data: &[u8]) -> postcard::Result<()> {
        if data.len() > INLINE {
            self.0.spill(data);
        } else {
            self.0.records.extend_from_slice(data);
        }
        Ok(())
    }

    fn try_push(&mut self, data: u8) -> postcard::Result<()> {
        self.0.records.push(data);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

/// Why encoded records cannot be read.
#[derive(Debug)]
pub(crate) enum Undecodable {
    /// They are no records of this type.
    Record(postcard::Error),
    /// So many bytes follow the last one.
    LeftOver(usize),
    /// A blob that one of them names cannot be had.
    Blob(StoreError),
}

/// Takes the first record off `rest`. Without `blobs` every value stands in the record itself.
pub(crate) fn take<R: Record>(rest: &mut &[u8], blobs: Option<&Blobs>) -> Result<R, Undecodable> {
    let (arena, trouble) = (Arena::new(), RefCell::new(None));
    let source = Source { rest, blobs, arena: &arena, trouble: &trouble };
    let mut deserializer = postcard::Deserializer::from_flavor(source);
    let record = R::deserialize(&mut deserializer).and_then(|record| Ok((record, deserializer.finalize()?)));
    match record {
        Ok((record, left)) => {
            *rest = left;
            Ok(record)
        }
        Err(error) => Err(trouble.take().map_or(Undecodable::Record(error), Undecodable::Blob)),
    }
}

/// Encoded records, and the blobs that were read for one of them.
struct Source<'a, 'r> {
    rest: &'r [u8],
    blobs: Option<&'a Blobs>,
    arena: &'a Arena<Arc<[u8]>>,
    /// What a blob could not be read for: the errors of postcard have no place for it.
    trouble: &'a RefCell<Option<StoreError>>,
}

impl<'r> Source<'_, 'r> {
    fn cut(&mut self, count: usize) -> postcard::Result<&'r [u8]> {
        let (cut, rest) =
            self.rest.split_at_checked(count).ok_or(postcard::Error::DeserializeUnexpectedEnd)?;
        self.rest = rest;
        Ok(cut)
    }

    fn fetch(&mut self, blobs: &Blobs, length: usize) -> postcard::Result<Arc<[u8]>> {
        let digest: [u8; DIGEST] =
            self.cut(DIGEST)?.try_into().map_err(|_| postcard::Error::DeserializeUnexpectedEnd)?;
        match blobs.get(Digest::from_bytes(digest)) {
            Ok(bytes) if bytes.len() == length => Ok(bytes),
            Ok(_) => Err(postcard::Error::DeserializeBadEncoding),
            Err(error) => {
                self.trouble.replace(Some(error));
                Err(postcard::Error::DeserializeBadEncoding)
            }
        }
    }
}

impl<'a, 'r: 'a> de_flavors::Flavor<'a> for Source<'a, 'r> {
    type Remainder = &'r [u8];
    type Source = &'r [u8];

    fn pop(&mut self) -> postcard::Result<u8> {
        Ok(self.cut(1)?[0])
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.rest.len())
    }

    fn try_take_n(&mut self, count: usize) -> postcard::Result<&'a [u8]> {
        match self.blobs {
            Some(blobs) if count > INLINE => {
                let bytes = self.fetch(blobs, count)?;
                Ok(self.arena.alloc(bytes))
            }
            Some(_) | None => self.cut(count),
        }
    }

    fn finalize(self) -> postcard::Result<&'r [u8]> {
        Ok(self.rest)
    }
}
