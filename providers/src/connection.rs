//! Sending a request and reading its answer, within limits.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, ClientBuilder, Response, Url};
use tokio::time::timeout;

use crate::dialect::{Dialect, Wire};
use crate::draft::Draft;
use crate::fault::{self, Fault, FaultKind};
use crate::frames::{Frames, Framing};

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(10);
/// How long a stream may be silent. Models that reason can be so for minutes.
const SILENCE: Duration = Duration::from_secs(180);
/// The most bytes of an answer.
const MAX_ANSWER: usize = 32 << 20;
/// The most bytes of one piece of a stream.
const MAX_PIECE: usize = 8 << 20;
/// The most bytes of an error that are read.
const MAX_ERROR: usize = 64 << 10;

/// How silent a stream may be, and how large an answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) silence: Duration,
    pub(crate) answer: usize,
    pub(crate) piece: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { silence: SILENCE, answer: MAX_ANSWER, piece: MAX_PIECE }
    }
}

/// A pool of connections. It follows no redirect, since a prompt or a credential would go where nobody
/// has sent it.
///
/// # Errors
/// The system's certificates cannot be read.
pub(crate) fn client() -> Result<Client, reqwest::Error> {
    builder().build()
}

/// The same without a pool, for [services of a cluster](is_service): each request finds a pod of its own. On connections
/// that are kept a crowd would stay with the pod that was there first, however many come to help it.
///
/// # Errors
/// As of [`client`].
pub(crate) fn client_of_services() -> Result<Client, reqwest::Error> {
    builder().pool_max_idle_per_host(0).build()
}

fn builder() -> ClientBuilder {
    Client::builder()
        .connect_timeout(CONNECT)
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("superstep/", env!("CARGO_PKG_VERSION")))
}

/// Whether a URL has the name of a service of a cluster, which stands for several pods, and asks it without encryption, so
/// that a connection costs little.
pub(crate) fn is_service(base_url: &str) -> bool {
    let Ok(url) = Url::parse(base_url) else { return false };
    let host = url.host_str().unwrap_or_default();
    url.scheme() == "http" && (host.ends_with(".svc") || host.ends_with(".svc.cluster.local"))
}

/// Where and how requests go.
pub(crate) struct Line {
    pub(crate) client: Client,
    pub(crate) base_url: String,
    pub(crate) dialect: Dialect,
    /// The header with the credential.
    pub(crate) credential: Option<(HeaderName, HeaderValue)>,
    pub(crate) bounds: Bounds,
}

impl Line {
    /// Sends `wire` and reads the answer into `draft`. Dropping the future closes the request.
    ///
    /// # Errors
    /// The request did not come through, or the answer is an error or cannot be read. What was read until
    /// then is in `draft`.
    pub(crate) async fn exchange(&self, wire: Wire, stream: bool, draft: &mut Draft) -> Result<(), Fault> {
        let mut response = self.send(wire).await?;
        let status = response.status();
        if !status.is_success() {
            let headers = response.headers().clone();
            let body = error_body(&mut response).await;
            return Err(fault::of_response(status, &headers, &body, SystemTime::now()));
        }
        let framing = self.framing(stream, response.headers());
        let mut frames = Frames::new(
            framing,
            if framing == Framing::Whole { self.bounds.answer } else { self.bounds.piece },
        );
        let mut total = 0;
        while let Some(chunk) = self.chunk(&mut response, framing, draft).await? {
            total += chunk.len();
            if total > self.bounds.answer {
                let detail = format!("more than {} bytes", self.bounds.answer);
                return Err(Fault::new(FaultKind::TooLarge, detail));
            }
            for piece in frames.push(&chunk)? {
                self.dialect.read(&piece, draft)?;
            }
        }
        match frames.finish() {
            Some(piece) => self.dialect.read(&piece, draft),
            None => Ok(()),
        }
    }

