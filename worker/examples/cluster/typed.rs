//! Two shares of one execution, in two processes, whose messages go as columns over the service of messages.

use std::io::BufRead as _;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use futures::{Stream, StreamExt as _};
use serde_json::{Value, json};
use superstep_algorithms::{
    Barrier, Context, Each, Graph, Next, Report, Share, Split, Sum, Taken, VertexProgram, parts, unpack,
};
use superstep_proto::v1;
use superstep_proto::v1::messages_client::MessagesClient;
use superstep_proto::v1::messages_server::{Messages, MessagesServer};
use superstep_proto::v1::payload::Form;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Endpoint, Server};
use tonic::{Request, Response, Status, Streaming};

/// Vertices of each share, and how many messages each sends in a superstep.
const HALF: u32 = 1 << 14;
const EACH: u32 = 16;
/// Messages of one batch, about 1 MiB of it.
const PART: usize = 50_000;
/// The most bytes of a batch, and how many batches are under way.
const BATCH: usize = 4 << 20;
const WINDOW: usize = 8;

/// Every vertex sends to vertices of the other share, in so many supersteps.
struct Scatter {
    supersteps: u64,
}

impl VertexProgram for Scatter {
    /// How many messages came, and the sum of what they said.
    type Value = (u64, u64);
    type Message = (u64, u64);
    type Aggregate = Sum;
    type Delivery = Each;

    fn initial(&self, _: &Graph, _: u32) -> (u64, u64) {
        (0, 0)
    }

    fn compute(&self, context: &mut Context<'_, Self>, value: &mut (u64, u64), messages: &[(u64, u64)]) {
        for (from, ordinal) in messages {
            *value = (value.0 + 1, value.1.wrapping_add(from ^ ordinal));
        }
        context.contribute(&Sum(messages.len() as u64));
        if context.superstep() == self.supersteps {
            return context.vote_to_halt();
        }
        let vertex = context.vertex();
        let first = if vertex < HALF { HALF } else { 0 };
        for ordinal in 0..EACH {
            // An odd factor takes all vertices in turn, far apart from each other.
            let target = first + (vertex.wrapping_mul(EACH) + ordinal).wrapping_mul(40_503) % HALF;
            context.send(target, (u64::from(vertex), u64::from(ordinal)));
        }
    }
}

/// What came, and to whom credit for it goes.
type Came = (v1::Batch, mpsc::UnboundedSender<Result<v1::Credit, Status>>);

struct Inlet(mpsc::UnboundedSender<Came>);

#[tonic::async_trait]
impl Messages for Inlet {
    type ExchangeStream = Pin<Box<dyn Stream<Item = Result<v1::Credit, Status>> + Send>>;

    async fn exchange(
        &self,
        request: Request<Streaming<v1::Batch>>,
    ) -> Result<Response<Self::ExchangeStream>, Status> {
        let (credit, credits) = mpsc::unbounded_channel();
        let (came, mut batches) = (self.0.clone(), request.into_inner());
        tokio::spawn(async move {
            while let Some(Ok(batch)) = batches.next().await {
                if came.send((batch, credit.clone())).is_err() {
                    return;
                }
            }
        });
        Ok(Response::new(Box::pin(UnboundedReceiverStream::new(credits))))
    }
}

/// Serves what another process sends; where, and what comes.
async fn serve() -> Result<(String, mpsc::UnboundedReceiver<Came>)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = format!("http://{}", listener.local_addr()?);
    let (sender, came) = mpsc::unbounded_channel();
    let service = MessagesServer::new(Inlet(sender)).max_decoding_message_size(BATCH);
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    tokio::spawn(Server::builder().add_service(service).serve_with_incoming(incoming));
    Ok((address, came))
}

/// The way to the other process.
struct Way {
    out: mpsc::UnboundedSender<v1::Batch>,
    credits: Streaming<v1::Credit>,
    under_way: usize,
}

impl Way {
    async fn open(address: &str) -> Result<Self> {
        let channel = Endpoint::from_shared(address.to_owned())?.tcp_nodelay(true).connect().await?;
        let (out, outgoing) = mpsc::unbounded_channel();
        let mut client = MessagesClient::new(channel).max_encoding_message_size(BATCH);
        let credits = client.exchange(UnboundedReceiverStream::new(outgoing)).await?.into_inner();
        Ok(Self { out, credits, under_way: 0 })
    }

    /// `port` says what it is: 0 columns, 1 a report.
    fn send(&mut self, port: u32, bytes: Vec<u8>) -> Result<()> {
        let payload = v1::Payload { form: Some(Form::Json(bytes.into())) };
        let message = v1::Message { port, payload: Some(payload), ..v1::Message::default() };
        self.out.send(v1::Batch { messages: vec![message], ..v1::Batch::default() })?;
        self.under_way += 1;
        Ok(())
    }
}

