//! What may pass and what would fail again, and how often a provider is asked.

use std::time::Duration;

use serde_json::{Value, json};
use superstep_engine::{Failure, FailureClass};
use superstep_providers::{ProviderError, Providers};
use tokio::net::TcpSocket;
use wiremock::ResponseTemplate;

use crate::fake::{Fake, SECRET, ask, listen, model, ok, request};

fn open_ai(message: &str, code: &str) -> Value {
    json!({"error": {"message": message, "type": code, "param": null, "code": code}})
}

fn anthropic(kind: &str, message: &str) -> Value {
    json!({"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_011CSHoEeqs5C35K2UUqR7Fy"})
}

fn gemini(code: u16, status: &str, details: Value) -> Value {
    json!({"error": {"code": code, "message": "See https://ai.google.dev", "status": status, "details": details}})
}

async fn failure(provider: &str, answer: ResponseTemplate) -> Failure {
    let fake = Fake::new(answer).await;
    ask(&fake.model(provider, json!({})), request()).await.unwrap_err()
}

const PASSES: FailureClass = FailureClass::Transient;
const STAYS: FailureClass = FailureClass::Permanent;

/// Checks the class of each error and what is said of it.
async fn check(provider: &str, cases: Vec<(u16, Value, FailureClass, &str)>) {
    for (status, body, class, says) in cases {
        let failure = failure(provider, ResponseTemplate::new(status).set_body_json(&body)).await;
        assert_eq!(failure.class, class, "{provider} {status} {body}: {failure}");
        assert!(failure.message.contains(says), "{says}: {failure}");
        assert!(
            failure.message.starts_with(&format!("model \"cloud\" ({provider} some-model): ")),
            "{failure}"
        );
    }
}

#[tokio::test]
async fn errors_of_open_ai() {
    check(
        "OpenAI",
        vec![
            (401, open_ai("Incorrect API key provided", "invalid_api_key"), STAYS, "credential is refused"),
            (403, open_ai("Country not supported", "unsupported_country"), STAYS, "does not allow it"),
            (404, open_ai("The model does not exist", "model_not_found"), STAYS, "no such model"),
            (400, open_ai("max_tokens is too large", "invalid_request_error"), STAYS, "request is refused"),
            (400, open_ai("flagged", "content_policy_violation"), STAYS, "withheld"),
            (
                429,
                open_ai("Exceeded your current quota", "insufficient_quota"),
                STAYS,
                "quota of the account",
            ),
            (429, open_ai("Rate limit reached", "rate_limit_exceeded"), PASSES, "too many requests"),
            (500, open_ai("The server had an error", "server_error"), PASSES, "overloaded or fails"),
            (503, open_ai("The engine is overloaded", "overloaded"), PASSES, "overloaded or fails"),
            (408, json!(null), PASSES, "408"),
            (413, json!("too large"), STAYS, "413"),
        ],
    )
    .await;
    let page = ResponseTemplate::new(502).set_body_string("<html><h1>Bad Gateway</h1></html>");
    assert!(failure("OpenAI", page).await.message.contains("(502: a page of HTML)"));
}

#[tokio::test]
async fn errors_of_its_relatives() {
    let invalid =
        json!({"object": "error", "message": "Invalid model: x", "type": "invalid_model", "code": "1500"});
    let extra = json!({"detail": [{"loc": ["body", "x"], "msg": "Extra inputs"}]});
    let credits = json!({"error": {"code": 402, "message": "Insufficient credits"}});
    check(
        "DeepSeek",
        vec![(402, open_ai("Insufficient Balance", "unknown_error"), STAYS, "quota of the account")],
    )
    .await;
    check("Mistral", vec![(400, invalid, STAYS, "no such model"), (422, extra, STAYS, "Extra inputs")]).await;
    check("OpenRouter", vec![(402, credits, STAYS, "quota of the account")]).await;
}

#[tokio::test]
async fn errors_of_anthropic() {
    check(
        "Anthropic",
        vec![
            (401, anthropic("authentication_error", "invalid x-api-key"), STAYS, "credential is refused"),
            (
                400,
                anthropic("invalid_request_error", "Your credit balance is too low to access"),
                STAYS,
                "quota",
            ),
            (404, anthropic("not_found_error", "model: claude-9"), STAYS, "no such model"),
            (429, anthropic("rate_limit_error", "exceed your rate limit"), PASSES, "too many requests"),
            (529, anthropic("overloaded_error", "Overloaded"), PASSES, "overloaded or fails"),
        ],
    )
    .await;
}

