//! What can go wrong while a model is loaded and while it generates.

use std::path::{Path, PathBuf};

/// Why a model file could not be loaded. Every message names the file.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// There is no such file.
    #[error("model file {} does not exist", path.display())]
    NotFound {
        /// The file.
        path: PathBuf,
    },
    /// The operating system refused to open or read the file.
    #[error("model file {} cannot be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The file does not begin with the GGUF magic.
    #[error("model file {} is not a GGUF file", path.display())]
    NotGguf {
        /// The file.
        path: PathBuf,
    },
    /// The file is of a GGUF version that this crate cannot read.
    #[error("model file {} is GGUF version {found}; supported: 2, 3", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// The version that the file declares.
        found: u32,
    },
    /// The file ends before something that it declares.
    #[error("model file {} is truncated: {what} ends at byte {needed}, the file has {size} bytes", path.display())]
    Truncated {
        /// The file.
        path: PathBuf,
        /// What is cut off.
        what: String,
        /// The byte at which it would end.
        needed: u64,
        /// The length of the file.
        size: u64,
    },
    /// The header contradicts itself.
    #[error("model file {} is malformed: {reason}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The file is not the one that was asked for.
    #[error("model file {} has SHA-256 {found}, expected {expected}", path.display())]
    Digest {
        /// The file.
        path: PathBuf,
        /// The digest asked for, in hex.
        expected: String,
        /// The digest of the file, in hex.
        found: String,
    },
    /// The model is of an architecture that this crate does not implement.
    #[error("model file {} has architecture {found:?}; supported: {}", path.display(), supported.join(", "))]
    Architecture {
        /// The file.
        path: PathBuf,
        /// The architecture of the file.
        found: String,
        /// What this crate implements.
        supported: &'static [&'static str],
    },
    /// The model needs something that its architecture allows but this crate does not implement.
    #[error("model file {} needs {feature}, which is not supported", path.display())]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// What it needs.
        feature: String,
    },
    /// A metadata entry is absent or of the wrong type.
    #[error("model file {} has no {expected} under the metadata key {key:?}", path.display())]
    Metadata {
        /// The file.
        path: PathBuf,
        /// The key.
        key: String,
        /// The type that was looked for.
        expected: &'static str,
    },
    /// A tensor that the architecture needs is absent.
    #[error("model file {} has no tensor {tensor:?}", path.display())]
    MissingTensor {
        /// The file.
        path: PathBuf,
        /// The name of the tensor.
        tensor: String,
    },
    /// A tensor is of another shape than the metadata promises.
    #[error("tensor {tensor:?} of model file {} has shape {found:?}, expected {expected:?}", path.display())]
    Shape {
        /// The file.
        path: PathBuf,
        /// The name of the tensor.
        tensor: String,
        /// Rows first.
        expected: Vec<usize>,
        /// Rows first.
        found: Vec<usize>,
    },
    /// A tensor is stored in a format that this crate cannot read.
    #[error("tensor {tensor:?} of model file {} has type {found}; supported: {}", path.display(), supported.join(", "))]
    Dtype {
        /// The file.
        path: PathBuf,
        /// The name of the tensor.
        tensor: String,
        /// The name of the type, or its number.
        found: String,
        /// The types that can be read.
        supported: &'static [&'static str],
    },
    /// The tokenizer is of a kind that this crate does not implement.
    #[error("model file {} has tokenizer {field} {found:?}; supported: {}", path.display(), supported.join(", "))]
    TokenizerKind {
        /// The file.
        path: PathBuf,
        /// Which property of the tokenizer: `model` or `pre`.
        field: &'static str,
        /// The value of that property.
        found: String,
        /// What this crate implements.
        supported: Vec<&'static str>,
    },
    /// The tokenizer tables of the file contradict themselves.
    #[error("the tokenizer of model file {} is malformed: {reason}", path.display())]
    Tokenizer {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The chat template of the file does not parse.
    #[error("the chat template of model file {} is malformed: {reason}", path.display())]
    Template {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A tensor could not be converted.
    #[error("tensor {tensor:?} of model file {} cannot be converted: {reason}", path.display())]
    Convert {
        /// The file.
        path: PathBuf,
        /// The name of the tensor.
        tensor: String,
        /// What the tensor library said.
        reason: String,
    },
    /// The load options contradict themselves.
    #[error("load option {option} must be at least 1")]
    Option {
        /// The name of the option.
        option: &'static str,
    },
}

impl LoadError {
    /// What it means that the file at `path` cannot be opened or read.
    pub(crate) fn unread(path: &Path, source: std::io::Error) -> Self {
        let path = path.to_owned();
        if source.kind() == std::io::ErrorKind::NotFound {
            Self::NotFound { path }
        } else {
            Self::Read { path, source }
        }
    }
}

/// Why a chat could not be turned into a prompt.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChatError {
    /// The model file has no chat template.
    #[error("the model has no chat template")]
    NoTemplate,
    /// There is nothing to render.
    #[error("the request has no messages")]
    NoMessages,
    /// The template writes nothing, and the model wants no token in front: there is nothing to go on from.
    #[error("the chat template makes an empty prompt of the messages")]
    EmptyPrompt,
    /// The template refused the messages.
    #[error("the chat template refuses the messages: {reason}")]
    Template {
        /// What the template said.
        reason: String,
    },
    /// The template changes the messages where they look like control tokens, so that it cannot be told which control
    /// tokens are its own.
    #[error(
        "the chat template of the model rewrites messages that contain {characters:?}, which its control tokens are \
         written with, so that text could become a control token: leave these characters out of the messages"
    )]
    Rewritten {
        /// The characters that make the difference.
        characters: String,
    },
}

