//! The GGUF container: metadata and tensor directory, checked against the length of the file before use.
//!
//! Format: <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>, versions 2 and 3, little endian.

mod cursor;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use candle_core::quantized::GgmlDType;
use sha2::{Digest, Sha256};

use self::cursor::Cursor;
use crate::error::LoadError;
use crate::kernel::narrow;

const DEFAULT_ALIGNMENT: u64 = 32;

/// The tensor types that can be read.
const SUPPORTED: [&str; 13] =
    ["F32", "F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K"];

/// One metadata value. Integers and floats are widened, their width on disk carries no meaning.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Integer(i128),
    Float(f64),
    Bool(bool),
    String(String),
    Array(Vec<Self>),
}

/// Where a tensor lies in the file.
#[derive(Debug, Clone)]
pub(crate) struct TensorEntry {
    /// Rows first: the reverse of the order on disk.
    pub(crate) shape: Vec<usize>,
    type_id: u32,
    offset: u64,
}

/// A tensor as stored.
pub(crate) struct StoredTensor {
    pub(crate) dtype: GgmlDType,
    pub(crate) bytes: Vec<u8>,
}

/// An open GGUF file with its parsed header.
pub(crate) struct Gguf {
    path: PathBuf,
    file: File,
    size: u64,
    metadata: BTreeMap<String, Value>,
    tensors: BTreeMap<String, TensorEntry>,
    data_start: u64,
}

impl Gguf {
    /// Opens the file, reads its header and checks that every tensor lies inside the file.
    pub(crate) fn open(path: &Path) -> Result<Self, LoadError> {
        let file = File::open(path).map_err(|source| LoadError::unread(path, source))?;
        let size = file.metadata().map_err(|source| LoadError::Read { path: path.to_owned(), source })?.len();
        let reader = file.try_clone().map_err(|source| LoadError::Read { path: path.to_owned(), source })?;
        let mut cursor = Cursor::new(path, BufReader::with_capacity(1 << 20, reader), size);
        let (metadata, tensors) = read_header(&mut cursor)?;
        let alignment = match metadata.get("general.alignment") {
            None => DEFAULT_ALIGNMENT,
            Some(Value::Integer(alignment)) => u64::try_from(*alignment).unwrap_or(0),
            Some(Value::Float(_) | Value::Bool(_) | Value::String(_) | Value::Array(_)) => 0,
        };
        if !(1..=1 << 16).contains(&alignment) {
            return Err(cursor.malformed("general.alignment is not between 1 and 65536".to_owned()));
        }
        let data_start = cursor.position().div_ceil(alignment) * alignment;
        let gguf = Self { path: path.to_owned(), file, size, metadata, tensors, data_start };
        gguf.check_tensors()?;
        Ok(gguf)
    }

    /// Compares the SHA-256 of the whole file, given in hex.
    pub(crate) fn check_digest(&self, expected: &str) -> Result<(), LoadError> {
        let found = self.digest()?;
        if found.eq_ignore_ascii_case(expected) {
            Ok(())
        } else {
            Err(LoadError::Digest { path: self.path.clone(), expected: expected.to_owned(), found })
        }
    }

