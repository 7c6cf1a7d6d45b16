//! The protocols of providers: how a request is written, and how an answer is read. They do no IO.

mod anthropic;
mod embeddings;
mod gemini;
mod ollama;
mod open_ai;

use reqwest::header::{HeaderName, HeaderValue};
use serde_json::{Map, Value};
use superstep_graph::Sampling;
use superstep_runtime::{ModelRequest, Role};

use crate::draft::Draft;
use crate::fault::{self, Fault, FaultKind};
use crate::frames::Framing;
use crate::schema;

pub(crate) use open_ai::Flavor;

/// The protocol of a family of providers.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Dialect {
    /// OpenAI's chat completions.
    OpenAi(Flavor),
    /// Anthropic's messages.
    Anthropic,
    /// Gemini's `generateContent`.
    Gemini,
    /// Ollama's chat.
    Ollama,
}

/// What is asked, of which model, and how.
#[derive(Clone, Copy)]
pub(crate) struct Question<'a> {
    pub(crate) request: &'a ModelRequest,
    /// The model, as the provider knows it.
    pub(crate) model: &'a str,
    /// Whether the answer is to come piece by piece.
    pub(crate) stream: bool,
    /// Whether the provider holds answers to a schema.
    pub(crate) keeps_schemas: bool,
}

/// A request as it is sent.
#[derive(Debug)]
pub(crate) struct Wire {
    /// After the base URL.
    pub(crate) path: String,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) body: Value,
}

impl Dialect {
    /// The request for `question`.
    ///
    /// # Errors
    /// It has something that the dialect cannot say.
    pub(crate) fn write(self, question: &Question<'_>) -> Result<Wire, Fault> {
        match self {
            Self::OpenAi(flavor) => open_ai::write(flavor, question),
            Self::Anthropic => anthropic::write(question),
            Self::Gemini => gemini::write(question),
            Self::Ollama => ollama::write(question),
        }
    }

    /// Adds one piece of an answer, streamed or whole, to `draft`.
    ///
    /// # Errors
    /// The piece cannot be read, or is an error.
    pub(crate) fn read(self, piece: &[u8], draft: &mut Draft) -> Result<(), Fault> {
        if matches!(self, Self::OpenAi(_)) && piece.trim_ascii() == b"[DONE]" {
            return Ok(());
        }
        let value: Value = serde_json::from_slice(piece)
            .map_err(|error| Fault::new(FaultKind::Broken, format!("a piece is no JSON: {error}")))?;
        if let Some(fault) = fault::of_stream(&value) {
            return Err(fault);
        }
        match self {
            Self::OpenAi(flavor) => open_ai::read(flavor, value, draft),
            Self::Anthropic => anthropic::read(value, draft),
            Self::Gemini => gemini::read(value, draft),
            Self::Ollama => ollama::read(value, draft),
        }
    }

    /// How its streamed answers are cut.
    pub(crate) fn framing(self) -> Framing {
        match self {
            Self::OpenAi(_) | Self::Anthropic | Self::Gemini => Framing::Events,
            Self::Ollama => Framing::Lines,
        }
    }

    /// The header that carries the credential, and what stands before it.
    pub(crate) fn credential_header(self) -> (HeaderName, &'static str) {
        match self {
            Self::OpenAi(_) | Self::Ollama => (reqwest::header::AUTHORIZATION, "Bearer "),
            Self::Anthropic => (HeaderName::from_static("x-api-key"), ""),
            Self::Gemini => (HeaderName::from_static("x-goog-api-key"), ""),
        }
    }
}

/// A member of a piece, read into its type.
fn typed<T: serde::de::DeserializeOwned>(value: Value) -> Result<T, Fault> {
    serde_json::from_value(value)
        .map_err(|error| Fault::new(FaultKind::Broken, format!("a piece has another form: {error}")))
}

/// The instructions of the conversation as one text, with `more` at the end; none if there are none.
fn instructions(request: &ModelRequest, more: Option<String>) -> Option<String> {
    let system = request.messages.iter().filter(|message| message.role == Role::System);
    let texts: Vec<String> = system.map(|message| message.content.to_string()).chain(more).collect();
    (!texts.is_empty()).then(|| texts.join("\n\n"))
}

/// What tells the model of the schema of `request`.
fn described_schema(request: &ModelRequest) -> Option<String> {
    request.schema.as_deref().map(schema::described)
}

/// Settings of the sampling that a dialect has, under its own names. The others must be left out.
struct Settings<'a> {
    sampling: &'a Sampling,
    body: Map<String, Value>,
    refused: Option<&'static str>,
    tells_logprobs: bool,
}

impl<'a> Settings<'a> {
    fn new(sampling: &'a Sampling) -> Self {
        Self { sampling, body: Map::new(), refused: None, tells_logprobs: false }
    }

    /// Sets what the user set. `name` is none where the dialect does not have it.
    fn set<T: Into<Value>>(
        &mut self,
        field: &'static str,
        name: Option<&str>,
        value: impl FnOnce(&Sampling) -> Option<T>,
    ) -> &mut Self {
        match (value(self.sampling), name) {
            (Some(value), Some(name)) => {
                self.body.insert(name.to_owned(), value.into());
            }
            (Some(_), None) => self.refused = self.refused.or(Some(field)),
            (None, _) => {}
        }
        self
    }

    /// Whether it tells how likely tokens were; default it does not.
    fn tells_logprobs(&mut self, tells: bool) -> &mut Self {
        self.tells_logprobs = tells;
        self
    }

    fn finish(&mut self) -> Result<Map<String, Value>, Fault> {
        match self.refused {
            _ if self.sampling.logprobs.is_some() && !self.tells_logprobs => {
                let detail = "log-probabilities are told by Superstep's own models only: leave \
                              sampling.logprobs out";
                Err(Fault::new(FaultKind::Invalid, detail))
            }
            None => Ok(std::mem::take(&mut self.body)),
            Some(field) => {
                let detail = format!("the provider has no sampling.{field}: leave it out");
                Err(Fault::new(FaultKind::Invalid, detail))
            }
        }
    }
}

/// A seed in the range that all providers take.
fn small_seed(request: &ModelRequest) -> Value {
    Value::from(request.seed() & 0x7fff_ffff)
}
