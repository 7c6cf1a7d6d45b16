//! Tensors of a safetensors file, as floats.
//!
//! Format: <https://huggingface.co/docs/safetensors>. Lengths and offsets are checked by the crate of its authors.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use safetensors::{Dtype, SafeTensors};
use sha2::{Digest, Sha256};

use crate::error::LoadError;

const SUPPORTED: [&str; 3] = ["F32", "F16", "BF16"];

/// A file, read whole.
pub(crate) struct TensorFile {
    path: PathBuf,
    bytes: Vec<u8>,
}

/// The tensors of a file.
pub(crate) struct Tensors<'a> {
    path: &'a Path,
    tensors: Rc<SafeTensors<'a>>,
    prefix: &'static str,
}

impl TensorFile {
    /// Reads the file, and compares its SHA-256 if one is given, in hex.
    pub(crate) fn read(path: &Path, sha256: Option<&str>) -> Result<Self, LoadError> {
        let bytes = read(path)?;
        if let Some(expected) = sha256 {
            let found: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
            if !found.eq_ignore_ascii_case(expected) {
                let expected = expected.to_owned();
                return Err(LoadError::Digest { path: path.to_owned(), expected, found });
            }
        }
        Ok(Self { path: path.to_owned(), bytes })
    }

    /// The tensors in it. Where names begin with `prefix`, it is left out.
    pub(crate) fn tensors(&self, prefix: &'static str) -> Result<Tensors<'_>, LoadError> {
        let tensors = SafeTensors::deserialize(&self.bytes)
            .map_err(|error| LoadError::Malformed { path: self.path.clone(), reason: error.to_string() })?;
        let has_it = tensors.names().iter().any(|name| name.starts_with(prefix));
        Ok(Tensors { path: &self.path, tensors: Rc::new(tensors), prefix: if has_it { prefix } else { "" } })
    }

    pub(crate) fn size(&self) -> u64 {
        self.bytes.len() as u64
    }
}

impl Tensors<'_> {
    /// The same tensors by their whole names.
    pub(crate) fn whole_names(&self) -> Self {
        Self { tensors: Rc::clone(&self.tensors), prefix: "", ..*self }
    }

    /// The names of the tensors that both have, with other bytes, and without the prefix of either.
    pub(crate) fn differing<'b>(&'b self, other: &'b Self) -> impl Iterator<Item = &'b str> {
        self.tensors.iter().filter_map(move |(name, view)| {
            let name = name.strip_prefix(self.prefix)?;
            let others = other.tensors.tensor(&format!("{}{name}", other.prefix)).ok()?;
            let is_same = others.dtype() == view.dtype() && others.data() == view.data();
            (!is_same).then_some(name)
        })
    }

    /// The names of all tensors with their shapes, rows first.
    pub(crate) fn shapes(&self) -> impl Iterator<Item = (&str, Vec<usize>)> {
        self.tensors.iter().map(|(name, view)| (name, view.shape().to_vec()))
    }

    /// A tensor of this shape, rows first.
    pub(crate) fn floats(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, LoadError> {
        let name = format!("{}{name}", self.prefix);
        let path = || self.path.to_owned();
        let Ok(view) = self.tensors.tensor(&name) else {
            return Err(LoadError::MissingTensor { path: path(), tensor: name });
        };
        if view.shape() != shape {
            let (expected, found) = (shape.to_vec(), view.shape().to_vec());
            return Err(LoadError::Shape { path: path(), tensor: name, expected, found });
        }
        let Some(float) = reader(view.dtype()) else {
            let found = format!("{:?}", view.dtype());
            return Err(LoadError::Dtype { path: path(), tensor: name, found, supported: &SUPPORTED });
        };
        Ok(view.data().chunks_exact(view.dtype().bitsize() / 8).map(float).collect())
    }

    /// The error of a tensor that the tensor library does not take.
    pub(crate) fn convert(&self, name: &str, error: &candle_core::Error) -> LoadError {
        let (path, tensor) = (self.path.to_owned(), format!("{}{name}", self.prefix));
        LoadError::Convert { path, tensor, reason: error.to_string() }
    }
}

/// How one float of a format is read from its bytes.
fn reader(dtype: Dtype) -> Option<fn(&[u8]) -> f32> {
    fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
        bytes.try_into().expect("the data is cut into pieces of the format's size")
    }
    if dtype == Dtype::F32 {
        Some(|bytes| f32::from_le_bytes(array(bytes)))
    } else if dtype == Dtype::F16 {
        Some(|bytes| half::f16::from_le_bytes(array(bytes)).to_f32())
    } else if dtype == Dtype::BF16 {
        Some(|bytes| half::bf16::from_le_bytes(array(bytes)).to_f32())
    } else {
        None
    }
}

/// The bytes of a file of a model.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, LoadError> {
    std::fs::read(path).map_err(|source| LoadError::unread(path, source))
}