    /// Sends `wire` and gives the whole answer, which is not streamed.
    ///
    /// # Errors
    /// The request did not come through, or the answer is an error or too large.
    pub(crate) async fn whole(&self, wire: Wire) -> Result<Vec<u8>, Fault> {
        let mut response = self.send(wire).await?;
        let status = response.status();
        if !status.is_success() {
            let headers = response.headers().clone();
            let body = error_body(&mut response).await;
            return Err(fault::of_response(status, &headers, &body, SystemTime::now()));
        }
        let mut answer = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| lost(&error))? {
            answer.extend_from_slice(&chunk);
            if answer.len() > self.bounds.answer {
                let detail = format!("more than {} bytes", self.bounds.answer);
                return Err(Fault::new(FaultKind::TooLarge, detail));
            }
        }
        Ok(answer)
    }

    async fn send(&self, wire: Wire) -> Result<Response, Fault> {
        let mut request = self
            .client
            .post(format!("{}{}", self.base_url, wire.path))
            .header(CONTENT_TYPE, "application/json")
            .body(wire.body.to_string());
        for (name, value) in wire.headers.into_iter().chain(self.credential.clone()) {
            request = request.header(name, value);
        }
        request.send().await.map_err(|error| lost(&error))
    }

    /// How the answer is cut: as it says, for some servers stream to nobody.
    fn framing(&self, stream: bool, headers: &HeaderMap) -> Framing {
        let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        match (stream, self.dialect.framing()) {
            (true, Framing::Events) if kind.starts_with("application/json") => Framing::Whole,
            (true, framing) => framing,
            (false, _) => Framing::Whole,
        }
    }

    /// The next bytes; none at the end. What is lost after the answer was complete is not missed.
    async fn chunk(
        &self,
        response: &mut Response,
        framing: Framing,
        draft: &Draft,
    ) -> Result<Option<Bytes>, Fault> {
        let chunk = if framing == Framing::Whole {
            response.chunk().await
        } else {
            match timeout(self.bounds.silence, response.chunk()).await {
                Ok(chunk) => chunk,
                Err(_) if draft.finish.is_some() => return Ok(None),
                Err(_) => {
                    let detail = format!("the stream was silent for {} s", self.bounds.silence.as_secs_f32());
                    return Err(Fault::new(FaultKind::Timeout, detail));
                }
            }
        };
        match chunk {
            Ok(chunk) => Ok(chunk),
            Err(error) if draft.finish.is_some() => {
                tracing::debug!(%error, "the connection was lost after the answer");
                Ok(None)
            }
            Err(error) => {
                let fault = lost(&error);
                Err(Fault::new(FaultKind::Broken, fault.detail))
            }
        }
    }
}

/// As much of an error as is read. What cannot be read is left out: the status says enough.
async fn error_body(response: &mut Response) -> Vec<u8> {
    let mut body = Vec::new();
    while body.len() < MAX_ERROR {
        match timeout(CONNECT, response.chunk()).await {
            Ok(Ok(Some(chunk))) => body.extend_from_slice(&chunk),
            Ok(Ok(None)) => break,
            Ok(Err(error)) => {
                tracing::debug!(%error, "the body of an error cannot be read");
                break;
            }
            Err(_) => break,
        }
    }
    body.truncate(MAX_ERROR);
    body
}

