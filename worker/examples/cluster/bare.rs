//! What gRPC alone can do: the service of messages between workers, with nothing behind it.

use std::io::BufRead as _;
use std::pin::Pin;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use serde_json::{Value, json};
use superstep_proto::v1;
use superstep_proto::v1::messages_client::MessagesClient;
use superstep_proto::v1::messages_server::{Messages, MessagesServer};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Endpoint, Server};
use tonic::{Request, Response, Status, Streaming};

/// Bytes of one batch, and how many are under way.
const BATCH: usize = 1 << 20;
const WINDOW: usize = 8;
/// Bytes of one message.
const MESSAGE: usize = 100;

struct Bare;

#[tonic::async_trait]
impl Messages for Bare {
    type ExchangeStream = Pin<Box<dyn Stream<Item = Result<v1::Credit, Status>> + Send>>;

    async fn exchange(
        &self,
        request: Request<Streaming<v1::Batch>>,
    ) -> Result<Response<Self::ExchangeStream>, Status> {
        let answer = |batch: Result<v1::Batch, Status>| {
            batch.map(|batch| v1::Credit { bytes: batch.messages.len() as u64, ..v1::Credit::default() })
        };
        Ok(Response::new(Box::pin(request.into_inner().map(answer))))
    }
}

/// Serves, and prints where.
pub(crate) async fn serve() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("http://{}", listener.local_addr()?);
    let service = MessagesServer::new(Bare).max_decoding_message_size(BATCH * 4);
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    Ok(Server::builder().add_service(service).serve_with_incoming(incoming).await?)
}

/// Another process, and a stream to it and back.
struct Bond {
    process: Child,
    out: mpsc::UnboundedSender<v1::Batch>,
    credits: Streaming<v1::Credit>,
}

impl Bond {
    async fn start() -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        let mut process = command.arg("--bare").stdout(Stdio::piped()).spawn()?;
        let mut address = String::new();
        let said = process.stdout.take().context("the process has no output")?;
        std::io::BufReader::new(said).read_line(&mut address)?;
        let channel = Endpoint::from_shared(address.trim().to_owned())?.tcp_nodelay(true).connect().await?;
        let (out, outgoing) = mpsc::unbounded_channel();
        let mut client = MessagesClient::new(channel).max_encoding_message_size(BATCH * 4);
        let credits = client.exchange(UnboundedReceiverStream::new(outgoing)).await?.into_inner();
        Ok(Self { process, out, credits })
    }

    async fn answered(&mut self) -> Result<()> {
        match self.credits.next().await {
            Some(Ok(_)) => Ok(()),
            Some(Err(status)) => Err(status.into()),
            None => bail!("the other process has ended"),
        }
    }
}

impl Drop for Bond {
    fn drop(&mut self) {
        if self.process.kill().and_then(|()| self.process.wait()).is_err() {
            eprintln!("the other process has stopped by itself");
        }
    }
}

/// The time from a small message to its answer.
pub(crate) async fn round_trip(n: usize) -> Result<Value> {
    let mut bond = Bond::start().await?;
    let mut times = Vec::with_capacity(n);
    for _ in 0..n {
        let begun = Instant::now();
        bond.out.send(v1::Batch { run: "run".to_owned(), ..v1::Batch::default() })?;
        bond.answered().await?;
        times.push(begun.elapsed().as_secs_f64());
    }
    times.sort_by(f64::total_cmp);
    Ok(json!({"shape": "round-trip", "p50_us": times[n / 2] * 1e6}))
}

/// How many messages of 100 bytes go over in batches that hold nothing else.
pub(crate) async fn packed(n: usize) -> Result<Value> {
    let mut bond = Bond::start().await?;
    let text = Bytes::from(vec![b'x'; BATCH]);
    let payload = v1::Payload { form: Some(v1::payload::Form::Json(text)) };
    let message = v1::Message { payload: Some(payload), ..v1::Message::default() };
    let batch = v1::Batch { messages: vec![message], ..v1::Batch::default() };
    let begun = Instant::now();
    for at in 0..n {
        bond.out.send(batch.clone())?;
        if at >= WINDOW {
            bond.answered().await?;
        }
    }
    for _ in 0..WINDOW.min(n) {
        bond.answered().await?;
    }
    let messages = (n * (BATCH / MESSAGE)) as f64;
    Ok(json!({"shape": "packed", "million_per_s": messages / begun.elapsed().as_secs_f64() / 1e6}))
}
