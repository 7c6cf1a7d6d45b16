//! `kubectl`, which knows the cluster and who asks.

use std::io::{self, Write as _};
use std::process::{Command, Output, Stdio};

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::args::ClusterArgs;
use crate::exit::{CommandError, Exit};

/// Why `kubectl` gave nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KubectlError {
    /// It cannot be run.
    #[error("cannot run kubectl")]
    Run(#[from] io::Error),
    /// It has failed.
    #[error("kubectl {what}: {said}")]
    Failed {
        /// What it was asked for.
        what: String,
        /// What it said.
        said: String,
    },
    /// What it wrote is something else.
    #[error("kubectl {what} wrote something else than expected")]
    Strange {
        /// What it was asked for.
        what: String,
        /// Why.
        source: serde_json::Error,
    },
    /// The run does not begin.
    #[error("GraphRun \"{run}\" has not begun: {why}")]
    NotBegun {
        /// Its name.
        run: String,
        /// Why.
        why: String,
    },
}

/// `kubectl` for one namespace of one cluster.
#[derive(Clone, Debug)]
pub(super) struct Kubectl {
    arguments: Vec<String>,
    namespace: String,
}

impl Kubectl {
    /// For the cluster and the namespace that are named, or those of the context.
    ///
    /// # Errors
    /// It cannot be run, or has no context.
    pub(super) fn new(args: &ClusterArgs) -> Result<Self, KubectlError> {
        let mut arguments = Vec::new();
        if let Some(kubeconfig) = &args.kubeconfig {
            arguments.push(format!("--kubeconfig={}", kubeconfig.display()));
        }
        if let Some(context) = &args.context {
            arguments.push(format!("--context={context}"));
        }
        let mut kubectl = Self { arguments, namespace: String::new() };
        kubectl.namespace = match &args.namespace {
            Some(namespace) => namespace.clone(),
            None => kubectl.default_namespace()?,
        };
        Ok(kubectl)
    }

    /// The namespace.
    pub(super) fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Which cluster it is, as an address says it.
    pub(super) fn place(&self) -> String {
        let parts: Vec<&str> =
            self.arguments.iter().map(|argument| argument.trim_start_matches("--")).collect();
        if parts.is_empty() { String::new() } else { format!("?{}", parts.join("&")) }
    }

    fn default_namespace(&self) -> Result<String, KubectlError> {
        let asked = ["config", "view", "--minify", "--output=jsonpath={..namespace}"];
        let said = self.done(&asked, self.command(&asked).output()?)?;
        let namespace = String::from_utf8_lossy(&said).trim().to_owned();
        Ok(if namespace.is_empty() { "default".to_owned() } else { namespace })
    }

    fn command(&self, asked: &[&str]) -> Command {
        let mut command = Command::new("kubectl");
        command.args(&self.arguments).args(asked);
        if !self.namespace.is_empty() {
            command.args(["--namespace", &self.namespace]);
        }
        command
    }

    fn done(&self, asked: &[&str], output: Output) -> Result<Vec<u8>, KubectlError> {
        if output.status.success() {
            return Ok(output.stdout);
        }
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Err(KubectlError::Failed { what: asked.join(" "), said })
    }

    /// What it writes as JSON.
    ///
    /// # Errors
    /// It fails.
    pub(super) fn json<T: DeserializeOwned>(&self, asked: &[&str]) -> Result<T, KubectlError> {
        let said = self.done(asked, self.command(asked).arg("--output=json").output()?)?;
        serde_json::from_slice(&said)
            .map_err(|source| KubectlError::Strange { what: asked.join(" "), source })
    }

    /// The same, for an object that is given to it.
    ///
    /// # Errors
    /// It fails.
    pub(super) fn give(&self, asked: &[&str], object: &Value) -> Result<Value, KubectlError> {
        let mut command = self.command(asked);
        command.args(["--filename=-", "--output=json"]).stdin(Stdio::piped());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(object.to_string().as_bytes())?;
        }
        let said = self.done(asked, child.wait_with_output()?)?;
        serde_json::from_slice(&said)
            .map_err(|source| KubectlError::Strange { what: asked.join(" "), source })
    }

    /// Lets it show what it shows.
    ///
    /// # Errors
    /// It cannot be run.
    pub(super) fn show(&self, asked: &[&str]) -> Result<Exit, CommandError> {
        let status = self.command(asked).status().map_err(KubectlError::Run)?;
        Ok(if status.success() { Exit::Success } else { Exit::Unusable })
    }
}
