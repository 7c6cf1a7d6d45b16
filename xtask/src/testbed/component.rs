//! The servers of the cluster and their arguments.

use super::address::{NODE, SERVICES};
use super::keeper::Keeper;
use super::state;
use crate::process::capture;
use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use std::fmt;
use std::fs::File;
use std::os::unix::process::CommandExt;
use std::process::Stdio;

/// A server, named after its program, in the order in which they start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Component {
    Etcd,
    KubeApiserver,
    KubeControllerManager,
    KubeScheduler,
    Containerd,
    Kubelet,
    KubeProxy,
    /// The testbed's own server of the names of services.
    Names,
    /// What kube-router enforces, in the testbed's own program.
    Policies,
}

/// Leaves its own id behind and becomes the program: ids are those inside, where `kill` runs too.
const LAUNCH: &str = r#"echo $$ >"/run/testbed/pids/$1" && shift && exec "$@""#;

/// Waits until it is buried, so that whoever starts it again finds its port free.
const KILL: &str = r#"
read -r pid <"/run/testbed/pids/$1" && kill -KILL "$pid" && rm "/run/testbed/pids/$1"
while kill -0 "$pid" 2>/dev/null; do sleep 0.05; done"#;

/// Names of those whose process is there.
const RUNNING: &str = r#"
cd /run/testbed/pids && for name in *; do
  [ -f "$name" ] && read -r pid <"$name" && [ -d "/proc/$pid" ] && echo "$name"
done; :"#;

/// Names of those whose process is gone that nobody has killed; they are not named again.
const ENDED: &str = r#"
cd /run/testbed/pids && for name in *; do
  [ -f "$name" ] && read -r pid <"$name" && [ ! -d "/proc/$pid" ] && rm "$name" && echo "$name"
done; :"#;

impl Component {
    /// Starts it, unless it runs; its output goes to a file of its name.
    pub(super) fn start(self, keeper: &Keeper) -> Result<()> {
        if Self::running(keeper)?.contains(&self) {
            bail!("{self} runs already");
        }
        let path = state::logs().join(format!("{self}.log"));
        let open = || File::options().create(true).append(true).open(&path);
        let log = open().with_context(|| format!("cannot write {}", path.display()))?;
        let name = self.to_string();
        let mut command = keeper.command("/bin/sh");
        command.args(["-c", LAUNCH, "sh", &name, &name]).args(self.arguments());
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        // A group of its own, so that ctrl-C at the terminal does not reach it.
        command.process_group(0).spawn().with_context(|| format!("cannot start {self}"))?;
        Ok(())
    }

    /// Ends it with SIGKILL and waits until it is gone.
    pub(super) fn kill(self, keeper: &Keeper) -> Result<()> {
        if !Self::running(keeper)?.contains(&self) {
            bail!("{self} does not run");
        }
        capture(keeper.command("/bin/sh").args(["-c", KILL, "sh", &self.to_string()])).map(drop)
    }

    /// Those that run.
    pub(super) fn running(keeper: &Keeper) -> Result<Vec<Self>> {
        Self::told(keeper, RUNNING)
    }

    /// Those that have ended by themselves, once.
    pub(super) fn ended(keeper: &Keeper) -> Result<Vec<Self>> {
        Self::told(keeper, ENDED)
    }

    fn told(keeper: &Keeper, script: &str) -> Result<Vec<Self>> {
        let names = capture(keeper.command("/bin/sh").args(["-c", script]))?;
        Ok(names.lines().filter_map(|name| Self::from_str(name, false).ok()).collect())
    }