    /// The SHA-256 of the whole file, in hex.
    pub(crate) fn digest(&self) -> Result<String, LoadError> {
        let mut hasher = Sha256::new();
        let mut reader = &self.file;
        let read = |source| LoadError::Read { path: self.path.clone(), source };
        reader.seek(SeekFrom::Start(0)).map_err(read)?;
        let mut buffer = vec![0_u8; 1 << 18];
        loop {
            match reader.read(&mut buffer).map_err(read)? {
                0 => break,
                n => hasher.update(&buffer[..n]),
            }
        }
        Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// Where the first tensor begins.
    pub(crate) fn data_start(&self) -> u64 {
        self.data_start
    }

    /// The open file, whatever has its name by now.
    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    pub(crate) fn metadata(&self, key: &str) -> Option<&Value> {
        self.metadata.get(key)
    }

    pub(crate) fn entry(&self, name: &str) -> Option<&TensorEntry> {
        self.tensors.get(name)
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = (&str, &TensorEntry)> {
        self.tensors.iter().map(|(name, entry)| (name.as_str(), entry))
    }

    pub(crate) fn string(&self, key: &str) -> Result<&str, LoadError> {
        match self.metadata.get(key) {
            Some(Value::String(value)) => Ok(value),
            _ => Err(self.no_metadata(key, "string")),
        }
    }

    pub(crate) fn count(&self, key: &str) -> Result<usize, LoadError> {
        match self.metadata.get(key) {
            Some(Value::Integer(value)) => {
                usize::try_from(*value).map_err(|_| self.no_metadata(key, "non-negative integer"))
            }
            _ => Err(self.no_metadata(key, "integer")),
        }
    }

    pub(crate) fn float(&self, key: &str) -> Result<f64, LoadError> {
        match self.metadata.get(key) {
            Some(Value::Float(value)) => Ok(*value),
            _ => Err(self.no_metadata(key, "float")),
        }
    }

    pub(crate) fn flag(&self, key: &str) -> Option<bool> {
        match self.metadata.get(key) {
            Some(Value::Bool(value)) => Some(*value),
            _ => None,
        }
    }

    pub(crate) fn array(&self, key: &str) -> Result<&[Value], LoadError> {
        match self.metadata.get(key) {
            Some(Value::Array(values)) => Ok(values),
            _ => Err(self.no_metadata(key, "array")),
        }
    }

    pub(crate) fn strings(&self, key: &str) -> Result<Vec<&str>, LoadError> {
        self.array(key)?
            .iter()
            .map(|value| match value {
                Value::String(value) => Ok(value.as_str()),
                Value::Integer(_) | Value::Float(_) | Value::Bool(_) | Value::Array(_) => {
                    Err(self.no_metadata(key, "array of strings"))
                }
            })
            .collect()
    }

    pub(crate) fn floats(&self, key: &str) -> Result<Vec<f32>, LoadError> {
        self.array(key)?
            .iter()
            .map(|value| match value {
                Value::Float(value) => Ok(narrow(*value)),
                Value::Integer(_) | Value::String(_) | Value::Bool(_) | Value::Array(_) => {
                    Err(self.no_metadata(key, "array of floats"))
                }
            })
            .collect()
    }

    fn no_metadata(&self, key: &str, expected: &'static str) -> LoadError {
        LoadError::Metadata { path: self.path.clone(), key: key.to_owned(), expected }
    }

    /// The format in which a tensor is stored, and its bytes.
    pub(crate) fn stored(&self, name: &str, entry: &TensorEntry) -> Result<(GgmlDType, u64), LoadError> {
        let dtype = dtype(entry.type_id).ok_or_else(|| LoadError::Dtype {
            path: self.path.clone(),
            tensor: name.to_owned(),
            found: type_name(entry.type_id),
            supported: &SUPPORTED,
        })?;
        let len = byte_len(&entry.shape, dtype)
            .ok_or_else(|| self.malformed(format!("tensor {name:?} is not a whole number of blocks")))?;
        Ok((dtype, len))
    }

    /// The place of a tensor of this shape.
    pub(crate) fn checked(&self, name: &str, expected: &[usize]) -> Result<&TensorEntry, LoadError> {
        let entry = self
            .tensors
            .get(name)
            .ok_or_else(|| LoadError::MissingTensor { path: self.path.clone(), tensor: name.to_owned() })?;
        if significant(&entry.shape) == significant(expected) {
            return Ok(entry);
        }
        let (expected, found) = (expected.to_vec(), entry.shape.clone());
        Err(LoadError::Shape { path: self.path.clone(), tensor: name.to_owned(), expected, found })
    }

    /// Reads the bytes of a tensor after comparing its shape.
    pub(crate) fn tensor(&self, name: &str, expected: &[usize]) -> Result<StoredTensor, LoadError> {
        self.share(name, expected, (0, 1))
    }

    /// Reads one of so many equal shares of a tensor, which has whole blocks, after comparing the shape of all of it.
    pub(crate) fn share(
        &self,
        name: &str,
        expected: &[usize],
        (index, shares): (usize, usize),
    ) -> Result<StoredTensor, LoadError> {
        let entry = self.checked(name, expected)?;
        let (dtype, len) = self.stored(name, entry)?;
        let len = len / shares as u64;
        let start = self.data_start + entry.offset + len * index as u64;
        let len =
            usize::try_from(len).map_err(|_| self.malformed(format!("tensor {name:?} is too large")))?;
        let mut bytes = vec![0_u8; len];
        let read = |source| LoadError::Read { path: self.path.clone(), source };
        let mut file = &self.file;
        file.seek(SeekFrom::Start(start)).map_err(read)?;
        file.read_exact(&mut bytes).map_err(read)?;
        Ok(StoredTensor { dtype, bytes })
    }

    fn malformed(&self, reason: String) -> LoadError {
        LoadError::Malformed { path: self.path.clone(), reason }
    }

    fn check_tensors(&self) -> Result<(), LoadError> {
        for (name, entry) in &self.tensors {
            let Some(dtype) = dtype(entry.type_id) else { continue };
            let len = byte_len(&entry.shape, dtype)
                .ok_or_else(|| self.malformed(format!("tensor {name:?} is not a whole number of blocks")))?;
            let end = self.data_start.checked_add(entry.offset).and_then(|start| start.checked_add(len));
            let end = end.ok_or_else(|| self.malformed(format!("tensor {name:?} lies beyond any file")))?;
            if end > self.size {
                return Err(LoadError::Truncated {
                    path: self.path.clone(),
                    what: format!("tensor {name:?}"),
                    needed: end,
                    size: self.size,
                });
            }
        }
        Ok(())
    }
}

type Header = (BTreeMap<String, Value>, BTreeMap<String, TensorEntry>);

fn read_header<R: Read>(cursor: &mut Cursor<'_, R>) -> Result<Header, LoadError> {
    cursor.magic()?;
    let tensor_count = cursor.u64("the header")?;
    let metadata_count = cursor.u64("the header")?;
    let mut metadata = BTreeMap::new();
    for _ in 0..metadata_count {
        let key = cursor.string("a metadata key")?;
        let value = cursor.value(&key)?;
        metadata.insert(key, value);
    }
    let mut tensors = BTreeMap::new();
    for _ in 0..tensor_count {
        let (name, entry) = read_tensor_entry(cursor)?;
        tensors.insert(name, entry);
    }
    Ok((metadata, tensors))
}

fn read_tensor_entry<R: Read>(cursor: &mut Cursor<'_, R>) -> Result<(String, TensorEntry), LoadError> {
    const WHAT: &str = "the tensor directory";
    let name = cursor.string(WHAT)?;
    let rank = cursor.u32(WHAT)?;
    if !(1..=4).contains(&rank) {
        return Err(cursor.malformed(format!("tensor {name:?} has {rank} dimensions")));
    }
    let mut shape = Vec::new();
    for _ in 0..rank {
        let dim = cursor.u64(WHAT)?;
        shape.push(
            usize::try_from(dim)
                .map_err(|_| cursor.malformed(format!("tensor {name:?} has a side of {dim}")))?,
        );
    }
    shape.reverse();
    let type_id = cursor.u32(WHAT)?;
    let offset = cursor.u64(WHAT)?;
    Ok((name, TensorEntry { shape, type_id, offset }))
}

/// The sides of a shape without those of 1 in front: some writers put them there, and some leave them out.
pub(crate) fn significant(shape: &[usize]) -> &[usize] {
    let first = shape.iter().position(|side| *side != 1);
    &shape[first.unwrap_or(shape.len().saturating_sub(1))..]
}

/// The stored length, or nothing if rows are not whole blocks or the product overflows.
fn byte_len(shape: &[usize], dtype: GgmlDType) -> Option<u64> {
    let row = *shape.last()?;
    if !row.is_multiple_of(dtype.block_size()) {
        return None;
    }
    let elements = shape.iter().try_fold(1_u64, |product, &dim| product.checked_mul(dim as u64))?;
    (elements / dtype.block_size() as u64).checked_mul(dtype.type_size() as u64)
}

fn dtype(type_id: u32) -> Option<GgmlDType> {
    Some(match type_id {
        0 => GgmlDType::F32,
        1 => GgmlDType::F16,
        2 => GgmlDType::Q4_0,
        3 => GgmlDType::Q4_1,
        6 => GgmlDType::Q5_0,
        7 => GgmlDType::Q5_1,
        8 => GgmlDType::Q8_0,
        10 => GgmlDType::Q2K,
        11 => GgmlDType::Q3K,
        12 => GgmlDType::Q4K,
        13 => GgmlDType::Q5K,
        14 => GgmlDType::Q6K,
        30 => GgmlDType::BF16,
        _ => return None,
    })
}

/// The name that a type number has in GGUF, for types known by name only.
fn type_name(type_id: u32) -> String {
    let name = match type_id {
        9 => "Q8_1",
        15 => "Q8_K",
        16 => "IQ2_XXS",
        17 => "IQ2_XS",
        18 => "IQ3_XXS",
        19 => "IQ1_S",
        20 => "IQ4_NL",
        21 => "IQ3_S",
        22 => "IQ2_S",
        23 => "IQ4_XS",
        24..=27 => "integer",
        28 => "F64",
        29 => "IQ1_M",
        34 => "TQ1_0",
        35 => "TQ2_0",
        39 => "MXFP4",
        _ => return format!("number {type_id}"),
    };
    name.to_owned()
}
