//! What a Parquet file says of sizes, held against what it has, before memory is given for it.
//!
//! Its reader believes that a group of the schema has as many columns, that a page unpacks to as many bytes, and that a
//! dictionary has as many entries as the file says, and asks for that much memory at once; a process that does not get
//! it ends.

mod thrift;

use parquet::basic::{Compression, Type};
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};

use self::thrift::{Thrift, Truncated};

/// Groups inside groups.
const MOST_DEPTH: usize = 32;
/// Bytes that one byte of Snappy unpacks to at most: 64 take three.
const MOST_UNPACKED: u64 = 64;
/// Bytes behind the metadata: its length, and the mark of the format.
const TAIL: usize = 8;

/// A claim that does not hold.
#[derive(Debug, PartialEq, thiserror::Error)]
pub(in crate::manifests::documents) enum Untrue {
    #[error("{0}")]
    Damaged(&'static str),
    #[error(
        "column {0:?} has texts as differences, which are not read; have them written plain or with a dictionary"
    )]
    Encoding(String),
}

impl From<Truncated> for Untrue {
    fn from(_: Truncated) -> Self {
        Self::Damaged("a header ends early or is none")
    }
}

/// The schema has as many parts as it says, and they are not nested too deep.
///
/// # Errors
/// It has not, or there is none.
pub(super) fn check_schema(file: &[u8]) -> Result<(), Untrue> {
    let mut metadata = Thrift(metadata(file).ok_or(Untrue::Damaged("it has no metadata at its end"))?);
    let mut last = 0;
    while let Some((id, kind)) = metadata.field(&mut last)? {
        if (id, kind) == (2, thrift::LIST) {
            let children = children(&mut metadata)?;
            return check_depth(&children);
        }
        metadata.skip(kind)?;
    }
    Err(Untrue::Damaged("it has no schema"))
}

fn metadata(file: &[u8]) -> Option<&[u8]> {
    let (rest, tail) = file.split_last_chunk::<TAIL>()?;
    let [a, b, c, d, mark @ ..] = tail;
    let length = usize::try_from(u32::from_le_bytes([*a, *b, *c, *d])).ok()?;
    (mark == b"PAR1").then_some(())?;
    rest.get(rest.len().checked_sub(length)?..)
}

/// How many children each element of the schema says that it has, before those.
fn children(metadata: &mut Thrift<'_>) -> Result<Vec<u64>, Untrue> {
    let (elements, kind) = metadata.list()?;
    if kind != thrift::STRUCT {
        return Err(Untrue::Damaged("its schema is none"));
    }
    let mut children = Vec::new();
    for _ in 0..elements {
        let (mut last, mut own) = (0, 0);
        while let Some((id, kind)) = metadata.field(&mut last)? {
            if (id, kind) == (5, thrift::I32) {
                own = metadata.integer()?;
            } else {
                metadata.skip(kind)?;
            }
        }
        children.push(u64::try_from(own).map_err(|_| Untrue::Damaged("a group has less than no columns"))?);
    }
    Ok(children)
}

fn check_depth(children: &[u64]) -> Result<(), Untrue> {
    // How many are still to come of each group that is open.
    let mut open: Vec<u64> = Vec::new();
    for own in children {
        if *own >= children.len() as u64 {
            return Err(Untrue::Damaged("a group has more columns than there are"));
        }
        while open.pop_if(|left| *left == 0).is_some() {}
        if let Some(left) = open.last_mut() {
            *left -= 1;
        }
        open.push(*own);
        if open.len() > MOST_DEPTH {
            return Err(Untrue::Damaged("its groups are nested too deep"));
        }
    }
    Ok(())
}

/// Each page unpacks to no more than it can, and has no more dictionary entries than its bytes make. How many values the
/// fullest column has, of which no row takes less than one.
///
/// # Errors
/// A page claims more, or is not where the metadata says, or its encoding does not tell how much it unpacks to; or there
/// are more rows than values.
pub(super) fn check_pages(file: &[u8], metadata: &ParquetMetaData) -> Result<u64, Untrue> {
    let mut fullest: Vec<u64> = Vec::new();
    let mut rows: u64 = 0;
    for group in metadata.row_groups() {
        // What is less than nothing is more than there can be.
        rows = rows.saturating_add(u64::try_from(group.num_rows()).unwrap_or(u64::MAX));
        fullest.resize(fullest.len().max(group.columns().len()), 0);
        for (column, values) in group.columns().iter().zip(&mut fullest) {
            *values = values.saturating_add(check_column(file, column)?);
        }
    }
    let fullest = fullest.into_iter().max().unwrap_or_default();
    if rows > fullest { Err(Untrue::Damaged("it has more rows than values")) } else { Ok(fullest) }
}

fn check_column(file: &[u8], column: &ColumnChunkMetaData) -> Result<u64, Untrue> {
    let begin = column.dictionary_page_offset().unwrap_or(column.data_page_offset());
    let (begin, length) = (usize::try_from(begin), usize::try_from(column.compressed_size()));
    let chunk = begin.ok().zip(length.ok()).and_then(|(begin, length)| file.get(begin..)?.get(..length));
    let mut rest = Thrift(chunk.ok_or(Untrue::Damaged("a column is not where it should be"))?);
    let mut values: u64 = 0;
    while !rest.0.is_empty() {
        let page = Page::read(&mut rest)?;
        let packed = page.check(column.compression(), least(column.column_type()))?;
        rest.0 = rest.0.get(packed..).ok_or(Untrue::Damaged("a page ends early"))?;
        // DELTA_LENGTH_BYTE_ARRAY and DELTA_BYTE_ARRAY: their lengths stand packed in the page itself.
        if [6, 7].contains(&page.encoding) {
            return Err(Untrue::Encoding(column.column_path().string()));
        }
        values = values.saturating_add(u64::try_from(page.values).unwrap_or_default());
    }
    Ok(values)
}

