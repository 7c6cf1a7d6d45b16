//! Which rows of a file's tensors a matrix is made of.

use super::conversion::convert;
use super::failed;
use crate::error::LoadError;
use crate::gguf::Gguf;

/// Tensors whose rows stand one below the other in a matrix, or in one matrix for each expert.
pub(super) struct Stack<'a> {
    /// Their names, and how many rows of each are in a matrix.
    pub(super) tensors: &'a [(&'a str, usize)],
    /// As in the file.
    pub(super) columns: usize,
    /// With this each tensor has the rows of so many experts, one expert behind the other.
    pub(super) experts: Option<usize>,
}

impl Stack<'_> {
    /// The shape of a tensor of which a matrix has so many rows.
    pub(super) fn shape(&self, rows: usize) -> Vec<usize> {
        self.experts.into_iter().chain([rows, self.columns]).collect()
    }

    /// Among how many matrices the rows of each tensor are shared.
    pub(super) fn shares(&self) -> usize {
        self.experts.unwrap_or(1)
    }

    /// What the blocks of a matrix are called where they are kept: as no other of the model.
    pub(super) fn name(&self, index: usize) -> String {
        let names: Vec<&str> = self.tensors.iter().map(|(name, _)| *name).collect();
        let names = names.join(" ");
        match self.experts {
            None => names,
            Some(_) => format!("{names} {index}"),
        }
    }

    /// The blocks of a matrix. Of each tensor only its own share is read.
    pub(super) fn converted(&self, gguf: &Gguf, index: usize) -> Result<Vec<u8>, LoadError> {
        let mut bytes = Vec::new();
        for (name, rows) in self.tensors {
            let stored = gguf.share(name, &self.shape(*rows), (index, self.shares()))?;
            convert(stored, (*rows, self.columns), &mut bytes).map_err(|error| failed(gguf, name, &error))?;
        }
        Ok(bytes)
    }
}
