//! The arguments of `serve`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use superstep_graph::DurationSpec;

/// Arguments of `serve`.
#[derive(Args, Clone, Debug)]
pub struct ServeArguments {
    /// What is served, as a `ModelServer`: a YAML or JSON file, a folder, or - for stdin.
    #[arg(short = 'f', long = "file", value_name = "FILE", num_args = 1.., required_unless_present = "model")]
    pub files: Vec<PathBuf>,
    /// A model without a document: a GGUF file, the folder of a sentence model or cross-encoder, or a file of a hub as
    /// hf:OWNER/NAME/FILE or hf:OWNER/NAME/FILE@REVISION.
    #[arg(short = 'm', long, value_name = "MODEL", conflicts_with = "files")]
    pub model: Option<String>,
    /// The ModelServer, if the files have several; with --model the name that clients send, by default that of the
    /// file.
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Where it listens.
    #[arg(long, default_value = "127.0.0.1:8000", value_name = "ADDRESS:PORT")]
    pub listen: SocketAddr,
    /// With --model: tokens of prompt and answer together.
    #[arg(long, value_name = "TOKENS", requires = "model", value_parser = clap::value_parser!(u32).range(1..))]
    pub context_length: Option<u32>,
    /// With --model: requests that are worked on at the same time.
    #[arg(long, value_name = "REQUESTS", requires = "model", value_parser = clap::value_parser!(u32).range(1..))]
    pub max_concurrent_requests: Option<u32>,
    /// With --model: a folder with LoRA adapters, each in a folder as PEFT writes it. Clients ask for one as
    /// MODEL:FOLDER.
    #[arg(long, value_name = "FOLDER", requires = "model")]
    pub adapters: Option<PathBuf>,
    /// With --model: the SHA-256 that the file must have.
    #[arg(long, value_name = "HEX", requires = "model")]
    pub sha256: Option<String>,
    /// The most requests that wait; others are refused with status 429.
    #[arg(long, default_value_t = 1024, value_name = "REQUESTS")]
    pub queue: usize,
    /// How long requests may still take after a signal to stop.
    #[arg(long, default_value = "25s", value_name = "DURATION")]
    pub drain: DurationSpec,
}