fn lost(error: &reqwest::Error) -> Fault {
    let kind = if error.is_timeout() { FaultKind::Timeout } else { FaultKind::Connection };
    // The innermost cause says most, and has no address in it.
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    Fault { unheard: error.is_connect(), ..Fault::new(kind, cause.to_string()) }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use wiremock::matchers::any;
    use wiremock::{Mock, MockServer, ResponseTemplate};

    use super::*;
    use crate::dialect::Flavor;

    async fn exchange(body: &str, bounds: Bounds) -> Result<(), Fault> {
        let server = MockServer::start().await;
        let answer = ResponseTemplate::new(200).set_body_raw(body.to_owned(), "text/event-stream");
        Mock::given(any()).respond_with(answer).mount(&server).await;
        let line = Line {
            client: client().unwrap(),
            base_url: server.uri(),
            dialect: Dialect::OpenAi(Flavor::default()),
            credential: None,
            bounds,
        };
        let wire = Wire { path: "/".to_owned(), headers: Vec::new(), body: Value::Null };
        line.exchange(wire, true, &mut Draft::new(None)).await
    }

    #[tokio::test]
    async fn an_answer_is_bounded_as_a_whole_and_in_its_pieces() {
        let piece = format!("data: {}\n\n", json!({"choices": [{"delta": {"content": "0123456789"}}]}));
        let bounds = Bounds { answer: 1000, piece: 100, ..Bounds::default() };
        assert_eq!(exchange(&piece.repeat(5), bounds).await, Ok(()));
        let whole = exchange(&piece.repeat(50), bounds).await.unwrap_err();
        assert_eq!((whole.kind, whole.detail.as_str()), (FaultKind::TooLarge, "more than 1000 bytes"));
        let one = exchange(&format!("data: {}", "0".repeat(500)), bounds).await.unwrap_err();
        assert_eq!(
            (one.kind, one.detail.as_str()),
            (FaultKind::TooLarge, "more than 100 bytes in one piece")
        );
    }

    #[test]
    fn services_are_known_by_their_names() {
        for (url, expected) in [
            ("http://small-model.team.svc:8000/v1", true),
            ("http://small-model.team.svc.cluster.local:8000/v1", true),
            ("https://small-model.team.svc/v1", false),
            ("http://127.0.0.1:8000/v1", false),
            ("http://svc.example.com/v1", false),
            ("", false),
        ] {
            assert_eq!(is_service(url), expected, "{url}");
        }
    }

    /// How many connections so many requests make, one after another.
    async fn connections(client: Client, requests: usize) -> usize {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base_url = format!("http://{}", listener.local_addr().unwrap());
        let (made, mut counted) = tokio::sync::mpsc::unbounded_channel();
        let server = tokio::spawn(async move {
            loop {
                let (mut socket, _) = listener.accept().await.unwrap();
                made.send(()).unwrap();
                tokio::spawn(async move {
                    let (mut read, mut piece) = (Vec::new(), [0; 4096]);
                    loop {
                        match socket.read(&mut piece).await.unwrap() {
                            0 => break,
                            count => read.extend_from_slice(&piece[..count]),
                        }
                        if read.ends_with(b"\r\n\r\nnull") {
                            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
                            socket.write_all(answer).await.unwrap();
                            read.clear();
                        }
                    }
                });
            }
        });
        let dialect = Dialect::OpenAi(Flavor::default());
        let line = Line { client, base_url, dialect, credential: None, bounds: Bounds::default() };
        for _ in 0..requests {
            let wire = Wire { path: "/".to_owned(), headers: Vec::new(), body: Value::Null };
            assert_eq!(line.whole(wire).await.unwrap(), b"{}");
        }
        server.abort();
        drop(server.await);
        std::iter::from_fn(|| counted.try_recv().ok()).count()
    }

    #[tokio::test]
    async fn only_connections_to_services_are_not_kept() {
        assert!(connections(client().unwrap(), 8).await < 8);
        assert_eq!(connections(client_of_services().unwrap(), 8).await, 8);
    }

    #[tokio::test]
    async fn a_stream_may_not_be_silent_for_long() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base_url = format!("http://{}", listener.local_addr().unwrap());
        let silent = tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            let head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 9\r\n\r\n";
            assert!(socket.read(&mut [0; 4096]).await.unwrap() > 0);
            socket.write_all(head).await.unwrap();
            std::future::pending::<()>().await;
        });
        let bounds = Bounds { silence: Duration::from_millis(100), ..Bounds::default() };
        let dialect = Dialect::OpenAi(Flavor::default());
        let line = Line { client: client().unwrap(), base_url, dialect, credential: None, bounds };
        let wire = Wire { path: "/".to_owned(), headers: Vec::new(), body: Value::Null };
        let fault = line.exchange(wire, true, &mut Draft::new(None)).await.unwrap_err();
        assert_eq!(
            (fault.kind, fault.detail.as_str()),
            (FaultKind::Timeout, "the stream was silent for 0.1 s")
        );
        silent.abort();
    }
}