    /// Paths are those inside; ports are the usual ones, for the network is the cluster's own.
    fn arguments(self) -> Vec<String> {
        let identity = |file: &str| format!("/run/testbed/identities/{file}");
        let kubeconfig = |name: &str| format!("--kubeconfig={}", identity(&format!("{name}.kubeconfig")));
        let config = |file: &str| format!("--config=/run/testbed/config/{file}");
        match self {
            Self::Etcd => words("--data-dir=/run/testbed/etcd --unsafe-no-fsync --log-level=warn"),
            Self::KubeApiserver => apiserver(),
            Self::KubeControllerManager => {
                // By default its collector of garbage may ask for so little that the children of a thousand graphs take it a
                // quarter of an hour, whoever deletes them.
                let mut arguments = words(
                    "--leader-elect=false --use-service-account-credentials --kube-api-qps=200 --kube-api-burst=400",
                );
                arguments.extend([
                    kubeconfig("controller-manager"),
                    format!("--service-account-private-key-file={}", identity("service-accounts.key")),
                    format!("--root-ca-file={}", identity("ca.crt")),
                    format!("--cluster-signing-cert-file={}", identity("ca.crt")),
                    format!("--cluster-signing-key-file={}", identity("ca.key")),
                ]);
                arguments
            }
            Self::KubeScheduler => vec!["--leader-elect=false".to_owned(), kubeconfig("scheduler")],
            Self::Containerd => vec![config("containerd.toml")],
            Self::Kubelet => vec![
                config("kubelet.yaml"),
                kubeconfig("kubelet"),
                "--hostname-override=testbed".to_owned(),
                format!("--node-ip={NODE}"),
            ],
            Self::KubeProxy => vec![config("proxy.yaml")],
            Self::Names => vec![identity("dns.kubeconfig"), format!("{NODE}:53")],
            Self::Policies => {
                vec![identity("policies.kubeconfig"), "testbed".to_owned(), SERVICES.to_owned()]
            }
        }
    }
}

/// The audit log stays one file, however large: who reads it from a place on finds all of it.
fn apiserver() -> Vec<String> {
    let mut arguments = words(
        "--etcd-servers=http://127.0.0.1:2379 --secure-port=6443 --allow-privileged \
         --authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction \
         --kubelet-preferred-address-types=InternalIP \
         --service-account-issuer=https://kubernetes.default.svc \
         --audit-policy-file=/run/testbed/config/audit.yaml --audit-log-path=/run/testbed/audit.log \
         --audit-log-maxsize=100000",
    );
    arguments
        .extend([format!("--advertise-address={NODE}"), format!("--service-cluster-ip-range={SERVICES}")]);
    let files = [
        ("client-ca-file", "ca.crt"),
        ("kubelet-client-certificate", "apiserver-kubelet.crt"),
        ("kubelet-client-key", "apiserver-kubelet.key"),
        ("service-account-key-file", "service-accounts.pub"),
        ("service-account-signing-key-file", "service-accounts.key"),
        ("tls-cert-file", "apiserver.crt"),
        ("tls-private-key-file", "apiserver.key"),
    ];
    arguments.extend(files.map(|(flag, file)| format!("--{flag}=/run/testbed/identities/{file}")));
    arguments
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

impl fmt::Display for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Etcd => "etcd",
            Self::KubeApiserver => "kube-apiserver",
            Self::KubeControllerManager => "kube-controller-manager",
            Self::KubeScheduler => "kube-scheduler",
            Self::Containerd => "containerd",
            Self::Kubelet => "kubelet",
            Self::KubeProxy => "kube-proxy",
            Self::Names => "names",
            Self::Policies => "policies",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testbed::SOURCES;
    use std::path::Path;

    #[test]
    fn names_are_the_ones_that_the_command_takes() {
        for component in Component::value_variants() {
            assert_eq!(Component::from_str(&component.to_string(), false), Ok(*component));
        }
    }

    #[test]
    fn files_of_settings_are_there() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(SOURCES);
        let mut count = 0;
        for argument in Component::value_variants().iter().flat_map(|component| component.arguments()) {
            if let Some((_, file)) = argument.split_once("/run/testbed/config/") {
                assert!(root.join("config").join(file).is_file(), "{argument}");
                count += 1;
            }
        }
        assert_eq!(count, 4);
    }
}
