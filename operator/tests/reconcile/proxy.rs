//! What stands between the operator and the API server: it counts, and plays faults.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use futures::StreamExt as _;
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;

/// What the proxy is to do beside its work.
#[derive(Clone, Debug, Default)]
pub(crate) struct Plan {
    /// Each write is answered once with one of these, before it is tried.
    pub(crate) refuse_once: Vec<u16>,
    /// Each write is done, and answered once with this.
    pub(crate) fail_after: Option<u16>,
    /// The process is to be killed when this write has been done, counted from 1: its answer never comes.
    pub(crate) die_after: Option<u32>,
    /// Every watch ends after so long, and the next one is told that its version is too old.
    pub(crate) expire: Option<Duration>,
    /// Changes are held back for so long, and only the last of each object is told.
    pub(crate) coalesce: Option<Duration>,
}

/// What it has seen.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Each write, as its method and path.
    pub(crate) writes: Vec<String>,
    /// How many reads there were, watches apart.
    pub(crate) reads: usize,
    /// How many reads and writes have begun.
    pub(crate) begun: usize,
    /// Those that were answered with a fault already.
    answered: HashSet<(String, u16)>,
    /// The first answer to each list, to be told again while the view is old.
    lists: HashMap<String, Bytes>,
    expired: HashSet<String>,
}

/// The proxy.
#[derive(Clone)]
pub(crate) struct Proxy {
    server: String,
    client: reqwest::Client,
    plan: Arc<Mutex<Plan>>,
    pub(crate) seen: Arc<Mutex<Seen>>,
    /// Whether what is shown is what was there when this was set.
    old: watch::Sender<bool>,
    /// Told when the process is to be killed.
    deaths: mpsc::Sender<()>,
}

impl Proxy {
    /// Starts one before a server, with the identities of its cluster; its own address, and what tells of deaths that are due.
    pub(crate) async fn start(server: &str, identities: &Path) -> (Self, String, mpsc::Receiver<()>) {
        let (deaths, due) = mpsc::channel(16);
        let proxy = Self {
            server: server.to_owned(),
            client: client(identities),
            plan: Arc::default(),
            seen: Arc::default(),
            old: watch::Sender::new(false),
            deaths,
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(answer).with_state(proxy.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        (proxy, url, due)
    }

    /// Plays these faults from here on.
    pub(crate) fn play(&self, plan: Plan) {
        *self.plan.lock().unwrap() = plan;
        self.seen.lock().unwrap().answered.clear();
    }

    /// Shows what is there at this time, until it is told otherwise.
    pub(crate) fn freeze(&self) {
        self.seen.lock().unwrap().lists.clear();
        self.old.send_replace(true);
    }

    /// Shows what is there.
    pub(crate) fn thaw(&self) {
        self.old.send_replace(false);
    }

    /// How many writes there were.
    pub(crate) fn writes(&self) -> usize {
        self.seen.lock().unwrap().writes.len()
    }

    async fn forward(&self, method: &Method, path: &str, request: Request) -> reqwest::Response {
        let headers = request.headers().clone();
        let body = to_bytes(request.into_body(), usize::MAX).await.unwrap();
        let mut forwarded = self.client.request(method.clone(), format!("{}{path}", self.server)).body(body);
        for name in ["content-type", "accept"] {
            if let Some(value) = headers.get(name) {
                forwarded = forwarded.header(name, value);
            }
        }
        forwarded.send().await.unwrap()
    }
}

/// A client of an administrator.
fn client(identities: &Path) -> reqwest::Client {
    let read = |name: &str| std::fs::read(identities.join(name)).unwrap();
    let mut identity = read("admin.crt");
    identity.extend(read("admin.key"));
    reqwest::Client::builder()
        .tls_certs_only([reqwest::Certificate::from_pem(&read("ca.crt")).unwrap()])
        .identity(reqwest::Identity::from_pem(&identity).unwrap())
        .build()
        .unwrap()
}

async fn answer(State(proxy): State<Proxy>, request: Request) -> Response {
    let method = request.method().clone();
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str()).to_owned();
    if path.contains("watch=true") {
        return watched(proxy, path, request).await;
    }
    if method == Method::GET {
        return read(proxy, path, request).await;
    }
    written(proxy, method, path, request).await
}

async fn read(proxy: Proxy, path: String, request: Request) -> Response {
    {
        let mut seen = proxy.seen.lock().unwrap();
        seen.reads += 1;
        seen.begun += 1;
    }
    // What is named one by one is read from the store itself.
    let is_old = *proxy.old.borrow() && path.contains("limit=");
    if is_old && let Some(body) = proxy.seen.lock().unwrap().lists.get(&path) {
        return (StatusCode::OK, [("content-type", "application/json")], body.clone()).into_response();
    }
    let answer = proxy.forward(&Method::GET, &path, request).await;
    let status = answer.status();
    let body = answer.bytes().await.unwrap();
    if is_old && status.is_success() {
        proxy.seen.lock().unwrap().lists.insert(path, body.clone());
    }
    (status, [("content-type", "application/json")], body).into_response()
}

async fn written(proxy: Proxy, method: Method, path: String, request: Request) -> Response {
    let place = path.split('?').next().unwrap_or(&path).to_owned();
    // Events are told beside the work, and reviews of access change nothing.
    let is_counted = !place.contains("/events");
    let write = format!("{method} {place}");
    proxy.seen.lock().unwrap().begun += usize::from(is_counted);
    let plan = proxy.plan.lock().unwrap().clone();
    if is_counted {
        for code in &plan.refuse_once {
            if proxy.seen.lock().unwrap().answered.insert((write.clone(), *code)) {
                return failure(*code);
            }
        }
    }
    let answer = proxy.forward(&method, &path, request).await;
    let status = answer.status();
    let body = answer.bytes().await.unwrap();
    if is_counted {
        let count = {
            let mut seen = proxy.seen.lock().unwrap();
            seen.writes.push(write.clone());
            u32::try_from(seen.writes.len()).unwrap()
        };
        // Another write may have been counted before the plan was made.
        if proxy.plan.lock().unwrap().die_after.is_some_and(|at| at <= count) {
            proxy.deaths.send(()).await.unwrap();
            std::future::pending::<()>().await;
        }
        if let Some(code) = plan.fail_after
            && proxy.seen.lock().unwrap().answered.insert((write, code))
        {
            return failure(code);
        }
    }
    (status, [("content-type", "application/json")], body).into_response()
}

fn failure(code: u16) -> Response {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code,
        "reason": "Played", "message": format!("the test answers {code}"),
    });
    let headers = [("content-type", "application/json"), ("retry-after", "1")];
    (StatusCode::from_u16(code).unwrap(), headers, status.to_string()).into_response()
}

