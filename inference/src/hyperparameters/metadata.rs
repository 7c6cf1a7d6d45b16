//! What a file says of its architecture, each under a key that begins with the name of the architecture.

use crate::error::LoadError;
use crate::gguf::{Gguf, Value};
use crate::kernel::narrow;

/// The metadata of one architecture.
pub(super) struct Metadata<'a> {
    gguf: &'a Gguf,
    architecture: &'a str,
}

impl<'a> Metadata<'a> {
    pub(super) fn of(gguf: &'a Gguf, architecture: &'a str) -> Self {
        Self { gguf, architecture }
    }

    pub(super) fn key(&self, suffix: &str) -> String {
        format!("{}.{suffix}", self.architecture)
    }

    pub(super) fn count(&self, suffix: &str) -> Result<usize, LoadError> {
        self.gguf.count(&self.key(suffix))
    }

    pub(super) fn count_or(&self, suffix: &str, default: usize) -> Result<usize, LoadError> {
        match self.gguf.metadata(&self.key(suffix)) {
            Some(_) => self.count(suffix),
            None => Ok(default),
        }
    }

    pub(super) fn float_or(&self, suffix: &str, default: f64) -> Result<f64, LoadError> {
        match self.gguf.metadata(&self.key(suffix)) {
            Some(_) => self.gguf.float(&self.key(suffix)),
            None => Ok(default),
        }
    }

    /// A float above zero; zero is as good as none.
    pub(super) fn positive(&self, suffix: &str) -> Result<Option<f32>, LoadError> {
        match self.float_or(suffix, 0.0)? {
            0.0 => Ok(None),
            float if float.is_finite() && float > 0.0 => Ok(Some(narrow(float))),
            float => Err(self.malformed(format!("{} is {float}", self.key(suffix)))),
        }
    }

    pub(super) fn text(&self, suffix: &str) -> Result<Option<&'a str>, LoadError> {
        match self.gguf.metadata(&self.key(suffix)) {
            Some(_) => self.gguf.string(&self.key(suffix)).map(Some),
            None => Ok(None),
        }
    }

    /// A list of so many truth values; nothing if there is none, or something that is no list.
    pub(super) fn flags(&self, suffix: &str, count: usize) -> Result<Option<Vec<bool>>, LoadError> {
        let Some(Value::Array(values)) = self.gguf.metadata(&self.key(suffix)) else { return Ok(None) };
        let flag = |value: &Value| match value {
            Value::Bool(flag) => Some(*flag),
            Value::Integer(number) => Some(*number != 0),
            Value::Float(_) | Value::String(_) | Value::Array(_) => None,
        };
        let flags: Option<Vec<bool>> = values.iter().map(flag).collect();
        let flags = flags.filter(|flags| flags.len() == count);
        let wrong = || self.malformed(format!("{} is no list of {count} flags", self.key(suffix)));
        flags.map(Some).ok_or_else(wrong)
    }

    pub(super) fn malformed(&self, reason: String) -> LoadError {
        LoadError::Malformed { path: self.gguf.path().to_owned(), reason }
    }

    pub(super) fn unsupported(&self, feature: String) -> LoadError {
        LoadError::Unsupported { path: self.gguf.path().to_owned(), feature }
    }
}
