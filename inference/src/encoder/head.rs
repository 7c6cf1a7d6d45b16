//! What is said of a text, or of each of its tokens, from the vectors of an encoder.

use std::ops::Range;
use std::sync::Arc;

use super::bert::Dense;
use super::config::{Family, HeadConfig, Reads};
use super::marker::Marked;
use crate::error::LoadError;
use crate::safetensors::Tensors;

/// A head of an encoder: it gives each text, or each token, a number for each of its labels.
pub(super) struct Head {
    pub(super) name: String,
    pub(super) config: HeadConfig,
    /// What is computed of the first vector of a text before its labels, followed by a hyperbolic tangent.
    middle: Option<Dense>,
    output: Dense,
}

/// How much a text is of one label.
#[derive(Debug, Clone, PartialEq)]
pub struct Class {
    /// The label.
    pub label: Arc<str>,
    /// What the head computed.
    pub logit: f32,
    /// The share of the label among all of its head, which add up to 1; of a head with one label, or with labels that
    /// do not exclude each other, the sigmoid.
    pub probability: f64,
}

/// What one token of a text is.
#[derive(Debug, Clone, PartialEq)]
pub struct Tag {
    /// Its bytes in the text.
    pub span: Range<usize>,
    /// The likeliest label.
    pub label: Arc<str>,
    /// How likely, as of a [`Class`].
    pub probability: f64,
}

impl Head {
    /// Loads the head of an encoder of this family from a file with its tensors.
    pub(super) fn load(
        name: String,
        tensors: &Tensors<'_>,
        family: Family,
        config: HeadConfig,
        hidden: usize,
    ) -> Result<Self, LoadError> {
        let whole = tensors.whole_names();
        let square = |tensors: &Tensors<'_>, name: &str| {
            Dense::load(tensors, &[(name.to_owned(), hidden)], hidden).map(Some)
        };
        let (middle, output) = match (config.reads, family) {
            (Reads::Text, Family::Bert) => (square(tensors, "pooler.dense")?, "classifier"),
            (Reads::Text, Family::Roberta) => (square(&whole, "classifier.dense")?, "classifier.out_proj"),
            (Reads::Tokens, Family::Bert | Family::Roberta) => (None, "classifier"),
        };
        let output = Dense::load(&whole, &[(output.to_owned(), config.labels.len())], hidden)?;
        Ok(Self { name, config, middle, output })
    }

    /// A number for each label of each row of `rows`: the first vectors of texts, or those of tokens.
    pub(super) fn logits(&self, rows: Vec<f32>) -> candle_core::Result<Vec<f32>> {
        let Some(middle) = &self.middle else { return self.output.forward(rows) };
        let mut inner = middle.forward(rows)?;
        inner.iter_mut().for_each(|value| *value = value.tanh());
        self.output.forward(inner)
    }

    /// What a text is, from the numbers of its labels.
    pub(super) fn classes(&self, logits: &[f32]) -> Vec<Class> {
        let probabilities = self.probabilities(logits).into_iter();
        let labels = self.config.labels.iter().zip(logits);
        let class = |((label, logit), probability): ((&Arc<str>, &f32), f64)| Class {
            label: Arc::clone(label),
            logit: *logit,
            probability,
        };
        labels.zip(probabilities).map(class).collect()
    }

    /// What the tokens of a text are, from the numbers of their labels. Marks are nothing.
    pub(super) fn tags(&self, text: &Marked, logits: &[f32]) -> Vec<Tag> {
        let tokens = text.spans.iter().zip(logits.chunks_exact(self.config.labels.len()));
        let tag = |(span, logits): (&Option<Range<usize>>, &[f32])| {
            let likely = self.probabilities(logits).into_iter().zip(&self.config.labels);
            // Of equally likely ones it is the first.
            let likely = likely.reduce(|best, other| if other.0 > best.0 { other } else { best });
            let (probability, label) = likely.expect("a head has a label");
            Some(Tag { span: span.clone()?, label: Arc::clone(label), probability })
        };
        tokens.filter_map(tag).collect()
    }

    fn probabilities(&self, logits: &[f32]) -> Vec<f64> {
        if self.config.is_multiple || logits.len() == 1 {
            return logits.iter().map(|logit| sigmoid(*logit)).collect();
        }
        let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let shares: Vec<f64> = logits.iter().map(|logit| f64::from(logit - largest).exp()).collect();
        let sum: f64 = shares.iter().sum();
        shares.into_iter().map(|share| share / sum).collect()
    }
}

/// The logistic function.
pub(crate) fn sigmoid(logit: f32) -> f64 {
    (1.0 + (-f64::from(logit)).exp()).recip()
}
