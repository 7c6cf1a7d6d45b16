//! The arguments of commands about groups of workers.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use superstep_transport::Name;

/// The address of a cluster.
#[derive(Args, Clone, Debug)]
pub(crate) struct Connect {
    /// A worker of the cluster that has the run, such as https://workers:7101, or http://127.0.0.1:7101 without
    /// encryption on this machine.
    #[arg(
        long,
        value_name = "URL",
        env = "SUPERSTEP_CONNECT",
        hide_env_values = true,
        conflicts_with = "folder"
    )]
    pub(crate) connect: Option<String>,
    /// Who this command is to the worker.
    #[command(flatten)]
    pub(crate) trust: Trust,
}

/// How a worker and this command know each other.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Trust {
    /// A folder with ca.crt, tls.crt and tls.key, for workers at https://.
    #[arg(long, value_name = "DIR", env = "SUPERSTEP_TLS", hide_env_values = true)]
    pub(crate) tls: Option<PathBuf>,
    /// Talk to workers of this graph only; default all of the namespace that tls.crt names.
    #[arg(long, value_name = "GRAPH")]
    pub(crate) workers_of: Option<Name>,
}

/// Arguments of `cluster`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  superstep cluster up --workers 3
  superstep cluster status")]
pub(crate) struct ClusterArgs {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: ClusterCommand,
}

/// What to do with a cluster.
#[derive(Debug, Subcommand)]
#[command(disable_help_subcommand = true)]
pub(crate) enum ClusterCommand {
    /// Start workers on this machine, until Ctrl-C.
    Up(UpArgs),
    /// Show who leads, who works, and whether the store is there.
    Status(StatusArgs),
}

/// Arguments of `cluster up`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  superstep cluster up --workers 3
  superstep run --connect http://127.0.0.1:7101 -f manifests/hello --input '{\"name\": \"Ada\"}'
  superstep cluster up --tls --folder here
  superstep run --connect https://127.0.0.1:7101 --tls here/tls/client -f manifests/hello --input '{\"name\": \"Ada\"}'

The workers are processes of superstep-worker, which lies beside this command or in PATH. Their logs, and
the runs, stay in the folder; runs that had not ended go on when the cluster is started again.")]
pub(crate) struct UpArgs {
    /// How many workers.
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) workers: u16,
    /// The port of the first worker; the others have those behind it.
    #[arg(long, default_value_t = 7101, value_name = "PORT")]
    pub(crate) port: u16,
    /// Where logs and runs are kept; default cluster in the folder of runs.
    #[arg(long, value_name = "DIR")]
    pub(crate) folder: Option<PathBuf>,
    /// Where runs are kept, if not in the folder: s3://BUCKET/PREFIX, gs://… or az://…
    #[arg(long, value_name = "URL")]
    pub(crate) store: Option<String>,
    /// Encrypt, and have both ends show certificates: they are made in the folder, under tls, and renewed in time.
    /// Without it every process of this machine may ask the workers for anything.
    #[arg(long)]
    pub(crate) tls: bool,
}

/// Arguments of `cluster status`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  superstep cluster status --connect http://127.0.0.1:7101
  superstep cluster status --connect https://127.0.0.1:7101 --tls here/tls/client")]
pub(crate) struct StatusArgs {
    /// A worker of the cluster.
    #[arg(
        long,
        value_name = "URL",
        env = "SUPERSTEP_CONNECT",
        hide_env_values = true,
        default_value = "http://127.0.0.1:7101"
    )]
    pub(crate) connect: String,
    /// Who this command is to the worker.
    #[command(flatten)]
    pub(crate) trust: Trust,
    /// How it is written.
    #[arg(long, value_enum, default_value_t = crate::output::OutputFormat::Table)]
    pub(crate) output: crate::output::OutputFormat,
}
