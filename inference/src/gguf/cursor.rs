//! Reading of little-endian values that never reads or allocates past the end of the file.

use std::io::Read;
use std::path::Path;

use super::Value;
use crate::error::LoadError;

/// Arrays of arrays deeper than this are refused, so that a crafted file cannot exhaust the stack.
const MAX_DEPTH: usize = 8;

pub(super) struct Cursor<'a, R> {
    path: &'a Path,
    reader: R,
    position: u64,
    size: u64,
}

impl<'a, R: Read> Cursor<'a, R> {
    pub(super) fn new(path: &'a Path, reader: R, size: u64) -> Self {
        Self { path, reader, position: 0, size }
    }

    pub(super) fn position(&self) -> u64 {
        self.position
    }

    pub(super) fn malformed(&self, reason: String) -> LoadError {
        LoadError::Malformed { path: self.path.to_owned(), reason }
    }

    /// Reads the magic and the version.
    pub(super) fn magic(&mut self) -> Result<(), LoadError> {
        let not_gguf = || LoadError::NotGguf { path: self.path.to_owned() };
        if self.size < 4 {
            return Err(not_gguf());
        }
        if self.array("the magic")? != *b"GGUF" {
            return Err(LoadError::NotGguf { path: self.path.to_owned() });
        }
        match self.u32("the version")? {
            2 | 3 => Ok(()),
            found => Err(LoadError::Version { path: self.path.to_owned(), found }),
        }
    }

    pub(super) fn u32(&mut self, what: &str) -> Result<u32, LoadError> {
        Ok(u32::from_le_bytes(self.array(what)?))
    }

    pub(super) fn u64(&mut self, what: &str) -> Result<u64, LoadError> {
        Ok(u64::from_le_bytes(self.array(what)?))
    }

    pub(super) fn string(&mut self, what: &str) -> Result<String, LoadError> {
        let len = self.u64(what)?;
        self.claim(len, what)?;
        let len = usize::try_from(len).map_err(|_| self.malformed(format!("{what} is too long")))?;
        let mut bytes = vec![0_u8; len];
        self.fill(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Reads a type number and a value of that type.
    pub(super) fn value(&mut self, key: &str) -> Result<Value, LoadError> {
        let what = format!("metadata {key:?}");
        let kind = self.u32(&what)?;
        self.value_of(kind, &what, 0)
    }

    fn value_of(&mut self, kind: u32, what: &str, depth: usize) -> Result<Value, LoadError> {
        Ok(match kind {
            0 => Value::Integer(u8::from_le_bytes(self.array(what)?).into()),
            1 => Value::Integer(i8::from_le_bytes(self.array(what)?).into()),
            2 => Value::Integer(u16::from_le_bytes(self.array(what)?).into()),
            3 => Value::Integer(i16::from_le_bytes(self.array(what)?).into()),
            4 => Value::Integer(u32::from_le_bytes(self.array(what)?).into()),
            5 => Value::Integer(i32::from_le_bytes(self.array(what)?).into()),
            6 => Value::Float(f32::from_le_bytes(self.array(what)?).into()),
            7 => Value::Bool(u8::from_le_bytes(self.array(what)?) != 0),
            8 => Value::String(self.string(what)?),
            9 => self.array_value(what, depth)?,
            10 => Value::Integer(u64::from_le_bytes(self.array(what)?).into()),
            11 => Value::Integer(i64::from_le_bytes(self.array(what)?).into()),
            12 => Value::Float(f64::from_le_bytes(self.array(what)?)),
            other => return Err(self.malformed(format!("{what} has the unknown value type {other}"))),
        })
    }

    fn array_value(&mut self, what: &str, depth: usize) -> Result<Value, LoadError> {
        if depth == MAX_DEPTH {
            return Err(self.malformed(format!("{what} nests arrays too deeply")));
        }
        let kind = self.u32(what)?;
        let len = self.u64(what)?;
        // Every element takes at least one byte, which bounds the loop by the file.
        self.claim(len, what)?;
        let mut values = Vec::new();
        for _ in 0..len {
            values.push(self.value_of(kind, what, depth + 1)?);
        }
        Ok(Value::Array(values))
    }

    fn array<const N: usize>(&mut self, what: &str) -> Result<[u8; N], LoadError> {
        self.claim(N as u64, what)?;
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    /// Checks that `len` more bytes are in the file.
    fn claim(&self, len: u64, what: &str) -> Result<(), LoadError> {
        let needed = self.position.saturating_add(len);
        if needed <= self.size {
            return Ok(());
        }
        Err(LoadError::Truncated {
            path: self.path.to_owned(),
            what: what.to_owned(),
            needed,
            size: self.size,
        })
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), LoadError> {
        self.reader
            .read_exact(bytes)
            .map_err(|source| LoadError::Read { path: self.path.to_owned(), source })?;
        self.position += bytes.len() as u64;
        Ok(())
    }
}