/// One of the two shares.
struct Side<'a> {
    me: usize,
    share: Share<'a, Scatter>,
    barrier: Barrier<'a, Scatter>,
    next: Option<Next<Sum>>,
    way: Way,
    came: mpsc::UnboundedReceiver<Came>,
}

impl Side<'_> {
    fn say(&mut self, report: Report<Sum>) -> Result<()> {
        self.way.send(1, serde_json::to_vec(&report)?)?;
        self.next = self.barrier.report(self.me, report);
        Ok(())
    }

    /// Takes in what comes next: messages, a report, or credit.
    async fn hear(&mut self) -> Result<()> {
        let (batch, credit) = tokio::select! {
            came = self.came.recv() => came.context("the other process has ended")?,
            credit = self.way.credits.message() => {
                credit?.context("the other process has ended")?;
                self.way.under_way -= 1;
                return Ok(());
            }
        };
        for message in batch.messages {
            let Some(Form::Json(bytes)) = message.payload.and_then(|payload| payload.form) else {
                bail!("a batch holds nothing");
            };
            if message.port == 1 {
                let next = self.barrier.report(1 - self.me, serde_json::from_slice(&bytes)?);
                self.next = next.or(self.next.take());
                continue;
            }
            let (stamp, letters) = unpack(&bytes)?;
            let taken = self.share.take(stamp, letters)?;
            if taken != Taken::New {
                bail!("messages of superstep {} were {taken:?}", stamp.superstep);
            }
        }
        credit.send(Ok(v1::Credit::default()))?;
        Ok(())
    }

    /// Every superstep to the end; how many seconds they took.
    async fn run(&mut self) -> Result<f64> {
        let mut begun = None;
        loop {
            let aggregate = match self.next.take() {
                Some(Next::Superstep(aggregate)) => aggregate,
                Some(Next::Ended { .. }) => {
                    let begun: Instant = begun.context("nothing was computed")?;
                    return Ok(begun.elapsed().as_secs_f64());
                }
                None => {
                    self.hear().await?;
                    continue;
                }
            };
            begun.get_or_insert_with(Instant::now);
            while !self.share.is_ready() {
                self.hear().await?;
            }
            let computed = self.share.compute(&aggregate).context("all messages are here")?;
            for (_, letters) in computed.letters {
                for bytes in parts(computed.stamp, &letters, PART) {
                    while self.way.under_way >= WINDOW {
                        self.hear().await?;
                    }
                    self.way.send(0, bytes)?;
                }
            }
            self.say(computed.report)?;
        }
    }
}

async fn drive(
    me: usize,
    supersteps: usize,
    other: &str,
    came: mpsc::UnboundedReceiver<Came>,
) -> Result<f64> {
    let program = Scatter { supersteps: supersteps as u64 };
    let graph = Graph::directed(2 * HALF as usize, &[])?;
    let partitions = NonZeroUsize::MIN.saturating_add(1);
    let (share, report) = Share::new(&program, &graph, Split { partitions, me, term: 1 });
    let barrier = Barrier::new(&program, partitions.get());
    let way = Way::open(other).await?;
    let mut side = Side { me, share, barrier, next: None, way, came };
    side.say(report)?;
    let seconds = side.run().await?;
    let came: u64 = side.share.values().iter().map(|value| value.0).sum();
    let sent = u64::from(HALF) * u64::from(EACH) * program.supersteps;
    if came != sent {
        bail!("{came} messages of {sent} have come");
    }
    Ok(seconds)
}

/// Has the second share until it is stopped.
pub(crate) async fn second(other: &str, supersteps: usize) -> Result<()> {
    let (address, came) = serve().await?;
    println!("{address}");
    drive(1, supersteps, other, came).await?;
    // The last report is still on its way.
    std::future::pending().await
}

/// The other process, which is stopped when this is dropped.
struct Second(Child);

impl Drop for Second {
    fn drop(&mut self) {
        if self.0.kill().and_then(|()| self.0.wait()).is_err() {
            eprintln!("the other process has stopped by itself");
        }
    }
}

/// How many messages go both ways together.
pub(crate) async fn first(supersteps: usize) -> Result<Value> {
    let (address, came) = serve().await?;
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["--share", &address, "--n", &supersteps.to_string()]).stdout(Stdio::piped());
    let mut second = Second(command.spawn()?);
    let mut other = String::new();
    let said = second.0.stdout.take().context("the process has no output")?;
    std::io::BufReader::new(said).read_line(&mut other)?;
    let seconds = drive(0, supersteps, other.trim(), came).await?;
    let messages = 2.0 * f64::from(HALF) * f64::from(EACH) * supersteps as f64;
    Ok(json!({"shape": "typed", "million_per_s": messages / seconds / 1e6}))
}
