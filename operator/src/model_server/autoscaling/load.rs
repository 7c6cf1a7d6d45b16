//! What replicas tell of their load: gauges in the text format of Prometheus, by the names that each engine has.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use futures::StreamExt as _;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::HOST;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use superstep_api::Engine;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::control::chain;
use crate::names::HTTP;
use crate::pace::Pace;

/// How many replicas of a server are asked together.
const TOGETHER: usize = 16;
/// How long one may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// The most bytes that are read of one.
const MOST: usize = 1 << 20;

/// What the replicas of a server told.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Loads {
    /// How many did.
    pub(super) told: u32,
    /// Requests that they work on.
    pub(super) running: f64,
    /// Requests that wait.
    pub(super) waiting: f64,
    /// Why one did not, if one did not.
    pub(super) silent: Option<String>,
}

/// The names of what an engine tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Gauges {
    running: &'static str,
    waiting: &'static str,
}

/// Why a replica does not tell its load.
#[derive(Debug, thiserror::Error)]
enum Silent {
    #[error("it has no address")]
    NoAddress,
    #[error("no connection")]
    Unreached(#[source] std::io::Error),
    #[error("no answer")]
    Unanswered(#[source] hyper::Error),
    #[error("the answer has status {0}")]
    Refused(StatusCode),
    #[error("the answer cannot be read")]
    Unread(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("no answer within {} s", PATIENCE.as_secs())]
    Late,
    #[error("its metrics have neither {} nor {}", .0.running, .0.waiting)]
    Unknown(Gauges),
}

/// The names of an engine; none if it tells no load.
fn gauges(engine: &Engine) -> Option<Gauges> {
    // Our own engine has the names of vLLM.
    if engine.candle.is_some() || engine.vllm.is_some() {
        Some(Gauges { running: "vllm:num_requests_running", waiting: "vllm:num_requests_waiting" })
    } else if engine.sglang.is_some() {
        Some(Gauges { running: "sglang:num_running_reqs", waiting: "sglang:num_queue_reqs" })
    } else if engine.tgi.is_some() {
        Some(Gauges { running: "tgi_batch_current_size", waiting: "tgi_queue_size" })
    } else if engine.llama_cpp.is_some() {
        Some(Gauges { running: "llamacpp:requests_processing", waiting: "llamacpp:requests_deferred" })
    } else {
        None
    }
}

/// Asks all of `ready` for their load. Those of an engine that tells none count as idle.
pub(super) async fn loads(engine: &Engine, ready: &[&Pod], pace: &Pace) -> Loads {
    let Some(gauges) = gauges(engine) else {
        return Loads { told: u32::try_from(ready.len()).unwrap_or(u32::MAX), ..Loads::default() };
    };
    let asked = ready.iter().map(|pod| ask(pod.name_any(), address(pod), gauges, pace));
    let asked: Vec<_> = asked.collect();
    let asked: Vec<_> = futures::stream::iter(asked).buffered(TOGETHER).collect().await;
    let mut loads = Loads::default();
    for (pod, load) in asked {
        match load {
            Ok((running, waiting)) => {
                loads.told += 1;
                loads.running += running;
                loads.waiting += waiting;
            }
            Err(why) if loads.silent.is_none() => {
                loads.silent = Some(format!("pod {pod} does not tell its load: {}", chain(&why)));
            }
            Err(_) => {}
        }
    }
    loads
}

/// Asks one pod when it is its turn.
async fn ask(
    pod: String,
    address: Option<SocketAddr>,
    gauges: Gauges,
    pace: &Pace,
) -> (String, Result<(f64, f64), Silent>) {
    pace.turn().await;
    let load = async {
        let page = page(address.ok_or(Silent::NoAddress)?);
        let text = timeout(PATIENCE, page).await.map_err(|_| Silent::Late)??;
        read(&text, gauges).ok_or(Silent::Unknown(gauges))
    };
    (pod, load.await)
}

/// Where a pod serves.
fn address(pod: &Pod) -> Option<SocketAddr> {
    let address: IpAddr = pod.status.as_ref()?.pod_ip.as_deref()?.parse().ok()?;
    Some(SocketAddr::new(address, u16::try_from(HTTP).ok()?))
}

/// The metrics at an address, over a connection of their own.
async fn page(address: SocketAddr) -> Result<String, Silent> {
    let stream = TcpStream::connect(address).await.map_err(Silent::Unreached)?;
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(Silent::Unanswered)?;
    // It ends with this set, however this function ends.
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    let request = Request::get("/metrics").header(HOST, address.to_string());
    let request = request.body(Empty::<Bytes>::new()).expect("an address is a header");
    let response = sender.send_request(request).await.map_err(Silent::Unanswered)?;
    if response.status() != StatusCode::OK {
        return Err(Silent::Refused(response.status()));
    }
    let body = Limited::new(response.into_body(), MOST).collect().await.map_err(Silent::Unread)?;
    Ok(String::from_utf8_lossy(&body.to_bytes()).into_owned())
}

/// What is worked on, and what waits. Some engines tell a gauge only once it was set: then it is 0, if the other one is there.
fn read(text: &str, gauges: Gauges) -> Option<(f64, f64)> {
    match (sum(text, gauges.running), sum(text, gauges.waiting)) {
        (None, None) => None,
        (running, waiting) => Some((running.unwrap_or(0.0), waiting.unwrap_or(0.0))),
    }
}

/// The sum of a gauge over all its labels.
fn sum(text: &str, name: &str) -> Option<f64> {
    text.lines().filter_map(|line| sample(line, name)).reduce(|one, other| one + other)
}

fn sample(line: &str, name: &str) -> Option<f64> {
    let rest = line.strip_prefix(name)?;
    let value = match rest.strip_prefix('{') {
        Some(labelled) => labelled.rsplit_once('}')?.1,
        // Else it is a longer name.
        None => Some(rest).filter(|rest| rest.starts_with([' ', '\t']))?,
    };
    let value: f64 = value.split_whitespace().next()?.parse().ok()?;
    (value.is_finite() && value >= 0.0).then_some(value)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    fn of(engine: Value) -> Option<Gauges> {
        gauges(&serde_json::from_value(engine).unwrap())
    }

    #[test]
    fn each_engine_tells_by_its_own_names() {
        let container = json!({"image": "i"});
        for (engine, text, expected) in [
            (
                json!({"candle": {}}),
                "# HELP vllm:num_requests_running a\n\
                 vllm:num_requests_running{model_name=\"a}b\"} 3\nvllm:num_requests_waiting{model_name=\"a\"} 2\n",
                Some((3.0, 2.0)),
            ),
            (
                json!({"vllm": container}),
                "vllm:num_requests_running{engine=\"0\"} 3.0\nvllm:num_requests_running{engine=\"1\"} 4.0\n\
                 vllm:num_requests_waiting{engine=\"0\"} 0.0\nvllm:num_requests_waiting_total 9\n",
                Some((7.0, 0.0)),
            ),
            (
                json!({"sglang": container}),
                "sglang:num_running_reqs{model_name=\"m\"} 1.0\nsglang:num_queue_reqs{model_name=\"m\"} 5.0 1700000000\n",
                Some((1.0, 5.0)),
            ),
            (json!({"tgi": container}), "tgi_queue_size 2\n", Some((0.0, 2.0))),
            (
                json!({"llamaCpp": container}),
                "llamacpp:requests_processing 2\nllamacpp:requests_deferred 1\n",
                Some((2.0, 1.0)),
            ),
            (json!({"candle": {}}), "vllm:num_requests_running NaN\nup 1\n", None),
        ] {
            assert_eq!(read(text, of(engine.clone()).unwrap()), expected, "{engine}");
        }
        assert_eq!(of(json!({"ollama": container})), None);
    }

    async fn answered(answer: String) -> Result<String, Silent> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                assert!(stream.read_buf(&mut request).await.unwrap() > 0, "{request:?}");
            }
            assert!(request.starts_with(b"GET /metrics HTTP/1.1\r\n"));
            // Who reads no further closes the connection.
            drop(stream.write_all(answer.as_bytes()).await);
        });
        let told = page(address).await;
        server.await.unwrap();
        told
    }

    #[tokio::test]
    async fn a_page_is_read_within_bounds() {
        let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\na 1\r\n0\r\n\r\n";
        assert_eq!(answered(chunked.to_owned()).await.unwrap(), "a 1");
        let until_end = "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\na 1";
        assert_eq!(answered(until_end.to_owned()).await.unwrap(), "a 1");
        let gone = answered("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".to_owned()).await;
        assert!(matches!(gone, Err(Silent::Refused(StatusCode::NOT_FOUND))));
        let endless = format!("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{}", "a 1\n".repeat(MOST / 4 + 1));
        assert!(matches!(answered(endless).await, Err(Silent::Unread(_))));
    }

    #[tokio::test]
    async fn who_cannot_be_asked_is_named() {
        let pod: Pod = serde_json::from_value(json!({"metadata": {"name": "m-model-0"}})).unwrap();
        let engine = serde_json::from_value(json!({"candle": {}})).unwrap();
        let loads = loads(&engine, &[&pod], &Pace::per_second(50)).await;
        assert_eq!(loads.told, 0);
        assert_eq!(loads.silent.as_deref(), Some("pod m-model-0 does not tell its load: it has no address"));
    }
}
