//! Tools of servers: real ones, over pipes and over HTTP, of both generations of the protocol.

#![expect(clippy::unwrap_used, reason = "a test fails where it is wrong")]

#[path = "mcp/server.rs"]
mod server;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use serde_json::{Value, json};
use server::Server;
use superstep_engine::{Failure, FailureClass};
use superstep_graph::{CredentialRef, ToolSpec};
use superstep_runtime::{Tool, ToolRequest};
use superstep_tools::{LoadError, LoadedTools, Surroundings, load};
use tokio::net::TcpSocket;

/// How long something may take on a machine that has other work.
const PATIENCE: Duration = Duration::from_secs(120);
const LOOK: Duration = Duration::from_millis(10);

fn spec(mcp: Value) -> ToolSpec {
    serde_json::from_value(json!({"name": "tea", "mcp": mcp, "timeout": "2m"})).unwrap()
}

async fn loaded(spec: &ToolSpec) -> Result<LoadedTools, LoadError> {
    let secret = |_: &CredentialRef| Some("s3cr3t-token".to_owned());
    let surroundings = Surroundings { secret: &secret, custom: &BTreeMap::new() };
    load(std::slice::from_ref(spec), &surroundings).await
}

struct Tools(Vec<Arc<dyn Tool>>);

impl Tools {
    async fn load(mcp: Value) -> Self {
        let spec = spec(mcp);
        Self(loaded(&spec).await.unwrap().find(&spec.name).to_vec())
    }

    fn find(&self, name: &str) -> &Arc<dyn Tool> {
        self.0.iter().find(|tool| tool.signature().name == name).unwrap()
    }

    async fn call(&self, name: &str, arguments: Value) -> Result<Value, Failure> {
        let request = ToolRequest { arguments, idempotency_key: "key-1".to_owned() };
        self.find(name).call(request).await.map(|payload| payload.value().clone())
    }
}

/// The command of a server: the example beside this test.
fn command(options: &[&str]) -> Vec<String> {
    let tests = std::env::current_exe().unwrap();
    let server = tests.parent().unwrap().parent().unwrap().join("examples/mcp_server");
    std::iter::once(server.to_str().unwrap()).chain(options.iter().copied()).map(str::to_owned).collect()
}

/// A port that nobody else is given, and at which only who is told of it listens.
fn held() -> TcpSocket {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseport(true).unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    socket
}

fn serve(server: Server, at: SocketAddr) -> (SocketAddr, tokio::task::JoinHandle<()>) {
    let service = StreamableHttpService::new(
        move || Ok(server.clone()),
        Arc::new(LocalSessionManager::default()),
        StreamableHttpServerConfig::default(),
    );
    let router = axum::Router::new().nest_service("/mcp", service);
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    // Beside whoever holds the port.
    socket.set_reuseport(at.port() != 0).unwrap();
    socket.bind(at).unwrap();
    let listener = socket.listen(64).unwrap();
    let address = listener.local_addr().unwrap();
    (address, tokio::spawn(async move { axum::serve(listener, router).await.unwrap() }))
}

fn over_http(server: Server) -> String {
    let (address, _) = serve(server, ([127, 0, 0, 1], 0).into());
    format!("http://{address}/mcp")
}