/// The bytes that an entry of a dictionary has at least.
fn least(kind: Type) -> u64 {
    match kind {
        Type::BOOLEAN | Type::FIXED_LEN_BYTE_ARRAY => 1,
        Type::INT32 | Type::FLOAT | Type::BYTE_ARRAY => 4,
        Type::INT64 | Type::DOUBLE => 8,
        Type::INT96 => 12,
    }
}

/// The header of a page.
#[derive(Debug, Default)]
struct Page {
    unpacked: i64,
    packed: i64,
    /// Values of a page of data.
    values: i64,
    encoding: i64,
    /// Entries of a page with a dictionary.
    entries: i64,
}

impl Page {
    fn read(header: &mut Thrift<'_>) -> Result<Self, Truncated> {
        let mut page = Self::default();
        let mut last = 0;
        while let Some((id, kind)) = header.field(&mut last)? {
            match (id, kind) {
                (2, thrift::I32) => page.unpacked = header.integer()?,
                (3, thrift::I32) => page.packed = header.integer()?,
                // Data, in two versions of the format.
                (5, thrift::STRUCT) => (page.values, page.encoding) = numbers(header, 2)?,
                (8, thrift::STRUCT) => (page.values, page.encoding) = numbers(header, 4)?,
                (7, thrift::STRUCT) => (page.entries, _) = numbers(header, 2)?,
                _ => header.skip(kind)?,
            }
        }
        Ok(page)
    }

    /// How many bytes it has, if what it says that these make is not more than they can: when they are unpacked, and as
    /// entries of a dictionary of so many bytes each.
    fn check(&self, compression: Compression, least: u64) -> Result<usize, Untrue> {
        let claims = || Untrue::Damaged("a page says that it has more than it can");
        let packed = usize::try_from(self.packed).map_err(|_| claims())?;
        let unpacked = u64::try_from(self.unpacked).map_err(|_| claims())?;
        // The reader refuses all other compressions but Snappy.
        let most = if compression == Compression::UNCOMPRESSED { 1 } else { MOST_UNPACKED };
        let room = (packed as u64).saturating_mul(most);
        let entries = u64::try_from(self.entries).ok().and_then(|entries| entries.checked_mul(least));
        let fits = unpacked <= room && entries.is_some_and(|bytes| bytes <= unpacked);
        fits.then_some(packed).ok_or_else(claims)
    }
}

/// The number of values that a part of a header tells in its first field, and its encoding, in that field.
fn numbers(header: &mut Thrift<'_>, encoding: i16) -> Result<(i64, i64), Truncated> {
    let (mut values, mut encoded) = (0, 0);
    let mut last = 0;
    while let Some((id, kind)) = header.field(&mut last)? {
        match (id, kind) {
            (1, thrift::I32) => values = header.integer()?,
            (id, thrift::I32) if id == encoding => encoded = header.integer()?,
            _ => header.skip(kind)?,
        }
    }
    Ok((values, encoded))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_makes_no_more_of_its_bytes_than_it_can() {
        let check = |unpacked: i64, packed, entries, compression, kind| {
            Page { unpacked, packed, entries, ..Page::default() }.check(compression, least(kind)).is_ok()
        };
        let (plain, snappy) = (Compression::UNCOMPRESSED, Compression::SNAPPY);
        assert!(check(100, 100, 25, plain, Type::INT32));
        assert!(!check(100, 100, 26, plain, Type::BYTE_ARRAY));
        assert!(!check(101, 100, 0, plain, Type::INT32));
        assert!(check(2_000, 100, 250, snappy, Type::INT64));
        assert!(!check(i64::from(i32::MAX), 100, 0, snappy, Type::INT64));
        assert!(!check(2_000, 100, i64::from(i32::MAX), snappy, Type::FIXED_LEN_BYTE_ARRAY));
        assert!(!check(-1, 100, 0, snappy, Type::INT32));
        assert!(!check(100, -1, 0, snappy, Type::INT32));
    }

    #[test]
    fn the_header_of_a_page_is_looked_through() {
        // A dictionary page of 40 bytes that unpacks to 80, with 7 entries.
        let header = [0x15, 4, 0x15, 0xa0, 1, 0x15, 80, 0x4c, 0x15, 14, 0x15, 0, 0, 0];
        let page = Page::read(&mut Thrift(&header)).unwrap();
        assert_eq!((page.unpacked, page.packed, page.entries, page.values), (80, 40, 7, 0));
        assert!((0..header.len()).all(|end| Page::read(&mut Thrift(&header[..end])).is_err()));
    }

    #[test]
    fn a_schema_is_a_tree_of_the_elements_that_it_has() {
        assert_eq!(check_depth(&[3, 0, 1, 0, 0]), Ok(()));
        assert!(check_depth(&[1, i32::MAX as u64]).is_err());
        let wide = [vec![100], vec![0; 100]].concat();
        assert_eq!(check_depth(&wide), Ok(()));
        let deep = vec![1; 40];
        assert_eq!(check_depth(&deep), Err(Untrue::Damaged("its groups are nested too deep")));
    }
}
