//! Vectors of texts: how they are asked for, and how they are read.

use reqwest::header::{HeaderName, HeaderValue};
use serde::Deserialize;
use serde_json::{Value, json};
use superstep_engine::Usage;
use superstep_runtime::{EmbedRequest, Embeddings};

use super::{Dialect, Wire, typed};
use crate::draft::estimate;
use crate::fault::{self, Fault, FaultKind};

impl Dialect {
    /// The request for the vectors of texts.
    ///
    /// # Errors
    /// The dialect has none.
    pub(crate) fn write_embeddings(self, model: &str, request: &EmbedRequest) -> Result<Wire, Fault> {
        let texts = &request.texts;
        let (path, body) = match self {
            Self::OpenAi(_) => (
                "/embeddings".to_owned(),
                json!({"model": model, "input": texts, "encoding_format": "float"}),
            ),
            Self::Ollama => ("/api/embed".to_owned(), json!({"model": model, "input": texts})),
            Self::Gemini => {
                let named = format!("models/{model}");
                let one = |text: &String| json!({"model": named, "content": {"parts": [{"text": text}]}});
                let requests: Vec<Value> = texts.iter().map(one).collect();
                (format!("/models/{model}:batchEmbedContents"), json!({"requests": requests}))
            }
            Self::Anthropic => {
                return Err(Fault::new(FaultKind::Invalid, "the provider's protocol has no embeddings"));
            }
        };
        let mut headers = Vec::new();
        if matches!(self, Self::OpenAi(_)) && !request.idempotency_key.is_empty() {
            let key = HeaderValue::from_str(&request.idempotency_key);
            let key = key.map_err(|_| Fault::new(FaultKind::Invalid, "the idempotency key is no header"))?;
            headers.push((HeaderName::from_static("idempotency-key"), key));
        }
        Ok(Wire { path, headers, body })
    }

    /// The vectors in an answer.
    ///
    /// # Errors
    /// The answer cannot be read, or is an error.
    pub(crate) fn read_embeddings(self, answer: &[u8], request: &EmbedRequest) -> Result<Embeddings, Fault> {
        let value: Value = serde_json::from_slice(answer)
            .map_err(|error| Fault::new(FaultKind::Broken, format!("the answer is no JSON: {error}")))?;
        if let Some(fault) = fault::of_stream(&value) {
            return Err(fault);
        }
        let (vectors, tokens) = match self {
            Self::OpenAi(_) => {
                let mut answer: OpenAiAnswer = typed(value)?;
                answer.data.sort_by_key(|item| item.index);
                let vectors = answer.data.into_iter().map(|item| item.embedding).collect();
                (vectors, answer.usage.and_then(|usage| usage.prompt_tokens.or(usage.total_tokens)))
            }
            Self::Ollama => {
                let answer: OllamaAnswer = typed(value)?;
                (answer.embeddings, answer.prompt_eval_count)
            }
            Self::Gemini => {
                let answer: GeminiAnswer = typed(value)?;
                (answer.embeddings.into_iter().map(|item| item.values).collect(), None)
            }
            Self::Anthropic => {
                return Err(Fault::new(FaultKind::Invalid, "the provider's protocol has no embeddings"));
            }
        };
        let read = || estimate(request.texts.iter().map(String::len).sum());
        let usage = Usage { prompt_tokens: tokens.unwrap_or_else(read), ..Usage::default() };
        Ok(Embeddings { vectors, usage })
    }
}

#[derive(Deserialize)]
struct OpenAiAnswer {
    data: Vec<OpenAiItem>,
    usage: Option<OpenAiUsage>,
}

#[derive(Deserialize)]
struct OpenAiItem {
    #[serde(default)]
    index: u64,
    embedding: Vec<f32>,
}

#[derive(Deserialize)]
struct OpenAiUsage {
    prompt_tokens: Option<u64>,
    total_tokens: Option<u64>,
}

#[derive(Deserialize)]
struct OllamaAnswer {
    embeddings: Vec<Vec<f32>>,
    prompt_eval_count: Option<u64>,
}

#[derive(Deserialize)]
struct GeminiAnswer {
    embeddings: Vec<GeminiItem>,
}

#[derive(Deserialize)]
struct GeminiItem {
    values: Vec<f32>,
}
