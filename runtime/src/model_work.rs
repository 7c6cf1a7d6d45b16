//! What a model of this process has done, for those who watch it.

/// What a model of this process has done since it was loaded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ModelWork {
    /// Passes through its network.
    pub passes: u64,
    /// Tokens of prompts.
    pub prompt_tokens: u64,
    /// Tokens of prompts that it did not read, for it had read them before for the same or another request.
    pub reused_tokens: u64,
    /// Tokens that it guessed before it chose them.
    pub guessed_tokens: u64,
    /// Guessed tokens that it chose, too.
    pub accepted_tokens: u64,
}
