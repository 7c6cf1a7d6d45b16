//! What distinguishes one supported architecture from another.

use crate::rope::Pairing;

/// The names of all of them.
pub(crate) const SUPPORTED: [&str; 8] =
    ["llama", "qwen2", "qwen2moe", "qwen3", "qwen3moe", "gemma2", "gemma3", "phi3"];

/// What the gate of a feed-forward layer goes through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Activation {
    /// `x * sigmoid(x)`.
    Silu,
    /// `x * Φ(x)` by the approximation with a hyperbolic tangent.
    GeluTanh,
}

/// Which layers look no further back than a window, where the file has one and does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Windows {
    /// None, and a window in the file means nothing.
    Never,
    /// All.
    Always,
    /// All but the last of every so many.
    AllButOneOf(usize),
}

/// Which weights the experts of a row have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Routing {
    /// There are no experts.
    None,
    /// Those of the chosen ones add up to 1. There may be no experts in a file.
    Optional,
    /// Those of the chosen ones add up to 1.
    Normalised,
    /// Those that each has among all, and one expert more is given every row.
    Shared,
}

/// What distinguishes one supported architecture from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Architecture {
    pub(crate) name: &'static str,
    pub(crate) pairing: Pairing,
    /// Query, key and value have a bias in every file. Where this is not said, they have one if the file has it.
    pub(crate) biased: bool,
    /// Each head of query and key is normalised before it is rotated.
    pub(crate) normed: bool,
    /// What attention and feed-forward layers give is normalised before it is added.
    pub(crate) normed_behind: bool,
    /// Embeddings are multiplied by the root of their width.
    pub(crate) scaled_embedding: bool,
    /// The matrices of gate and up are one tensor.
    pub(crate) joined_gate: bool,
    pub(crate) activation: Activation,
    pub(crate) windows: Windows,
    /// Where a layer has a window, pairs turn as they did before the model was made to read further.
    pub(crate) windows_turn_apart: bool,
    pub(crate) routing: Routing,
    /// The number of layers of the one model whose queries are scaled by the width of the network, not of a head.
    pub(crate) wide_scale_at: Option<usize>,
}

/// What most have in common.
const PLAIN: Architecture = Architecture {
    name: "llama",
    pairing: Pairing::Halves,
    biased: false,
    normed: false,
    normed_behind: false,
    scaled_embedding: false,
    joined_gate: false,
    activation: Activation::Silu,
    windows: Windows::Never,
    windows_turn_apart: false,
    routing: Routing::None,
    wide_scale_at: None,
};

/// What the networks of Gemma have in common.
const GEMMA: Architecture =
    Architecture { normed_behind: true, scaled_embedding: true, activation: Activation::GeluTanh, ..PLAIN };

impl Architecture {
    /// The architecture that a file names.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            // Mistral and Mixtral too.
            "llama" => Self { pairing: Pairing::Interleaved, routing: Routing::Optional, ..PLAIN },
            "qwen2" => Self { name: "qwen2", biased: true, ..PLAIN },
            "qwen2moe" => Self { name: "qwen2moe", biased: true, routing: Routing::Shared, ..PLAIN },
            "qwen3" => Self { name: "qwen3", normed: true, ..PLAIN },
            "qwen3moe" => Self { name: "qwen3moe", normed: true, routing: Routing::Normalised, ..PLAIN },
            "gemma2" => Self {
                name: "gemma2",
                windows: Windows::AllButOneOf(2),
                // Of 27 billion weights.
                wide_scale_at: Some(46),
                ..GEMMA
            },
            "gemma3" => Self {
                name: "gemma3",
                normed: true,
                windows: Windows::AllButOneOf(6),
                windows_turn_apart: true,
                // Of 27 billion weights.
                wide_scale_at: Some(62),
                ..GEMMA
            },
            "phi3" => Self { name: "phi3", joined_gate: true, windows: Windows::Always, ..PLAIN },
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_are_said_to_be_supported_are_known_by_their_names() {
        for name in SUPPORTED {
            assert_eq!(Architecture::named(name).unwrap().name, name);
        }
        assert_eq!(Architecture::named("gptneox"), None);
    }
}
