//! What `superstep-worker` is told by whoever starts it.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use superstep_serving::ServeArguments;

use crate::trace::TraceArgs;
use crate::tunnel::TunnelArgs;

/// Works on runs, together with the other workers of its group: one of them leads. Or serves a model.
#[derive(Parser)]
#[command(
    name = "superstep-worker",
    version,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    disable_help_subcommand = true,
    after_help = "\
Examples:
  superstep-worker --name a --store file:///var/lib/runs --group /var/lib/group --tls /etc/superstep/a \\
    --listen 0.0.0.0:7101 --address https://a.workers:7101
  superstep-worker --name a --store file:///tmp/runs --group /tmp/group --plaintext
  superstep-worker --kubernetes --name $(POD_NAME) --namespace $(POD_NAMESPACE) --graph triage \\
    --service triage-workers --lease triage-worker --store s3://runs/triage --tls /run/superstep/tls \\
    --signer https://superstep-operator.superstep.svc:8443 --signer-ca /run/account/signer.crt \\
    --token /run/account/superstep --listen 0.0.0.0:7101 --health 0.0.0.0:7102
  superstep-worker serve --file /etc/superstep/model/model.yaml --listen 0.0.0.0:8000"
)]
pub(crate) struct Whole {
    #[command(subcommand)]
    command: Option<Command>,
    /// Write log lines as JSON.
    #[arg(long, global = true)]
    log_json: bool,
}

/// What a process is to do.
pub(crate) enum Asked {
    /// To work on runs.
    Work(Box<Arguments>),
    /// Something else.
    Other(Command),
}

impl Whole {
    /// What this process is asked to do, and whether its log is to be JSON. It ends here if that cannot be done.
    pub(crate) fn asked() -> (Asked, bool) {
        // What a worker needs is not there where something else is asked for.
        let matches = Arguments::augment_args(Self::command()).get_matches();
        let read = || {
            let Self { command, log_json } = Self::from_arg_matches(&matches)?;
            let asked = match command {
                Some(command) => Asked::Other(command),
                None => Asked::Work(Box::new(Arguments::from_arg_matches(&matches)?)),
            };
            Ok::<_, clap::Error>((asked, log_json))
        };
        read().unwrap_or_else(|error| error.exit())
    }
}

/// What it does instead of working on runs.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Serve a model by OpenAI's protocol.
    #[command(after_help = crate::serve::EXAMPLES)]
    Serve(ServeArguments),
    /// Carry bytes between stdin and stdout and the worker beside this process.
    Tunnel(TunnelArgs),
}

/// What it needs to work on runs.
#[derive(Args)]
pub(crate) struct Arguments {
    /// The name of this worker, unique in its group and the same after a restart; that of the pod, if it is one.
    #[arg(long, env = "SUPERSTEP_WORKER_NAME")]
    pub(crate) name: String,
    /// Where it listens.
    #[arg(long, default_value = "127.0.0.1:7101", value_name = "ADDRESS:PORT")]
    pub(crate) listen: SocketAddr,
    /// Where others reach it, if that is not where it listens; a pod's address follows from its name.
    #[arg(long, value_name = "URL")]
    pub(crate) address: Option<String>,
    /// Where it says over plain HTTP how it is: /livez, /readyz and /metrics.
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) health: Option<SocketAddr>,
    /// Where runs are kept: file:///FOLDER, s3://BUCKET/PREFIX, gs://… or az://…
    #[arg(long, env = "SUPERSTEP_STORE_URL", value_name = "URL")]
    pub(crate) store: String,
    /// The folder in which the workers of the group find each other and elect who leads.
    #[cfg_attr(
        feature = "kubernetes",
        arg(long, env = "SUPERSTEP_GROUP", value_name = "DIR", required_unless_present = "kubernetes")
    )]
    #[cfg_attr(
        not(feature = "kubernetes"),
        arg(long, env = "SUPERSTEP_GROUP", value_name = "DIR", required = true)
    )]
    pub(crate) group: Option<PathBuf>,
    /// What it has that vertices may ask for, such as gpu.
    #[arg(long = "label", value_name = "LABEL")]
    pub(crate) labels: Vec<String>,
    /// Which models placed InWorker it has: names of ModelServers, separated by commas; an empty one for none. Default:
    /// whichever a run names.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub(crate) models: Vec<String>,
    /// A folder with ca.crt, tls.crt and tls.key: connections are encrypted, and both ends show certificates. The
    /// files are followed: what is replaced is used without a restart. With --signer the worker writes them itself.
    #[arg(long, env = "SUPERSTEP_TLS", value_name = "DIR", conflicts_with = "plaintext")]
    pub(crate) tls: Option<PathBuf>,
    /// Do without encryption and certificates, on loopback only: every process of this machine may ask for anything.
    #[arg(long)]
    pub(crate) plaintext: bool,
    #[cfg(feature = "kubernetes")]
    #[command(flatten)]
    pub(crate) pod: PodArgs,
    #[command(flatten)]
    pub(crate) trace: TraceArgs,
}

/// What a worker that is a pod has to know.
#[cfg(feature = "kubernetes")]
#[derive(Args)]
pub(crate) struct PodArgs {
    /// The worker is a pod of a StatefulSet: its group finds itself by a headless service, and elects who leads by a lease
    /// of the cluster.
    #[arg(long, conflicts_with_all = ["group", "plaintext"], requires_all = ["namespace", "graph", "service", "lease"])]
    pub(crate) kubernetes: bool,
    /// The namespace of the pod.
    #[arg(long, requires = "kubernetes")]
    pub(crate) namespace: Option<String>,
    /// The graph whose runs the group works on.
    #[arg(long, requires = "kubernetes")]
    pub(crate) graph: Option<String>,
    /// The headless service of the pods.
    #[arg(long, requires = "kubernetes")]
    pub(crate) service: Option<String>,
    /// The lease that says who leads.
    #[arg(long, requires = "kubernetes")]
    pub(crate) lease: Option<String>,
    /// Where the worker has its certificate signed, and renewed before half of its life has gone: the operator's.
    #[arg(long, value_name = "URL", requires_all = ["kubernetes", "signer_ca", "token", "tls"])]
    pub(crate) signer: Option<String>,
    /// A file with the authorities of which one has to have signed the certificate of the signer.
    #[arg(long, value_name = "FILE", requires = "signer")]
    pub(crate) signer_ca: Option<PathBuf>,
    /// A file with the token of the pod's account that says to the signer who the worker is.
    #[arg(long, value_name = "FILE", requires = "signer")]
    pub(crate) token: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_are_named_one_after_the_other_or_none_at_all() {
        for (given, models) in [
            (&[][..], &[][..]),
            (&["--models", "small,large"], &["small", "large"]),
            (&["--models", ""], &[""]),
        ] {
            let words =
                ["superstep-worker", "--name=a", "--store=file:///runs", "--group=/group", "--plaintext"];
            let matches =
                Arguments::augment_args(Whole::command()).get_matches_from(words.iter().chain(given));
            let arguments = Arguments::from_arg_matches(&matches).unwrap();
            assert_eq!(arguments.models, models);
        }
    }
}
