//! The arguments of commands about groups of workers.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// The address of a cluster.
#[derive(Args, Clone, Debug)]
pub(crate) struct Connect {
    /// A worker of the cluster that has the run, such as http://127.0.0.1:7101.
    #[arg(
        long,
        value_name = "URL",
        env = "SUPERSTEP_CONNECT",
        hide_env_values = true,
        conflicts_with = "folder"
    )]
    pub(crate) connect: Option<String>,
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
}

/// Arguments of `cluster status`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  superstep cluster status --connect http://127.0.0.1:7101")]
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
    /// How it is written.
    #[arg(long, value_enum, default_value_t = crate::output::OutputFormat::Table)]
    pub(crate) output: crate::output::OutputFormat,
}
