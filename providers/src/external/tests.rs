use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;
use superstep_engine::FailureClass;
use superstep_runtime::{ChatMessage, Role};
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use super::*;

fn request() -> ModelRequest {
    ModelRequest {
        vertex: "ask".into(),
        messages: vec![ChatMessage::new(Role::User, "Hello!")].into(),
        tools: Arc::default(),
        sampling: serde_json::from_value(json!({})).unwrap(),
        seed: 1,
        schema: None,
        idempotency_key: "run-7".to_owned(),
    }
}

/// All at once, as the vertices of a superstep: the others wait for what the first one is told, as long as that takes.
#[tokio::test]
async fn an_exhausted_quota_is_found_out_by_the_first_of_many() {
    let requests = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&requests);
    let server = MockServer::start().await;
    let error =
        json!({"error": {"message": "No quota", "type": "insufficient_quota", "code": "insufficient_quota"}});
    let answer = move |_: &Request| {
        seen.fetch_add(1, Ordering::SeqCst);
        ResponseTemplate::new(429).set_body_json(error.clone())
    };
    Mock::given(any()).respond_with(answer).mount(&server).await;
    let spec = json!({"provider": "OpenAI", "model": "large", "baseUrl": server.uri()});
    let spec = serde_json::from_value(spec).unwrap();
    let mut model = Providers::new().unwrap().external(&"cloud".into(), &spec, &|_| None).unwrap();
    model.breakers.model = Arc::new(Breaker::with_patience(Duration::from_secs(600)));
    let request = request();
    let all = futures::future::join_all((0..133).map(|_| model.generate(&request, None))).await;
    assert_eq!(requests.load(Ordering::SeqCst), 1);
    for failure in all.into_iter().map(Result::unwrap_err) {
        assert_eq!(failure.class, FailureClass::Permanent);
        assert!(failure.message.contains("quota of the account"), "{failure}");
    }
}