#[tokio::test]
async fn errors_of_gemini_and_ollama() {
    let quota = |id: &str| json!([{"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{"quotaId": id}]}]);
    let key = json!([{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}]);
    let minute = quota("GenerateRequestsPerMinutePerProject");
    let day = quota("GenerateRequestsPerDayPerProject");
    check(
        "Gemini",
        vec![
            (400, gemini(400, "INVALID_ARGUMENT", key), STAYS, "credential is refused"),
            (429, gemini(429, "RESOURCE_EXHAUSTED", minute), PASSES, "too many"),
            (429, gemini(429, "RESOURCE_EXHAUSTED", day), STAYS, "for long"),
            (404, json!([gemini(404, "NOT_FOUND", json!([]))]), STAYS, "no such model"),
        ],
    )
    .await;
    check(
        "Ollama",
        vec![
            (404, json!({"error": "model 'x' not found"}), STAYS, "no such model"),
            (500, json!({"error": "llama runner process has terminated"}), PASSES, "runner process"),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_provider_says_how_long_it_wants_to_be_left_alone() {
    let limited =
        |message: &str| ResponseTemplate::new(429).set_body_json(open_ai(message, "rate_limit_exceeded"));
    let delay = json!([{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "21s"}]);
    for (provider, answer, seconds) in [
        ("OpenAI", limited("slow down").insert_header("retry-after", "7"), Some(7)),
        ("OpenAI", limited("slow down").insert_header("retry-after-ms", "3000"), Some(3)),
        ("OpenAI", limited("Please try again in 20s."), Some(20)),
        ("OpenAI", limited("slow down"), None),
        ("Anthropic", ResponseTemplate::new(529).insert_header("retry-after", "9"), Some(9)),
        (
            "Gemini",
            ResponseTemplate::new(429).set_body_json(gemini(429, "RESOURCE_EXHAUSTED", delay)),
            Some(21),
        ),
    ] {
        let failure = failure(provider, answer).await;
        assert_eq!(failure.class, FailureClass::Transient);
        assert_eq!(failure.retry_after, seconds.map(Duration::from_secs), "{failure}");
    }
    // A pause of hours is no matter of retries.
    let failure = failure("Groq", limited("slow down").insert_header("retry-after", "7200")).await;
    assert_eq!((failure.class, failure.retry_after), (FailureClass::Permanent, None));
}

#[tokio::test]
async fn requests_wait_while_a_provider_wants_to_be_left_alone() {
    let first = std::sync::OnceLock::new();
    let pause = Duration::from_millis(200);
    let fake = Fake::with(move |_| {
        let now = std::time::Instant::now();
        if first.set(now).is_ok() || now - *first.get().unwrap() < pause {
            return ResponseTemplate::new(429).insert_header("retry-after-ms", "200");
        }
        ok(json!({"choices": [{"message": {"content": "Hi"}, "finish_reason": "stop"}]}))
    })
    .await;
    let model = fake.model("OpenAI", json!({}));
    ask(&model, request()).await.unwrap_err();
    ask(&model, request()).await.unwrap();
    assert_eq!(fake.requests().await.len(), 2);
}

#[tokio::test]
async fn an_exhausted_quota_is_called_once_for_all_models_of_the_account() {
    let answer = ResponseTemplate::new(429).set_body_json(open_ai("No quota", "insufficient_quota"));
    let fake = Fake::new(answer).await;
    let mut providers = Providers::new().unwrap();
    let large = model(&mut providers, "OpenAI", &fake.uri(), json!({"model": "large"}));
    let small = model(&mut providers, "OpenAI", &fake.uri(), json!({"model": "small"}));
    let failure = ask(&large, request()).await.unwrap_err();
    assert_eq!(failure.class, FailureClass::Permanent);
    assert!(failure.message.contains("quota of the account"), "{failure}");
    // One after the other, and another model of the account.
    for model in [&large, &small] {
        let failure = ask(model, request()).await.unwrap_err();
        assert!(failure.message.contains("it is not asked for another "), "{failure}");
    }
    assert_eq!(fake.requests().await.len(), 1);
}

#[tokio::test]
async fn what_concerns_one_model_or_one_request_keeps_no_others_back() {
    let answer = |request: &wiremock::Request| {
        let body: Value = request.body_json().unwrap();
        match body["model"].as_str().unwrap() {
            "unknown" => {
                ResponseTemplate::new(404).set_body_json(open_ai("no such model", "model_not_found"))
            }
            "picky" => ResponseTemplate::new(400).set_body_json(open_ai("too long", "invalid_request_error")),
            _ => ok(json!({"choices": [{"message": {"content": "Hi"}, "finish_reason": "stop"}]})),
        }
    };
    let fake = Fake::with(answer).await;
    let mut providers = Providers::new().unwrap();
    let mut of = |name: &str| model(&mut providers, "OpenAI", &fake.uri(), json!({ "model": name }));
    let (unknown, again, picky, good) = (of("unknown"), of("unknown"), of("picky"), of("good"));
    for model in [&unknown, &again, &unknown] {
        ask(model, request()).await.unwrap_err();
    }
    assert_eq!(fake.requests().await.len(), 1);
    for _ in 0..2 {
        ask(&picky, request()).await.unwrap_err();
    }
    assert_eq!(fake.requests().await.len(), 3);
    ask(&good, request()).await.unwrap();
}

#[tokio::test]
async fn no_error_shows_the_credential() {
    let echo = format!("Incorrect API key provided: {SECRET}");
    for (status, code) in [(401, "invalid_api_key"), (400, "invalid_request_error"), (500, "server_error")] {
        let fake = Fake::new(ResponseTemplate::new(status).set_body_json(open_ai(&echo, code))).await;
        let model = fake.model("OpenAI", json!({}));
        for _ in 0..2 {
            let failure = ask(&model, request()).await.unwrap_err();
            assert!(!format!("{failure:?}").contains(SECRET), "{failure}");
            assert!(failure.message.contains("(credential)"), "{failure}");
        }
    }
    assert!(!format!("{:?}", Providers::new().unwrap()).contains(SECRET));
}

#[tokio::test]
async fn credentials_are_there_before_anything_is_asked() {
    let spec =
        json!({"provider": "OpenAI", "model": "m", "credentialRef": {"name": "openai", "key": "apiKey"}});
    let spec = serde_json::from_value(spec).unwrap();
    let find = |value: Option<&'static str>| {
        let mut providers = Providers::new().unwrap();
        providers.model(&"cloud".into(), &spec, &move |_| value.map(str::to_owned)).map(|_| ())
    };
    let error = find(None).unwrap_err();
    assert_eq!(
        error.to_string(),
        "model \"cloud\" needs the environment variable OPENAI_API_KEY, which is not set: its credentialRef is \
         {name: openai, key: apiKey}"
    );
    let error = find(Some("a\nb")).unwrap_err();
    assert!(matches!(error, ProviderError::BadCredential { .. }) && !error.to_string().contains("a\nb"));
    find(Some(" sk-1\n")).unwrap();
}

#[tokio::test]
async fn prompts_follow_no_redirect() {
    let target = Fake::new(ok(json!({}))).await;
    let moved = ResponseTemplate::new(307).insert_header("location", target.uri().as_str());
    let failure = failure("Anthropic", moved).await;
    assert_eq!(failure.class, FailureClass::Permanent);
    assert!(failure.message.contains("follow no redirect"), "{failure}");
    assert_eq!(target.requests().await.len(), 0);
}

/// A port at which nobody listens, and that nobody else is given.
fn held() -> TcpSocket {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseport(true).unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    socket
}

#[tokio::test]
async fn a_provider_that_is_away_may_come_back() {
    let mut providers = Providers::new().unwrap();
    let nobody = held();
    let free = nobody.local_addr().unwrap();
    let model = model(&mut providers, "Ollama", &format!("http://{free}"), json!({}));
    let failure = listen(&model, request()).await.0.unwrap_err();
    assert_eq!(failure.class, FailureClass::Transient);
    assert!(
        failure.message.contains("the connection failed (") && failure.message.contains("refused"),
        "{failure}"
    );
}

#[tokio::test]
async fn a_server_that_starts_is_waited_for() {
    let nobody = held();
    let address = nobody.local_addr().unwrap();
    let uri = format!("http://{address}");
    let mut providers = Providers::new().unwrap();
    let hasty = model(&mut providers, "OpenAI", &uri, json!({}));
    ask(&hasty, request()).await.unwrap_err();
    let patient = model(&mut providers, "OpenAI", &uri, json!({"startsWithin": "5m"}));
    let asked = tokio::spawn(async move { ask(&patient, request()).await });
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert!(!asked.is_finished());
    let place = TcpSocket::new_v4().unwrap();
    place.set_reuseport(true).unwrap();
    place.bind(address).unwrap();
    let place = place.listen(64).unwrap().into_std().unwrap();
    let server = wiremock::MockServer::builder().listener(place).start().await;
    let answer = ok(json!({"choices": [{"message": {"content": "Hi"}, "finish_reason": "stop"}]}));
    wiremock::Mock::given(wiremock::matchers::any()).respond_with(answer).mount(&server).await;
    asked.await.unwrap().unwrap();
    assert_eq!(server.received_requests().await.unwrap().len(), 1);
}