#[tokio::test]
async fn tools_of_both_generations_over_both_transports() {
    for (is_old, revision) in [(false, "2026-07-28"), (true, "2025-11-25")] {
        let allow = json!(["add", "greet", "fail", "seen"]);
        let by_http = over_http(Server { is_old, ..Server::default() });
        let options: &[&str] = if is_old { &["--old"] } else { &[] };
        for mcp in [
            json!({"url": by_http, "allow": allow, "idempotent": ["add"]}),
            json!({"argv": command(options), "allow": allow, "idempotent": ["add"]}),
        ] {
            let tools = Tools::load(mcp).await;
            let names: Vec<_> = tools.0.iter().map(|tool| tool.signature().name.as_str()).collect();
            assert_eq!(names, ["add", "greet", "fail", "seen"]);
            assert_eq!(tools.find("seen").signature().description, "What seen does.");
            assert_eq!(tools.find("seen").signature().parameters["type"], "object");
            assert!(tools.find("add").is_idempotent() && !tools.find("greet").is_idempotent());
            assert_eq!(tools.call("add", json!({"a": 2, "b": 3})).await.unwrap(), json!({"sum": 5}));
            let greeting = tools.call("greet", json!({"name": "you"})).await.unwrap();
            assert_eq!(greeting, json!({"text": "hello you"}));
            let failure = tools.call("fail", json!({})).await.unwrap_err();
            assert_eq!(failure.class, FailureClass::Permanent);
            assert!(failure.message.contains("the tea is cold"), "{failure}");
            let seen = tools.call("seen", json!({})).await.unwrap();
            assert_eq!((&seen["key"], &seen["revision"]), (&json!("key-1"), &json!(revision)), "{seen}");
        }
    }
}

#[tokio::test]
async fn a_call_that_is_refused_says_why() {
    let tools = Tools::load(json!({"url": over_http(Server::default()), "allow": ["refuse"]})).await;
    let failure = tools.call("refuse", json!({})).await.unwrap_err();
    assert_eq!(failure.class, FailureClass::Permanent);
    assert!(failure.message.contains("there is no tea"), "{failure}");
}

#[tokio::test]
async fn a_secret_goes_to_the_server_and_comes_back_hidden() {
    let url = over_http(Server::default());
    let credential = json!({"name": "tea", "key": "token"});
    let tools = Tools::load(json!({"url": url, "allow": ["seen"], "credentialRef": credential})).await;
    let seen = tools.call("seen", json!({})).await.unwrap();
    assert_eq!(seen["authorization"], json!("Bearer ***"));
}

#[tokio::test]
async fn time_ends_a_call_and_tells_the_server() {
    let server = Server::default();
    let cancelled = Arc::clone(&server.cancelled);
    let url = over_http(server);
    for (idempotent, class) in
        [(json!(["slow"]), FailureClass::Timeout), (json!([]), FailureClass::Permanent)]
    {
        let mut spec = spec(json!({"url": url, "allow": ["slow", "add"], "idempotent": idempotent}));
        spec.timeout = Some("3s".parse().unwrap());
        let tools = Tools(loaded(&spec).await.unwrap().find(&spec.name).to_vec());
        let told = || cancelled.load(Ordering::SeqCst);
        let (before, begun) = (told(), Instant::now());
        // The server is told of a call that it has heard of, which takes a part of the time.
        while told() == before {
            assert!(begun.elapsed() < PATIENCE, "the server is not told");
            let failure = tools.call("slow", json!({})).await.unwrap_err();
            assert_eq!(failure.class, class, "{failure}");
            let ended = Instant::now();
            while told() == before && ended.elapsed() < Duration::from_secs(2) {
                tokio::time::sleep(LOOK).await;
            }
        }
        // The connection is still of use, if the machine has time for it.
        let begun = Instant::now();
        let sum = loop {
            match tools.call("add", json!({})).await {
                Err(failure) => assert!(begun.elapsed() < PATIENCE, "{failure}"),
                Ok(sum) => break sum,
            }
        };
        assert_eq!(sum, json!({"sum": 0}));
    }
}

async fn until(mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "it never holds");
        tokio::time::sleep(LOOK).await;
    }
}

#[tokio::test]
async fn a_server_that_died_is_started_again() {
    let mcp = json!({"argv": command(&[]), "allow": ["die", "add"], "idempotent": []});
    let tools = Tools::load(mcp).await;
    let failure = tools.call("die", json!({})).await.unwrap_err();
    assert_eq!(failure.class, FailureClass::Permanent, "{failure}");
    assert!(failure.message.contains("may have taken effect"), "{failure}");
    assert!(failure.message.contains("I am dying"), "{failure}");
    assert_eq!(tools.call("add", json!({"a": 1})).await.unwrap(), json!({"sum": 1}));
    let tools = Tools::load(json!({"argv": command(&[]), "allow": ["die"], "idempotent": ["die"]})).await;
    assert_eq!(tools.call("die", json!({})).await.unwrap_err().class, FailureClass::Transient);
}

