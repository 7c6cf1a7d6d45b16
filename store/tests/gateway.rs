//! A real S3 server on loopback, where there is one to start.

use std::{
    env,
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use superstep_store::ObjectPlace;
use tempfile::TempDir;

/// The variable that says where the server is.
const VARIABLE: &str = "SUPERSTEP_TEST_VERSITYGW";
const KEY: &str = "superstep-tests";

/// A server with one bucket, gone with the last who uses it.
pub(crate) struct Gateway {
    program: PathBuf,
    port: u16,
    root: TempDir,
    server: Mutex<Option<Child>>,
    places: AtomicU64,
}

impl Gateway {
    /// A server of its own for who stops it; none where there is no program for it, which is said.
    pub(crate) fn start() -> Option<Self> {
        let Some(program) = program() else {
            eprintln!("skipped: there is no S3 server; {VARIABLE} says where versitygw is");
            return None;
        };
        let root = TempDir::new().unwrap();
        std::fs::create_dir(root.path().join("bucket")).unwrap();
        let port = free_port();
        let gateway = Self { program, port, root, server: Mutex::new(None), places: AtomicU64::new(0) };
        gateway.resume();
        Some(gateway)
    }

    /// The server that those share who run at the same time.
    pub(crate) fn shared() -> Option<Arc<Self>> {
        static SHARED: Mutex<Weak<Gateway>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(running) = shared.upgrade() {
            return Some(running);
        }
        let started = Arc::new(Self::start()?);
        *shared = Arc::downgrade(&started);
        Some(started)
    }

    /// A place of its own.
    pub(crate) fn place(&self) -> ObjectPlace {
        let number = self.places.fetch_add(1, Ordering::Relaxed);
        self.at(&format!("s3://bucket/place-{number}/of a test"))
    }

    pub(crate) fn at(&self, url: &str) -> ObjectPlace {
        let place: ObjectPlace = url.parse().unwrap();
        place
            .with("AWS_ENDPOINT", &format!("http://127.0.0.1:{}", self.port))
            .with("AWS_ALLOW_HTTP", "true")
            .with("AWS_REGION", "us-east-1")
            .with("AWS_ACCESS_KEY_ID", KEY)
            .with("AWS_SECRET_ACCESS_KEY", KEY)
    }

    /// The folder of the bucket.
    pub(crate) fn bucket(&self) -> PathBuf {
        self.root.path().join("bucket")
    }

    /// Kills the server.
    pub(crate) fn stop(&self) {
        if let Some(mut server) = self.server.lock().unwrap_or_else(PoisonError::into_inner).take() {
            server.kill().unwrap();
            server.wait().unwrap();
        }
    }

    /// Starts the server again, on the same port, with what it had.
    pub(crate) fn resume(&self) {
        let mut command = Command::new(&self.program);
        command
            .env("ROOT_ACCESS_KEY", KEY)
            .env("ROOT_SECRET_KEY", KEY)
            .args(["--quiet", "--keep-alive", "--port", &format!("127.0.0.1:{}", self.port), "posix"])
            .arg(self.root.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut server = command.spawn().unwrap();
        let began = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(server.try_wait().unwrap().is_none(), "the server has ended");
            assert!(began.elapsed() < Duration::from_secs(120), "the server does not listen");
            thread::sleep(Duration::from_millis(10));
        }
        *self.server.lock().unwrap_or_else(PoisonError::into_inner) = Some(server);
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A port that nobody has. It is none of those that the system gives to who asks for any, so that nobody is given it before
/// the server has it, or while the server is away.
fn free_port() -> u16 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let first = u64::from(std::process::id()) * 16;
    loop {
        let number = first + NEXT.fetch_add(1, Ordering::Relaxed);
        let port = 12_000 + u16::try_from(number % 18_000).unwrap();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

fn program() -> Option<PathBuf> {
    if let Some(named) = env::var_os(VARIABLE) {
        let named = PathBuf::from(named);
        assert!(named.is_file(), "{VARIABLE} names {}, where there is nothing", named.display());
        return Some(named);
    }
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent()?;
    let installed = target.join("tools/bin/versitygw");
    installed.is_file().then_some(installed)
}
