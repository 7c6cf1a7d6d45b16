//! Where each provider is, and what it speaks.

use superstep_graph::Provider;

use crate::dialect::{Dialect, Flavor};

/// A provider's own address and protocol.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Home {
    /// Empty where the provider has none.
    pub(crate) base_url: &'static str,
    pub(crate) dialect: Dialect,
}

/// How the semantic conventions of OpenTelemetry for generative AI call `provider`; those that they do not
/// know have their own name. Whoever speaks OpenAI's protocol is taken for it.
pub(crate) fn well_known(provider: Provider) -> &'static str {
    match provider {
        Provider::OpenAI | Provider::OpenAICompatible => "openai",
        Provider::Anthropic => "anthropic",
        Provider::Gemini => "gcp.gemini",
        Provider::Groq => "groq",
        Provider::DeepSeek => "deepseek",
        Provider::Mistral => "mistral_ai",
        Provider::OpenRouter => "openrouter",
        Provider::XAI => "x_ai",
        Provider::Together => "together",
        Provider::Cohere => "cohere",
        Provider::Ollama => "ollama",
        Provider::Superstep => "superstep",
    }
}

/// The home of `provider`, by its published reference.
pub(crate) fn home(provider: Provider) -> Home {
    let open_ai = |base_url, flavor| Home { base_url, dialect: Dialect::OpenAi(flavor) };
    let plain = Flavor::default();
    match provider {
        Provider::OpenAI => open_ai(
            "https://api.openai.com/v1",
            Flavor { max_tokens: "max_completion_tokens", more_sampling: false, ..plain },
        ),
        Provider::OpenAICompatible => open_ai("", plain),
        Provider::Superstep => open_ai("", Flavor { is_own: true, ..plain }),
        Provider::Groq => open_ai("https://api.groq.com/openai/v1", Flavor { more_sampling: false, ..plain }),
        Provider::DeepSeek => open_ai(
            "https://api.deepseek.com/v1",
            Flavor { seed: None, more_sampling: false, keeps_schemas: false, wants_reasoning: true, ..plain },
        ),
        Provider::Mistral => open_ai(
            "https://api.mistral.ai/v1",
            Flavor { seed: Some("random_seed"), stream_options: false, more_sampling: false, ..plain },
        ),
        Provider::OpenRouter => open_ai("https://openrouter.ai/api/v1", plain),
        Provider::XAI => open_ai("https://api.x.ai/v1", Flavor { more_sampling: false, ..plain }),
        Provider::Together => open_ai("https://api.together.xyz/v1", plain),
        Provider::Cohere => {
            open_ai("https://api.cohere.ai/compatibility/v1", Flavor { more_sampling: false, ..plain })
        }
        Provider::Anthropic => Home { base_url: "https://api.anthropic.com/v1", dialect: Dialect::Anthropic },
        Provider::Gemini => {
            Home { base_url: "https://generativelanguage.googleapis.com/v1beta", dialect: Dialect::Gemini }
        }
        Provider::Ollama => Home { base_url: "http://localhost:11434", dialect: Dialect::Ollama },
    }
}
