//! `superstep-worker tunnel`: a way from outside a pod to the worker in it, for those who may run a command there.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::Args;
use superstep_transport::{Connector, Credentials, Expected, LOOK};
use tokio::io::{copy_bidirectional, join, stdin, stdout};

/// Carries bytes between stdin and stdout and the worker that runs beside this process, which is certified by the
/// worker's own certificate. Whoever may run a command in the pod may ask the worker, as with `kubectl exec`.
#[derive(Args)]
#[command(after_help = "\
Examples:
  kubectl exec -i service/triage-runs -c worker -- /superstep-worker tunnel")]
pub(crate) struct TunnelArgs {
    /// Where the worker listens.
    #[arg(long, default_value = "https://127.0.0.1:7101", value_name = "URL")]
    to: tonic::transport::Uri,
    /// The folder with the worker's ca.crt, tls.crt and tls.key.
    #[arg(long, env = "SUPERSTEP_TLS", value_name = "DIR")]
    tls: PathBuf,
}

/// Carries bytes until one side ends.
pub(crate) async fn tunnel(arguments: TunnelArgs) -> Result<()> {
    let credentials = Credentials::open(&arguments.tls, LOOK).context("there are no certificates")?;
    let expected = Expected::by(credentials.identity());
    let mut worker = Connector::new(credentials, expected).connect(&arguments.to).await?;
    copy_bidirectional(&mut join(stdin(), stdout()), &mut worker)
        .await
        .context("the connection has ended")?;
    Ok(())
}
