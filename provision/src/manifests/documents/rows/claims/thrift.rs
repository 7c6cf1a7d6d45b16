//! Thrift's compact protocol (thrift/doc/specs/thrift-compact-protocol.md), as far as headers of Parquet files are
//! looked through.

pub(super) const I32: u8 = 5;
pub(super) const LIST: u8 = 9;
pub(super) const STRUCT: u8 = 12;

/// Values inside values that are skipped.
const MOST_DEPTH: u8 = 32;

/// What is left to read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Thrift<'a>(pub(super) &'a [u8]);

/// What was to be read ends early, or is no thrift.
#[derive(Debug, PartialEq)]
pub(super) struct Truncated;

impl Thrift<'_> {
    /// The number and kind of the next field of a struct; none at its end. `last` is the number of the one before, from 0 on.
    pub(super) fn field(&mut self, last: &mut i16) -> Result<Option<(i16, u8)>, Truncated> {
        let head = self.byte()?;
        if head == 0 {
            return Ok(None);
        }
        *last = match head >> 4 {
            0 => i16::try_from(self.integer()?).map_err(|_| Truncated)?,
            further => last.checked_add(i16::from(further)).ok_or(Truncated)?,
        };
        Ok(Some((*last, head & 0x0f)))
    }

    /// The length of a list, and the kind of what is in it.
    pub(super) fn list(&mut self) -> Result<(u64, u8), Truncated> {
        let head = self.byte()?;
        let length = if head >> 4 == 15 { self.varint()? } else { u64::from(head >> 4) };
        Ok((length, head & 0x0f))
    }

    /// A number with a sign.
    pub(super) fn integer(&mut self) -> Result<i64, Truncated> {
        let folded = self.varint()?;
        Ok((folded >> 1).cast_signed() ^ -(folded & 1).cast_signed())
    }

    /// Passes a field of a struct.
    pub(super) fn skip(&mut self, kind: u8) -> Result<(), Truncated> {
        // A truth stands in the head of its field.
        if matches!(kind, 1 | 2) { Ok(()) } else { self.skip_value(kind, 0) }
    }

    fn skip_value(&mut self, kind: u8, depth: u8) -> Result<(), Truncated> {
        if depth > MOST_DEPTH {
            return Err(Truncated);
        }
        match kind {
            1..=3 => self.pass(1),
            4..=6 => self.varint().map(|_| ()),
            7 => self.pass(8),
            8 => {
                let length = self.varint()?;
                self.pass(length)
            }
            LIST | 10 => {
                let (length, kind) = self.list()?;
                (0..length).try_for_each(|_| self.skip_value(kind, depth + 1))
            }
            11 => self.skip_map(depth),
            STRUCT => {
                let mut last = 0;
                while let Some((_, kind)) = self.field(&mut last)? {
                    if !matches!(kind, 1 | 2) {
                        self.skip_value(kind, depth + 1)?;
                    }
                }
                Ok(())
            }
            13 => self.pass(16),
            _ => Err(Truncated),
        }
    }

    fn skip_map(&mut self, depth: u8) -> Result<(), Truncated> {
        let length = self.varint()?;
        let kinds = if length == 0 { 0 } else { self.byte()? };
        (0..length).try_for_each(|_| {
            self.skip_value(kinds >> 4, depth + 1)?;
            self.skip_value(kinds & 0x0f, depth + 1)
        })
    }

    fn byte(&mut self) -> Result<u8, Truncated> {
        let (first, rest) = self.0.split_first().ok_or(Truncated)?;
        self.0 = rest;
        Ok(*first)
    }

    fn pass(&mut self, length: u64) -> Result<(), Truncated> {
        self.0 = usize::try_from(length).ok().and_then(|length| self.0.get(length..)).ok_or(Truncated)?;
        Ok(())
    }

    fn varint(&mut self) -> Result<u64, Truncated> {
        let mut number = 0;
        for place in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << place;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(Truncated)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_looked_for_is_passed() {
        // 1: a truth; 2: text "ab"; 3: list of two numbers; 4: map of a number to a text; 5: struct with 1: 64 bits; 7: -3.
        let bytes = [
            0x11, 0x18, 2, b'a', b'b', 0x19, 0x25, 2, 4, 0x1b, 1, 0x58, 2, 1, b'c', 0x1c, 0x17, 0, 0, 0, 0,
            0, 0, 0, 0, 0, 0x25, 5, 0,
        ];
        let mut thrift = Thrift(&bytes);
        let (mut last, mut found) = (0, None);
        while let Some((id, kind)) = thrift.field(&mut last).unwrap() {
            if id == 7 {
                found = Some((kind, thrift.integer().unwrap()));
            } else {
                thrift.skip(kind).unwrap();
            }
        }
        assert_eq!((found, thrift.0.len()), (Some((I32, -3)), 0));
        for end in 0..bytes.len() {
            let mut thrift = Thrift(&bytes[..end]);
            let (mut last, mut read) = (0, Ok(()));
            while read.is_ok() {
                read = match thrift.field(&mut last) {
                    Ok(Some((_, kind))) => thrift.skip(kind),
                    Ok(None) | Err(Truncated) => Err(Truncated),
                };
            }
        }
    }

    #[test]
    fn depth_and_length_are_bounded_by_what_is_there() {
        // Lists of one list each, and a list that says that it has a billion texts.
        assert_eq!(Thrift(&[0x19; 200]).skip(LIST), Err(Truncated));
        assert_eq!(Thrift(&[0xf8, 0xff, 0xff, 0xff, 0xff, 0x03, 0, 0]).skip(LIST), Err(Truncated));
        assert_eq!(Thrift(&[0xff; 11]).integer(), Err(Truncated));
    }
}
