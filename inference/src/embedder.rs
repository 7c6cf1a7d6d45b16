//! Texts as vectors: sentence models of the BERT family.

use std::path::Path;

use crate::encoder::{EmbedderDescription, EmbedderOptions, Encoder, Finding, Want};
use crate::error::{EmbedError, LoadError};

/// A loaded sentence model. It may be used from several threads at once.
pub struct Embedder(Encoder);

impl Embedder {
    /// Loads the model in the folder `path`, as [`Encoder::load`] does.
    ///
    /// Where nothing says how, the vector of a text is the mean of those of its tokens.
    ///
    /// # Errors
    /// [`LoadError`] names the file and says what is wrong with it, or what is supported.
    pub fn load(path: &Path, options: &EmbedderOptions) -> Result<Self, LoadError> {
        Encoder::load(path, options, &[]).map(Self)
    }

    /// What the model is.
    #[must_use]
    pub fn description(&self) -> &EmbedderDescription {
        self.0.description()
    }

    /// The vectors of texts, in their order: [`dimension`](EmbedderDescription::dimension) floats each, of length 1,
    /// so that the product of two is their cosine.
    ///
    /// Only the first [`max_tokens`](EmbedderDescription::max_tokens) tokens of a text count. The names of special
    /// tokens in a text are text. Computes on the calling thread and the threads of the tensor library.
    ///
    /// # Errors
    /// [`EmbedError`] if a text cannot be split into tokens, or the computation fails.
    pub fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, EmbedError> {
        let found = self.0.read(texts, &[Want::Vector])?;
        let vector = |finding| match finding {
            Finding::Vector(vector) => Some(vector),
            Finding::Classes(_) | Finding::Tags(_) => None,
        };
        Ok(found.into_iter().flatten().filter_map(vector).collect())
    }

    /// The tokens of a text, the marks at its ends included; more than are read, if it is too long.
    ///
    /// # Errors
    /// [`EmbedError::Tokenize`] if it cannot be split.
    pub fn count_tokens(&self, text: &str) -> Result<usize, EmbedError> {
        self.0.count_tokens(text)
    }
}

#[cfg(test)]
mod tests;
