//! A real S3 server, on a machine of its own.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

const KEY: &str = "superstep-faults";
/// The bucket, and the folder in it.
const PLACE: &str = "bucket/runs-of-faults";

/// A server with one bucket.
pub(crate) struct Gateway {
    listen: SocketAddr,
    root: PathBuf,
    server: Child,
}

impl Gateway {
    /// Starts `program` by the words `within`; its objects lie in `root`.
    pub(crate) fn start(program: &Path, within: &[String], listen: SocketAddr, root: &Path) -> Result<Self> {
        fs::create_dir_all(root.join("bucket"))?;
        let (first, words) = within.split_first().context("it is started somewhere")?;
        let mut command = Command::new(first);
        command.args(words).arg(program).env("ROOT_ACCESS_KEY", KEY).env("ROOT_SECRET_KEY", KEY);
        command.args(["--quiet", "--keep-alive", "--port", &listen.to_string(), "posix"]).arg(root);
        let server = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let server = server.context("the S3 server cannot be started")?;
        let mut gateway = Self { listen, root: root.to_owned(), server };
        let begun = Instant::now();
        while TcpStream::connect_timeout(&listen, Duration::from_secs(1)).is_err() {
            if let Some(status) = gateway.server.try_wait()? {
                bail!("the S3 server has ended ({status})");
            }
            if begun.elapsed() > Duration::from_secs(120) {
                bail!("the S3 server does not listen on {listen}");
            }
            sleep(Duration::from_millis(20));
        }
        Ok(gateway)
    }

    pub(crate) fn url() -> String {
        format!("s3://{PLACE}")
    }

    /// The folder in which its objects lie.
    pub(crate) fn objects(&self) -> PathBuf {
        self.root.join(PLACE)
    }

    /// What its clients need to know.
    pub(crate) fn environment(&self) -> Vec<(String, String)> {
        let endpoint = format!("http://{}", self.listen);
        let variables = [
            ("AWS_ENDPOINT", endpoint.as_str()),
            ("AWS_ALLOW_HTTP", "true"),
            ("AWS_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", KEY),
            ("AWS_SECRET_ACCESS_KEY", KEY),
        ];
        variables.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let ended = self.server.kill().and_then(|()| self.server.wait());
        if let Err(error) = ended {
            crate::say(&format!("the S3 server stays: {error}"));
        }
    }
}
