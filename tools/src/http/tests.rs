use std::collections::BTreeMap;
use std::sync::Mutex;

use serde_json::json;
use wiremock::matchers::{body_json, header, method, path, query_param};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::*;
use crate::client::tests::Fake;
use crate::client::{Lookup, SystemLookup};
use crate::load::{Surroundings, load_with};

const SECRET: &str = "s3cr3t-token";

fn spec(http: Value) -> ToolSpec {
    serde_json::from_value(json!({"name": "weather", "http": http, "timeout": "2m"})).unwrap()
}

async fn load(http: Value, lookup: Arc<dyn Lookup>) -> Result<Arc<dyn Tool>, LoadError> {
    let secret = |credential: &superstep_graph::CredentialRef| {
        (credential.variable() == "API_KEY").then(|| SECRET.to_owned())
    };
    let surroundings = Surroundings { secret: &secret, custom: &BTreeMap::new() };
    let spec = spec(http);
    let tools = load_with(std::slice::from_ref(&spec), &surroundings, lookup).await?;
    Ok(Arc::clone(&tools.find(&spec.name)[0]))
}

/// The tool of `http`, which may reach the servers of tests.
async fn tool(mut http: Value) -> Arc<dyn Tool> {
    http["allowPrivateAddresses"] = json!(true);
    load(http, Arc::new(SystemLookup)).await.unwrap()
}

async fn call(tool: &Arc<dyn Tool>, arguments: Value) -> Result<Value, Failure> {
    let request = ToolRequest { arguments, idempotency_key: "key-1".to_owned() };
    tool.call(request).await.map(|payload| payload.value().clone())
}

fn text(name: &str) -> Value {
    json!({"type": "object", "properties": {name: {"type": "string"}}, "required": [name]})
}

#[tokio::test]
async fn arguments_go_into_the_address_the_query_and_the_body() {
    let server = MockServer::start().await;
    Mock::given(method("GET"))
        .and(path("/v1/S%C3%A3o%2FPaulo/now"))
        .and(query_param("units", "metric"))
        .and(query_param("tag", "a b"))
        .and(query_param("days", "3"))
        .and(header("idempotency-key", "key-1"))
        .and(header("x-team", "red"))
        .respond_with(ResponseTemplate::new(200).set_body_json(json!({"t": 21})))
        .expect(1)
        .mount(&server)
        .await;
    let http = json!({
        "url": format!("{}/v1/{{city}}/now?units=metric", server.uri()),
        "parameters": text("city"),
        "headers": {"X-Team": "red"},
    });
    let arguments = json!({"city": "São/Paulo", "days": 3, "tag": ["a b", "c"], "none": null});
    assert_eq!(call(&tool(http).await, arguments).await.unwrap(), json!({"t": 21}));
    let asked = &server.received_requests().await.unwrap()[0];
    assert_eq!(asked.url.query(), Some("units=metric&days=3&tag=a+b&tag=c"));

    Mock::given(method("POST"))
        .and(path("/orders/7"))
        .and(body_json(json!({"what": ["tea"], "note": null})))
        .and(header("content-type", "application/json"))
        .respond_with(ResponseTemplate::new(201).set_body_string("done"))
        .mount(&server)
        .await;
    let http = json!({
        "method": "POST",
        "url": format!("{}/orders/{{id}}", server.uri()),
        "parameters": {"type": "object", "properties": {"id": {}}, "required": ["id"]},
    });
    let posting = tool(http).await;
    assert!(!posting.is_idempotent());
    let arguments = json!({"id": 7, "what": ["tea"], "note": null});
    assert_eq!(call(&posting, arguments).await.unwrap(), json!({"text": "done"}));
}