fn gone() -> Response {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 410,
        "reason": "Expired", "message": "too old resource version",
    });
    let event = format!("{}\n", json!({"type": "ERROR", "object": status}));
    (StatusCode::OK, [("content-type", "application/json")], event).into_response()
}

async fn watched(proxy: Proxy, path: String, request: Request) -> Response {
    let plan = proxy.plan.lock().unwrap().clone();
    let place = path.split('?').next().unwrap_or(&path).to_owned();
    if plan.expire.is_some() && proxy.seen.lock().unwrap().expired.remove(&place) {
        return gone();
    }
    let answer = proxy.forward(&Method::GET, &path, request).await;
    if !answer.status().is_success() {
        let status = answer.status();
        return (status, answer.bytes().await.unwrap()).into_response();
    }
    let (lines, shown) = mpsc::channel::<Result<Bytes, std::io::Error>>(16);
    tokio::spawn(show(proxy, place, plan, answer, lines));
    let body = Body::from_stream(ReceiverStream::new(shown));
    (StatusCode::OK, [("content-type", "application/json")], body).into_response()
}

/// Hands on what the server tells, as the plan says, until either side ends.
async fn show(
    proxy: Proxy,
    place: String,
    plan: Plan,
    answer: reqwest::Response,
    lines: mpsc::Sender<Result<Bytes, std::io::Error>>,
) {
    let mut bytes = answer.bytes_stream();
    let mut old = proxy.old.subscribe();
    let mut rest = Vec::new();
    let mut held = Vec::new();
    let end = plan.expire.map(|after| tokio::time::Instant::now() + after);
    let mut tick = tokio::time::interval(plan.coalesce.unwrap_or(Duration::from_secs(3_600)));
    tick.tick().await;
    loop {
        if *old.borrow() {
            // Nothing is told of what happens; when it is over, nobody remembers so old a version.
            drop(old.wait_for(|old| !old).await);
            let expired = gone().into_body();
            let expired = to_bytes(expired, usize::MAX).await.unwrap();
            drop(lines.send(Ok(expired)).await);
            return;
        }
        tokio::select! {
            chunk = bytes.next() => {
                let Some(Ok(chunk)) = chunk else { break };
                rest.extend_from_slice(&chunk);
                while let Some(at) = rest.iter().position(|byte| *byte == b'\n') {
                    held.push(rest.drain(..=at).collect::<Vec<u8>>());
                }
                if plan.coalesce.is_none() && !tell(&lines, std::mem::take(&mut held)).await {
                    return;
                }
            }
            _ = tick.tick() => {
                if !tell(&lines, coalesced(std::mem::take(&mut held))).await {
                    return;
                }
            }
            _ = old.changed() => {}
            () = until(end) => {
                proxy.seen.lock().unwrap().expired.insert(place);
                return;
            }
            () = lines.closed() => return,
        }
    }
}

async fn until(end: Option<tokio::time::Instant>) {
    match end {
        Some(end) => tokio::time::sleep_until(end).await,
        None => std::future::pending().await,
    }
}

async fn tell(lines: &mpsc::Sender<Result<Bytes, std::io::Error>>, told: Vec<Vec<u8>>) -> bool {
    for line in told {
        if lines.send(Ok(line.into())).await.is_err() {
            return false;
        }
    }
    true
}

/// The last event of each object; one that came and went is not told of at all.
fn coalesced(lines: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    let mut first = HashMap::new();
    let mut last: Vec<(String, Value)> = Vec::new();
    for line in &lines {
        let event: Value = serde_json::from_slice(line).unwrap();
        let metadata = &event["object"]["metadata"];
        let key = format!("{}/{}", metadata["namespace"], metadata["name"]);
        first.entry(key.clone()).or_insert_with(|| event["type"].clone());
        last.retain(|(known, _)| *known != key);
        last.push((key, event));
    }
    let told = last.into_iter().filter_map(|(key, mut event)| {
        let was_new = first.get(&key).is_some_and(|kind| kind == "ADDED");
        match (was_new, event["type"].as_str().unwrap_or_default()) {
            (true, "DELETED") => return None,
            // It went and came again: who only sees the end sees a change.
            (false, "ADDED") => event["type"] = "MODIFIED".into(),
            _ => {}
        }
        Some(format!("{event}\n").into_bytes())
    });
    told.collect()
}