#[tokio::test]
async fn a_server_that_came_back_at_its_address_is_used_again() {
    for is_old in [false, true] {
        let made = || Server { is_old, ..Server::default() };
        let port = held();
        let (address, serving) = serve(made(), port.local_addr().unwrap());
        let mcp = json!({"url": format!("http://{address}/mcp"), "allow": ["add"]});
        let tools = Tools::load(mcp).await;
        assert!(tools.call("add", json!({})).await.is_ok());
        serving.abort();
        assert!(serving.await.unwrap_err().is_cancelled());
        // The connection that was open may be lost while a call is on its way over it, which is in doubt.
        let begun = Instant::now();
        while !matches!(tools.call("add", json!({})).await, Err(failure) if failure.class == FailureClass::Transient)
        {
            assert!(begun.elapsed() < PATIENCE, "no call is known not to have been sent");
            tokio::time::sleep(LOOK).await;
        }
        let (_, serving) = serve(made(), address);
        assert_eq!(tools.call("add", json!({"a": 1})).await.unwrap(), json!({"sum": 1}));
        serving.abort();
    }
}

#[tokio::test]
async fn a_command_sees_named_variables_only_and_ends_with_its_tools() {
    let mcp = json!({"argv": command(&[]), "allow": ["variables"], "environment": ["CARGO_PKG_NAME"]});
    let tools = Tools::load(mcp).await;
    let seen = tools.call("variables", json!({})).await.unwrap();
    let seen: Vec<&str> = seen.as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    assert!(seen.contains(&"CARGO_PKG_NAME") && seen.contains(&"PATH"), "{seen:?}");
    assert!(!seen.contains(&"CARGO_MANIFEST_DIR"), "{seen:?}");

    let folder = tempfile::tempdir().unwrap();
    let pid = folder.path().join("pid");
    let script = format!("echo $$ > '{}'; exec '{}'", pid.display(), command(&[])[0]);
    let tools = Tools::load(json!({"argv": ["sh", "-c", script], "allow": ["add"]})).await;
    let pid: i32 = std::fs::read_to_string(pid).unwrap().trim().parse().unwrap();
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    assert!(rustix::process::test_kill_process(pid).is_ok());
    drop(tools);
    until(|| rustix::process::test_kill_process(pid).is_err()).await;
}

#[tokio::test]
async fn what_cannot_be_used_is_named_before_a_run() {
    let url = over_http(Server::default());
    let nobody = held();
    let unused = nobody.local_addr().unwrap();
    for (mcp, expected) in [
        (json!({"url": url, "allow": ["ad"]}), "no tool \"ad\" (did you mean \"add\"?)"),
        (json!({"url": url, "argv": ["x"], "allow": []}), "exactly one of url, argv"),
        (json!({"url": "ftp://a.b", "allow": []}), "mcp.url"),
        (json!({"url": "http://169.254.169.254/mcp", "allow": []}), "link-local"),
        (json!({"url": format!("http://{unused}/mcp"), "allow": []}), "127.0.0.1"),
        (json!({"argv": ["no-such-server"], "allow": []}), "no-such-server"),
        (json!({"argv": ["sh", "-c", "echo I cannot >&2; exit 1"], "allow": []}), "I cannot"),
    ] {
        let error = loaded(&spec(mcp.clone())).await.unwrap_err().to_string();
        assert!(error.contains(expected) && error.contains("\"tea\""), "{mcp}: {error}");
    }
}

#[tokio::test]
async fn an_answer_has_a_limit() {
    let url = over_http(Server::default());
    let tools = Tools::load(json!({"url": url, "allow": ["greet"], "maxResponseBytes": 100})).await;
    assert!(tools.call("greet", json!({"name": "you"})).await.is_ok());
    let failure = tools.call("greet", json!({"name": "x".repeat(100)})).await.unwrap_err();
    assert!(failure.message.contains("more than 100"), "{failure}");
}