#[tokio::test]
async fn secrets_go_to_the_server_and_nowhere_else() {
    let (server, other) = (MockServer::start().await, MockServer::start().await);
    let echo = |request: &wiremock::Request| {
        let seen = ["authorization", "x-api-key"].map(|name| {
            request.headers.get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
        });
        ResponseTemplate::new(if request.url.path() == "/no" { 403 } else { 200 })
            .set_body_string(seen.join("|"))
    };
    Mock::given(path("/echo")).respond_with(echo).mount(&server).await;
    Mock::given(path("/no")).respond_with(echo).mount(&server).await;
    Mock::given(path("/echo")).respond_with(echo).mount(&other).await;
    let to = |to: String| ResponseTemplate::new(307).insert_header("location", to);
    Mock::given(path("/away")).respond_with(to(format!("{}/echo", other.uri()))).mount(&server).await;
    Mock::given(path("/here")).respond_with(to("/echo".to_owned())).mount(&server).await;
    let credential = json!({"name": "api", "key": "key"});
    for (auth, shown) in [
        (json!({"bearer": credential}), "Bearer ***|"),
        (json!({"header": {"name": "X-Api-Key", "credentialRef": credential}}), "|***"),
    ] {
        let at = |place: &str| json!({"url": format!("{}{place}", server.uri()), "auth": auth});
        // The server sent the secret back, and the answer does not hold it.
        assert_eq!(call(&tool(at("/echo")).await, json!({})).await.unwrap(), json!({"text": shown}));
        assert_eq!(call(&tool(at("/here")).await, json!({})).await.unwrap(), json!({"text": shown}));
        assert_eq!(call(&tool(at("/away")).await, json!({})).await.unwrap(), json!({"text": "|"}));
        let failure = call(&tool(at("/no")).await, json!({})).await.unwrap_err();
        assert!(failure.message.contains("403") && failure.message.contains("***"), "{failure}");
        assert!(!failure.message.contains(SECRET), "{failure}");
    }
    let seen = server.received_requests().await.unwrap();
    assert!(seen.iter().any(|request| request.headers.values().any(|value| value == SECRET)));
}

#[tokio::test]
async fn refusals_are_classified() {
    let server = MockServer::start().await;
    for status in [400, 404, 408, 429, 500, 502, 503, 304] {
        let answer = ResponseTemplate::new(status)
            .insert_header("retry-after", "7")
            .set_body_string("x".repeat(9_999));
        Mock::given(path(format!("/{status}"))).respond_with(answer).mount(&server).await;
    }
    use FailureClass::{Permanent, Transient};
    for (status, when_repeatable, otherwise) in [
        (400, Permanent, Permanent),
        (404, Permanent, Permanent),
        (304, Permanent, Permanent),
        (408, Transient, Transient),
        (429, Transient, Transient),
        (503, Transient, Transient),
        (500, Transient, Permanent),
        (502, Transient, Permanent),
    ] {
        for (method, expected) in [("GET", when_repeatable), ("POST", otherwise)] {
            let http = json!({"method": method, "url": format!("{}/{status}", server.uri())});
            let failure = call(&tool(http).await, json!({})).await.unwrap_err();
            assert_eq!(failure.class, expected, "{method} {status}: {failure}");
            assert_eq!(failure.retry_after, Some(Duration::from_secs(7)), "{method} {status}");
            let message = failure.message;
            assert!(message.contains("weather") && message.contains(&status.to_string()), "{message}");
            assert!(message.contains("after: 7") && message.len() < 800, "{message}");
        }
    }
}

#[tokio::test]
async fn an_answer_has_a_limit() {
    let server = MockServer::start().await;
    let body = |bytes| ResponseTemplate::new(200).set_body_string("x".repeat(bytes));
    Mock::given(path("/most")).respond_with(body(1_000)).mount(&server).await;
    Mock::given(path("/more")).respond_with(body(1_001)).mount(&server).await;
    let binary = ResponseTemplate::new(200).set_body_raw(vec![0xff, 0xfe], "image/png");
    Mock::given(path("/binary")).respond_with(binary).mount(&server).await;
    let at = |place: &str| json!({"url": format!("{}/{place}", server.uri()), "maxResponseBytes": 1_000});
    assert!(call(&tool(at("most")).await, json!({})).await.is_ok());
    let failure = call(&tool(at("more")).await, json!({})).await.unwrap_err();
    assert!(failure.message.contains("more than 1000 bytes"), "{failure}");
    let failure = call(&tool(at("binary")).await, json!({})).await.unwrap_err();
    assert!(failure.message.contains("image/png"), "{failure}");
}

/// Answers each connection with `answer`, and keeps it open.
async fn raw(answer: &'static str) -> std::net::SocketAddr {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut open = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 4_096];
            let read = stream.read(&mut request).await.unwrap();
            assert!(read > 0);
            stream.write_all(answer.as_bytes()).await.unwrap();
            if !answer.is_empty() {
                open.push(stream);
            }
        }
    });
    address
}