/// Why a request was refused or ended without a result.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum GenerateError {
    /// The messages cannot be rendered.
    #[error(transparent)]
    Chat(#[from] ChatError),
    /// The text cannot be split into tokens.
    #[error("the text cannot be tokenized: {reason}")]
    Tokenize {
        /// What the tokenizer said.
        reason: String,
    },
    /// The prompt is longer than all tokens of a context together can be.
    #[error("the prompt has at least {bytes} bytes, and the context holds at most {most}")]
    TextTooLong {
        /// Bytes of the prompt, as far as it was looked at.
        bytes: usize,
        /// The most that it may have.
        most: usize,
    },
    /// The prompt leaves no room for an answer.
    #[error("the prompt has {tokens} tokens, the context holds {context}")]
    PromptTooLong {
        /// Tokens of the rendered prompt.
        tokens: usize,
        /// The context length of the loaded model.
        context: usize,
    },
    /// A sampling parameter is out of range.
    #[error("sampling parameter {parameter} is {value}, must be {range}")]
    Sampling {
        /// The name of the parameter.
        parameter: &'static str,
        /// What was given.
        value: f64,
        /// What is allowed.
        range: &'static str,
    },
    /// Stop strings would cut the JSON that the schema promises.
    #[error("stop strings cannot be combined with a schema")]
    StopWithSchema,
    /// The JSON schema is not one that output can be constrained to.
    #[error("the output schema cannot be enforced: {reason}")]
    Schema {
        /// What is wrong with it.
        reason: String,
    },
    /// The model has no such adapter.
    #[error("the model has no adapter {adapter:?}")]
    UnknownAdapter {
        /// The name asked for.
        adapter: String,
    },
    /// The adapter cannot be loaded.
    #[error("adapter {adapter:?} cannot be loaded: {reason}")]
    Adapter {
        /// The name asked for.
        adapter: String,
        /// What is wrong with it.
        reason: String,
    },
    /// No instance of the schema fits into the token limit.
    #[error("the output schema needs at least {needed} tokens, the limit is {limit}")]
    SchemaTooLong {
        /// Tokens of a short instance.
        needed: usize,
        /// The tokens that the request may generate.
        limit: usize,
    },
    /// The output could not be completed to an instance of the schema within the token limit.
    #[error("the output was not a complete instance of the schema after {tokens} tokens")]
    SchemaUnfinished {
        /// Tokens generated.
        tokens: usize,
    },
    /// The forward pass failed.
    #[error("the model failed: {reason}")]
    Backend {
        /// What the tensor library said.
        reason: String,
    },
    /// The generator has shut down, or its thread has died.
    #[error("the generator has stopped")]
    Stopped,
}

/// Why texts could not be read by an encoder.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EmbedError {
    /// A text cannot be split into tokens.
    #[error("the text cannot be tokenized: {reason}")]
    Tokenize {
        /// What the tokenizer said.
        reason: String,
    },
    /// The forward pass failed.
    #[error("the model failed: {reason}")]
    Backend {
        /// What the tensor library said.
        reason: String,
    },
    /// The question leaves no room for a document beside it.
    #[error("the query has {tokens} tokens, and at most {most} have room beside a document")]
    QueryTooLong {
        /// Tokens of the question, without marks.
        tokens: usize,
        /// The most that it may have.
        most: usize,
    },
    /// The encoder has no such head.
    #[error("the model has no head {head:?}")]
    UnknownHead {
        /// The name asked for.
        head: String,
    },
}
