//! `superstep-operator`: Superstep on Kubernetes.

mod agent_graph;
mod agent_graph_patch;
mod apply;
mod backoff;
mod certificates;
mod children;
mod client;
mod conditions;
mod context;
mod control;
mod definitions;
mod effective;
mod election;
mod events;
mod graph_run;
mod hexadecimal;
mod http;
mod lenient;
mod malformed;
mod metrics;
mod mistakes;
mod model_server;
mod names;
mod network;
mod pace;
mod patches;
mod placed;
mod pods;
mod ready;
mod remembered;
mod rollout;
mod run;
mod settings;
mod shutdown;
#[cfg(test)]
mod testing;
mod volumes;
mod watched;
mod weights;
mod workers;

use std::io::{self, Write};

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::settings::Settings;

/// Superstep on Kubernetes.
#[derive(Parser)]
#[command(name = "superstep-operator", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Turn resources into pods, and runs into status
    #[command(after_help = "\
Examples:
  superstep-operator run --worker-image registry.example/superstep/worker:1.0 --store 's3://runs/{namespace}/{graph}'
  superstep-operator run --worker-image localhost/superstep/worker:dev --namespace team-a,team-b --log-json")]
    Run(Box<Settings>),
    /// Ask an operator whether it is ready, as `helm test` does
    #[command(after_help = "\
Examples:
  superstep-operator ready superstep-operator.superstep-system.svc:8080")]
    Ready {
        /// Where its health is served
        #[arg(value_name = "HOST:PORT")]
        address: String,
    },
    /// Print the CustomResourceDefinitions
    #[command(after_help = "\
Examples:
  superstep-operator crds | kubectl apply --server-side -f -")]
    Crds,
}

fn main() -> Result<()> {
    match Arguments::parse().command {
        Command::Run(settings) => run::run(*settings)?,
        Command::Ready { address } => writeln!(io::stdout(), "{}", ready::ask(&address)?)?,
        Command::Crds => io::stdout().write_all(definitions::yaml()?.as_bytes())?,
    }
    Ok(())
}