#[tokio::test]
async fn an_answer_without_end_is_cut_off() {
    // It announces nothing and never stops.
    let flood = "HTTP/1.1 200 OK\r\n\r\nxxxxxxxxxxxxxxxxxxxx";
    let http = json!({"url": format!("http://{}/", raw(flood).await), "maxResponseBytes": 10});
    let failure = call(&tool(http).await, json!({})).await.unwrap_err();
    assert!(failure.message.contains("more than 10 bytes"), "{failure}");
}

#[tokio::test]
async fn time_and_lost_connections_leave_a_doubt() {
    let hangs = raw("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhi").await;
    let closes = raw("").await;
    // Nobody listens there, and nobody else is given the port.
    let held = tokio::net::TcpSocket::new_v4().unwrap();
    held.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let unused = held.local_addr().unwrap();
    use FailureClass::{Permanent, Timeout, Transient};
    for (address, time, when_repeatable, otherwise) in [
        (hangs, "300ms", Timeout, Permanent),
        (closes, "2m", Transient, Permanent),
        (unused, "2m", Transient, Transient),
    ] {
        for (idempotent, expected) in [(true, when_repeatable), (false, otherwise)] {
            let http = json!({
                "method": "POST", "url": format!("http://{address}/"), "idempotent": idempotent,
                "allowPrivateAddresses": true,
            });
            let mut spec = spec(http);
            spec.timeout = Some(time.parse().unwrap());
            let clients = Clients::new(Arc::new(SystemLookup));
            let tool = HttpTool::load(&spec, spec.http.as_ref().unwrap(), &clients, &|_| None).unwrap();
            let failure = call(&(Arc::new(tool) as Arc<dyn Tool>), json!({})).await.unwrap_err();
            assert_eq!(failure.class, expected, "{address} {idempotent}: {failure}");
            let in_doubt = failure.message.contains("may have taken effect");
            assert_eq!(in_doubt, expected == Permanent, "{failure}");
        }
    }
}

#[tokio::test]
async fn redirects_have_an_end() {
    let server = MockServer::start().await;
    let to = |to: &str| ResponseTemplate::new(302).insert_header("location", to);
    Mock::given(path("/loop")).respond_with(to("/loop")).mount(&server).await;
    Mock::given(path("/file")).respond_with(to("file:///etc/passwd")).mount(&server).await;
    let at = |place: &str| json!({"url": format!("{}/{place}", server.uri())});
    let failure = call(&tool(at("loop")).await, json!({})).await.unwrap_err();
    assert!(failure.message.contains("more than 5 redirects"), "{failure}");
    assert_eq!(server.received_requests().await.unwrap().len(), 6);
    let failure = call(&tool(at("file")).await, json!({})).await.unwrap_err();
    assert!(failure.message.contains("scheme file"), "{failure}");
}

fn fake(answers: &[&[&str]]) -> Arc<dyn Lookup> {
    let addresses = |list: &&[&str]| list.iter().map(|address| address.parse().unwrap()).collect();
    Arc::new(Fake(Mutex::new(answers.iter().map(addresses).collect())))
}

#[tokio::test]
async fn private_addresses_are_not_reached() {
    let server = MockServer::start().await;
    Mock::given(path("/"))
        .respond_with(ResponseTemplate::new(200).set_body_string("inside"))
        .mount(&server)
        .await;
    let port = server.address().port();
    let inside = |host: &str| json!({"url": format!("http://{host}:{port}/")});
    for (host, answers) in [
        ("127.0.0.1", &[&["1.1.1.1"][..]][..]),
        ("[::ffff:127.0.0.1]", &[&["1.1.1.1"]]),
        ("0x7f000001", &[&["1.1.1.1"]]),
        ("localhost", &[&["127.0.0.1"]]),
        ("innocent.example", &[&["127.0.0.1", "10.0.0.1", "::1"]]),
        ("metadata.example", &[&["169.254.169.254"]]),
    ] {
        let tool = load(inside(host), fake(answers)).await.unwrap();
        let failure = call(&tool, json!({})).await.unwrap_err();
        assert_eq!(failure.class, FailureClass::Permanent, "{host}: {failure}");
        assert!(failure.message.contains("may not reach"), "{host}: {failure}");
    }
    assert_eq!(server.received_requests().await.unwrap().len(), 0);
    // With leave they are, by name and by address.
    let mut http = inside("innocent.example");
    http["allowPrivateAddresses"] = json!(true);
    let tool = load(http, fake(&[&["127.0.0.1"]])).await.unwrap();
    assert_eq!(call(&tool, json!({})).await.unwrap(), json!({"text": "inside"}));
}

