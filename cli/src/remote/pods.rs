//! Workers that are pods, reached through `kubectl exec`: who may do that may ask them.

use std::io;
use std::process::Stdio;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, Chain, Join, ReadBuf, join};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tonic::transport::{Channel, Endpoint, Uri};
use tower_service::Service;

/// What the address of workers that are pods begins with.
const SCHEME: &str = "kubectl:";
/// How long the pod may take to begin.
const CONNECT: Duration = Duration::from_secs(15);

/// The workers of a graph on a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pods {
    /// Arguments that say which cluster it is.
    cluster: Vec<String>,
    namespace: String,
    graph: String,
}

/// An address that names no graph.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{address:?} names no graph of a cluster: write kubectl:NAMESPACE/GRAPH, or kubectl:NAMESPACE/GRAPH?context=NAME"
)]
pub(crate) struct NoPods {
    address: String,
}

impl Pods {
    /// The workers at an address; none if it is an address of another kind.
    pub(super) fn at(address: &str) -> Option<Result<Self, NoPods>> {
        let rest = address.strip_prefix(SCHEME)?;
        let (names, cluster) = rest.split_once('?').unwrap_or((rest, ""));
        let is_name = |name: &str| {
            !name.is_empty()
                && !name.starts_with('-')
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte))
        };
        let says_which = |part: &&str| part.starts_with("context=") || part.starts_with("kubeconfig=");
        let parts: Vec<&str> = cluster.split('&').filter(|part| !part.is_empty()).collect();
        Some(match names.split_once('/') {
            Some((namespace, graph))
                if is_name(namespace) && is_name(graph) && parts.iter().all(says_which) =>
            {
                Ok(Self {
                    cluster: parts.iter().map(|part| format!("--{part}")).collect(),
                    namespace: namespace.to_owned(),
                    graph: graph.to_owned(),
                })
            }
            Some(_) | None => Err(NoPods { address: address.to_owned() }),
        })
    }

    /// A channel to one that is ready, made when it is used.
    pub(super) fn channel(&self) -> Channel {
        // The host means nothing: what is at the other end follows from the command.
        Endpoint::from_static("http://workers")
            .connect_timeout(CONNECT)
            .connect_with_connector_lazy(self.clone())
    }

    fn command(&self) -> Command {
        let mut command = Command::new("kubectl");
        command.args(&self.cluster);
        command.args(["exec", "--stdin", "--quiet", "--namespace", &self.namespace]);
        command.arg(format!("service/{}-runs", self.graph));
        command.args(["--container", "worker", "--", "/superstep-worker", "tunnel"]);
        command
    }

    /// Waits until the worker has said something: a server of HTTP/2 speaks first. What went wrong before is told by
    /// kubectl, or by the process in the pod.
    async fn connect(&self) -> io::Result<Tunnel> {
        let mut child = self
            .command()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| io::Error::new(error.kind(), format!("cannot run kubectl: {error}")))?;
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(stdin), Some(mut stdout), Some(mut stderr)) = pipes else {
            return Err(io::Error::other("kubectl has no pipes"));
        };
        let mut first = vec![0; 64];
        let count = stdout.read(&mut first).await?;
        if count == 0 {
            let mut said = String::new();
            stderr.read_to_string(&mut said).await?;
            return Err(io::Error::other(said.trim().to_owned()));
        }
        first.truncate(count);
        // Its other end must not wait for one who reads what it says.
        tokio::spawn(async move { tokio::io::copy(&mut stderr, &mut tokio::io::sink()).await });
        Ok(Tunnel { pipes: join(io::Cursor::new(first).chain(stdout), stdin), _child: child })
    }
}

impl Service<Uri> for Pods {
    type Response = TokioIo<Tunnel>;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<TokioIo<Tunnel>>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _uri: Uri) -> Self::Future {
        let pods = self.clone();
        async move { pods.connect().await.map(TokioIo::new) }.boxed()
    }
}

/// A command whose input and output are a connection.
pub(super) struct Tunnel {
    pipes: Join<Chain<io::Cursor<Vec<u8>>, ChildStdout>, ChildStdin>,
    /// Ends with it.
    _child: Child,
}

impl AsyncRead for Tunnel {
    fn poll_read(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        std::pin::Pin::new(&mut self.pipes).poll_read(context, buffer)
    }
}

impl AsyncWrite for Tunnel {
    fn poll_write(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        std::pin::Pin::new(&mut self.pipes).poll_write(context, bytes)
    }

    fn poll_flush(mut self: std::pin::Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        std::pin::Pin::new(&mut self.pipes).poll_flush(context)
    }

    fn poll_shutdown(mut self: std::pin::Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        std::pin::Pin::new(&mut self.pipes).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_names_namespace_and_graph() {
        let pods = Pods::at("kubectl:team/triage").unwrap().unwrap();
        let command = pods.command();
        let arguments: Vec<_> = command.as_std().get_args().map(|text| text.to_string_lossy()).collect();
        assert_eq!(arguments[4..6], ["team", "service/triage-runs"]);
        let elsewhere = Pods::at("kubectl:team/triage?context=other").unwrap().unwrap();
        assert_eq!(elsewhere.cluster, ["--context=other"]);
        assert_eq!(Pods::at("https://workers:7101"), None);
        for wrong in [
            "kubectl:team",
            "kubectl:/a",
            "kubectl:a/",
            "kubectl:a/b/c",
            "kubectl:--as=x/b",
            "kubectl:a/b?as=root",
        ] {
            assert!(Pods::at(wrong).unwrap().is_err(), "{wrong}");
        }
    }
}
