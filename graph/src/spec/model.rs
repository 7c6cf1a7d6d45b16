//! The models of a graph as written.

use serde::{Deserialize, Serialize};

use crate::duration::DurationSpec;
use crate::name::VertexName;

/// A model that vertices of this graph may name: exactly one of `modelServerRef` and `external`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "schema", schemars(transform = crate::schema::one_model))]
pub struct ModelSpec {
    /// The name that vertices use.
    pub name: VertexName,
    /// The `ModelServer` that serves it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model_server_ref: Option<ModelServerRef>,
    /// A service outside that serves it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external: Option<ExternalModel>,
    /// Where it runs on a cluster. A local run always has it in its own process.
    #[serde(default)]
    pub placement: Placement,
    /// Other models of this graph that are asked, in this order, where this one fails for good: its
    /// quota is used up, its credential is refused, or it stays away through all retries.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fallbacks: Vec<VertexName>,
}

/// A `ModelServer` by name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ModelServerRef {
    /// Its `metadata.name`.
    pub name: String,
}

/// Where a model runs on a cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Placement {
    /// In pods of its own, shared by graphs.
    #[default]
    Server,
    /// Inside the workers that have it, where the vertices are that call it, so that GPU workers exchange messages
    /// directly.
    InWorker,
}

/// A model that a service outside serves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExternalModel {
    /// Whose protocol it speaks.
    pub provider: Provider,
    /// The name that the provider knows it by.
    pub model: String,
    /// Where it is, when that is not the provider's own address; needed by `Superstep` and `OpenAICompatible`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_url: Option<String>,
    /// The secret that is sent with each request. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential_ref: Option<CredentialRef>,
    /// The longest that one request may take, all of its answer included; default 10m.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<DurationSpec>,
    /// How long a request waits for a service that takes no connections, since it may be about to start; default not
    /// at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub starts_within: Option<DurationSpec>,
    /// What its tokens cost; default nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prices: Option<Prices>,
    /// Whether it takes tools and answers with calls of them; default true. If not, its prompts describe
    /// them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calls_tools: Option<bool>,
    /// Whether the provider holds its answers to a JSON schema; default true. If not, its prompts
    /// describe the schema.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keeps_schemas: Option<bool>,
}

/// Whose protocol an external model speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Provider {
    /// OpenAI.
    OpenAI,
    /// Any service with OpenAI's chat completions at `baseUrl`.
    OpenAICompatible,
    /// Anthropic.
    Anthropic,
    /// Google's Gemini.
    Gemini,
    /// Groq.
    Groq,
    /// `DeepSeek`.
    DeepSeek,
    /// Mistral.
    Mistral,
    /// `OpenRouter`.
    OpenRouter,
    /// xAI.
    XAI,
    /// Together.
    Together,
    /// Cohere.
    Cohere,
    /// A local Ollama.
    Ollama,
    /// A `ModelServer` that Superstep itself serves at `baseUrl`: OpenAI's chat completions without their losses.
    Superstep,
}

/// A key of a secret. A local run reads an environment variable in its place: the name of the secret
/// and the key, joined by `_`, in capitals, with an underscore before each inner capital and in place
/// of each other character: `{name: openai, key: apiKey}` is `OPENAI_API_KEY`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CredentialRef {
    /// The secret.
    pub name: String,
    /// The key in it.
    pub key: String,
}

impl CredentialRef {
    /// The environment variable that a local run reads.
    pub fn variable(&self) -> String {
        let mut variable = String::new();
        let mut lower = false;
        for letter in self.name.chars().chain(['_']).chain(self.key.chars()) {
            if lower && letter.is_ascii_uppercase() {
                variable.push('_');
            }
            lower = letter.is_ascii_lowercase() || letter.is_ascii_digit();
            variable.push(if letter.is_ascii_alphanumeric() { letter.to_ascii_uppercase() } else { '_' });
        }
        variable
    }
}

/// What tokens cost, in the unit of `limits.cost` (dollars, by custom). What is left out costs nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Prices {
    /// A million tokens read.
    #[cfg_attr(feature = "schema", schemars(range(min = 0)))]
    pub prompt_per_million: f64,
    /// A million tokens written.
    #[cfg_attr(feature = "schema", schemars(range(min = 0)))]
    pub completion_per_million: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_have_a_variable() {
        for (name, key, variable) in [
            ("openai", "apiKey", "OPENAI_API_KEY"),
            ("my-org.openai", "token", "MY_ORG_OPENAI_TOKEN"),
            ("hf", "HF_TOKEN", "HF_HF_TOKEN"),
        ] {
            let credential = CredentialRef { name: name.to_owned(), key: key.to_owned() };
            assert_eq!(credential.variable(), variable);
        }
    }
}