#[tokio::test]
async fn a_name_that_stands_for_something_else_a_moment_later_is_not_followed() {
    let server = MockServer::start().await;
    Mock::given(path("/")).respond_with(ResponseTemplate::new(200)).mount(&server).await;
    let http = json!({"url": format!("http://rebinding.example:{}/", server.address().port())});
    // Whoever looks it up twice, once to check and once to connect, sees a public address first.
    let lookup = fake(&[&["192.0.0.1"], &["127.0.0.1"]]);
    let tool = load(http, lookup).await.unwrap();
    for _ in 0..2 {
        let failure = call(&tool, json!({})).await.unwrap_err();
        assert!(failure.message.contains("may not reach"), "{failure}");
    }
    assert_eq!(server.received_requests().await.unwrap().len(), 0);
}

#[tokio::test]
async fn a_redirect_leads_to_no_private_address() {
    let inside = MockServer::start().await;
    let port = inside.address().port();
    let spec = spec(json!({"url": "https://outside.example/"}));
    let clients = Clients::new(fake(&[&["127.0.0.1"]]));
    let tool = HttpTool::load(&spec, spec.http.as_ref().unwrap(), &clients, &|_| None).unwrap();
    // No server of a test is outside: the answer that leads inside is made by hand.
    let url = "http://outside.example/".parse().unwrap();
    let first = Hop { method: Method::GET, url, with_body: false, with_secret: true };
    for to in [format!("http://127.0.0.1:{port}/"), format!("http://inside.example:{port}/")] {
        let next = first.next(reqwest::StatusCode::FOUND, Some(&to)).unwrap().unwrap();
        let failure = tool.request.send(&next, None, "key").await.unwrap_err();
        assert!(failure.message.contains("may not reach"), "{failure}");
    }
    assert_eq!(inside.received_requests().await.unwrap().len(), 0);
}

#[tokio::test]
async fn mistakes_are_found_before_a_run() {
    let credential = |name: &str| json!({"name": name, "key": "key"});
    for (http, expected) in [
        (json!({"url": "https://a.b/{city}"}), "http.url"),
        (
            json!({"url": "https://a.b/{c}", "parameters": {"type": "object", "properties": {"c": {}}}}),
            "parameters.required",
        ),
        (json!({"url": "https://a.b/", "parameters": {"type": "objet"}}), "http.parameters"),
        (json!({"url": "https://a.b/", "parameters": {"type": "string"}}), "type: object"),
        (json!({"url": "https://a.b/", "headers": {"Authorization": "Bearer x"}}), "use auth"),
        (json!({"url": "https://a.b/", "headers": {"Host": "x"}}), "Host"),
        (json!({"url": "https://a.b/", "headers": {"a b": "x"}}), "a b"),
        (json!({"url": "https://a.b/", "headers": {"a": "x\ny"}}), "\"a\""),
        (json!({"url": "https://a.b/", "auth": {}}), "exactly one"),
        (json!({"url": "https://a.b/", "auth": {"bearer": credential("nobody")}}), "NOBODY_KEY"),
        (
            json!({"url": "https://a.b/", "auth": {"header": {"name": "Host", "credentialRef": credential("api")}}}),
            "Host",
        ),
    ] {
        let error = load(http.clone(), Arc::new(SystemLookup)).await.err().unwrap().to_string();
        assert!(error.contains(expected) && error.contains("weather"), "{http}: {error}");
    }
}

#[test]
fn nothing_prints_a_secret() {
    let clients = Clients::new(Arc::new(SystemLookup));
    let spec = spec(json!({"url": "https://a.b/", "auth": {"bearer": {"name": "api", "key": "key"}}}));
    let tool = HttpTool::load(&spec, spec.http.as_ref().unwrap(), &clients, &|_| Some(SECRET.to_owned()));
    assert!(!format!("{:?}", tool.unwrap()).contains(SECRET));
    for bad in ["", " ", "a\nb", "é\u{1}"] {
        let error = HttpTool::load(&spec, spec.http.as_ref().unwrap(), &clients, &|_| Some(bad.to_owned()));
        assert!(matches!(error, Err(LoadError::BadSecret { .. })), "{bad:?}");
    }
}
