//! etcd, an API server and its controllers, as processes of a test.

use std::fs::{self, File};
use std::net::TcpListener;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use tokio::task::JoinHandle;

/// The folder of the programs that `cargo xtask testbed build` makes; where it is set, they are there.
const VARIABLE: &str = "SUPERSTEP_TEST_CONTROL_PLANE";
/// How long it may take to start on a machine that has other work.
const PATIENCE: Duration = Duration::from_secs(300);
/// How often it is looked whether a server has ended.
const LOOK: Duration = Duration::from_millis(200);
/// Ports that the system gives to nobody who asks for any, or who connects: those are above.
const PORTS: Range<u16> = 12_000..32_000;

/// A server of the control plane, as it is started.
struct Server {
    command: Command,
    process: Child,
}

type Servers = Arc<Mutex<Vec<Server>>>;

/// A control plane that ends with the test.
pub(crate) struct ControlPlane {
    servers: Servers,
    /// Starts those again that have ended: each gives up when another one is too slow for it.
    keeping: JoinHandle<()>,
    folder: tempfile::TempDir,
    /// Where the API server listens.
    pub(crate) url: String,
}

/// Whether what tests need has to be there: who names the programs has said so.
pub(crate) fn is_demanded() -> bool {
    std::env::var_os(VARIABLE).is_some()
}

/// The folder of the programs; none if they are not built, which is said.
fn programs() -> Option<PathBuf> {
    if let Some(folder) = std::env::var_os(VARIABLE) {
        let folder = PathBuf::from(folder);
        assert!(folder.join("kube-apiserver").exists(), "{VARIABLE} is set, and there is no kube-apiserver");
        return Some(folder);
    }
    let home = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache"));
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or_else(home)?;
    let versions = fs::read_dir(cache.join("superstep/testbed")).into_iter().flatten().flatten();
    let found = versions.map(|entry| entry.path()).find(|path| path.join("kube-apiserver").exists());
    if found.is_none() {
        eprintln!("SKIPPED: there is no API server; cargo xtask testbed build makes one");
    }
    found
}

