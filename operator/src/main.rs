//! `superstep-operator`: Superstep on Kubernetes.

mod apply;
mod backoff;
mod conditions;
mod definitions;
mod names;
mod weights;

use std::io::{self, Write};

use anyhow::Result;
use clap::{Parser, Subcommand};

/// Superstep on Kubernetes.
#[derive(Parser)]
#[command(name = "superstep-operator", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Print the CustomResourceDefinitions
    #[command(after_help = "\
Examples:
  superstep-operator crds | kubectl apply --server-side -f -")]
    Crds,
}

fn main() -> Result<()> {
    match Arguments::parse().command {
        Command::Crds => io::stdout().write_all(definitions::yaml()?.as_bytes())?,
    }
    Ok(())
}