/// A port that nobody listens on, and that is given to nobody else before it is used, or between two processes that use it.
pub(crate) fn free() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // Another process that looks for ports begins elsewhere.
    let first = std::process::id().wrapping_mul(7_919);
    loop {
        let number = first.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = PORTS.start + u16::try_from(number % u32::try_from(PORTS.len()).unwrap()).unwrap();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Starts servers again that have ended, until there is none.
async fn keep(servers: Servers) {
    loop {
        tokio::time::sleep(LOOK).await;
        for server in servers.lock().unwrap_or_else(PoisonError::into_inner).iter_mut() {
            if server.process.try_wait().unwrap().is_some() {
                server.process = server.command.spawn().unwrap();
            }
        }
    }
}

impl ControlPlane {
    /// A new one, with the definitions of Superstep; none if it cannot be had.
    pub(crate) async fn start() -> Option<Self> {
        let programs = programs()?;
        let folder = tempfile::tempdir().unwrap();
        let (etcd, peer, port) = (free(), free(), free());
        let url = format!("https://127.0.0.1:{port}");
        let identities = folder.path().join("identities");
        let made = Command::new(programs.join("testbed"))
            .arg("identities")
            .arg(&identities)
            .args([url.as_str(), "127.0.0.1", "10.97.0.1", "localhost"])
            .status()
            .unwrap();
        assert!(made.success());
        let servers = Servers::default();
        let keeping = tokio::spawn(keep(Arc::clone(&servers)));
        let plane = Self { servers, keeping, folder, url };
        plane.spawn(
            &programs,
            "etcd",
            &[
                format!("--data-dir={}", plane.folder.path().join("etcd").display()),
                "--unsafe-no-fsync".to_owned(),
                "--log-level=warn".to_owned(),
                format!("--listen-client-urls=http://127.0.0.1:{etcd}"),
                format!("--advertise-client-urls=http://127.0.0.1:{etcd}"),
                format!("--listen-peer-urls=http://127.0.0.1:{peer}"),
            ],
        );
        let file = |name: &str| identities.join(name).display().to_string();
        plane.spawn(
            &programs,
            "kube-apiserver",
            &[
                format!("--etcd-servers=http://127.0.0.1:{etcd}"),
                format!("--secure-port={port}"),
                "--bind-address=127.0.0.1".to_owned(),
                "--authorization-mode=RBAC".to_owned(),
                "--service-cluster-ip-range=10.97.0.0/16".to_owned(),
                "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
                format!("--service-account-key-file={}", file("service-accounts.pub")),
                format!("--service-account-signing-key-file={}", file("service-accounts.key")),
                format!("--client-ca-file={}", file("ca.crt")),
                format!("--tls-cert-file={}", file("apiserver.crt")),
                format!("--tls-private-key-file={}", file("apiserver.key")),
            ],
        );
        let client = plane.until_ready().await;
        plane.spawn(
            &programs,
            "kube-controller-manager",
            &[
                format!("--kubeconfig={}", file("admin.kubeconfig")),
                "--leader-elect=false".to_owned(),
                "--controllers=garbage-collector-controller,statefulset-controller,deployment-controller,\
             replicaset-controller,namespace-controller,serviceaccount-controller,disruption-controller,\
             root-ca-certificate-publisher-controller"
                    .to_owned(),
                format!("--secure-port={}", free()),
                "--bind-address=127.0.0.1".to_owned(),
                "--concurrent-gc-syncs=20".to_owned(),
                format!("--root-ca-file={}", file("ca.crt")),
                format!("--service-account-private-key-file={}", file("service-accounts.key")),
            ],
        );
        super::cluster::define(&client).await;
        Some(plane)
    }

    fn spawn(&self, programs: &Path, name: &str, arguments: &[String]) {
        let log = File::create(self.folder.path().join(format!("{name}.log"))).unwrap();
        let mut command = Command::new(programs.join(name));
        command.args(arguments).stdin(Stdio::null());
        command.stdout(log.try_clone().unwrap()).stderr(log);
        let process = command.spawn().unwrap();
        self.servers.lock().unwrap().push(Server { command, process });
    }

    /// A client of an administrator, when the server is ready.
    async fn until_ready(&self) -> Client {
        let start = Instant::now();
        loop {
            let client = self.client().await;
            if client.apiserver_version().await.is_ok() && is_ready(&client).await {
                return client;
            }
            assert!(start.elapsed() < PATIENCE, "{}", self.log("kube-apiserver"));
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    fn log(&self, name: &str) -> String {
        fs::read_to_string(self.folder.path().join(format!("{name}.log"))).unwrap_or_default()
    }

    /// The folder of the identities of the cluster.
    pub(crate) fn identities(&self) -> PathBuf {
        self.folder.path().join("identities")
    }

    /// A client of an administrator, which meets no fault.
    pub(crate) async fn client(&self) -> Client {
        let options = KubeConfigOptions::default();
        let kubeconfig = Kubeconfig::read_from(self.identities().join("admin.kubeconfig")).unwrap();
        let config = Config::from_custom_kubeconfig(kubeconfig, &options).await.unwrap();
        Client::try_from(config).unwrap()
    }
}

async fn is_ready(client: &Client) -> bool {
    let request = axum::http::Request::get("/readyz").body(Vec::new()).unwrap();
    client.request_text(request).await.is_ok()
}

impl Drop for ControlPlane {
    fn drop(&mut self) {
        self.keeping.abort();
        // Whoever starts them again, and may be about to look, finds none.
        let servers = std::mem::take(&mut *self.servers.lock().unwrap_or_else(PoisonError::into_inner));
        for mut server in servers.into_iter().rev() {
            // It may have ended by itself.
            drop(server.process.kill());
            drop(server.process.wait());
        }
    }
}
