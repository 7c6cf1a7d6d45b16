//! A provider that says what a test tells it to, and the model that asks it.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use superstep_engine::Failure;
use superstep_providers::Providers;
use superstep_runtime::{
    ChatMessage, Model, ModelAnswer, ModelRequest, OnText, Role, ToolCall, ToolSignature,
};
use wiremock::matchers::method;
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

pub(crate) const SECRET: &str = "sk-very-secret-1234";

pub(crate) struct Fake {
    server: MockServer,
}

impl Fake {
    /// A provider that answers all requests alike.
    pub(crate) async fn new(answer: ResponseTemplate) -> Self {
        Self::with(move |_| answer.clone()).await
    }

    /// A provider that answers each request by itself.
    pub(crate) async fn with(answer: impl Fn(&Request) -> ResponseTemplate + Send + Sync + 'static) -> Self {
        let server = MockServer::start().await;
        Mock::given(method("POST")).respond_with(answer).mount(&server).await;
        Self { server }
    }

    pub(crate) fn uri(&self) -> String {
        self.server.uri()
    }

    /// The model of `provider`, with `more` fields.
    pub(crate) fn model(&self, provider: &str, more: Value) -> Arc<dyn Model> {
        model(&mut Providers::new().unwrap(), provider, &self.uri(), more)
    }

    pub(crate) async fn requests(&self) -> Vec<Request> {
        self.server.received_requests().await.unwrap()
    }

    /// The body of the last request.
    pub(crate) async fn asked(&self) -> Value {
        self.requests().await.last().unwrap().body_json().unwrap()
    }
}

/// The model of `provider` at an address, with `more` fields.
pub(crate) fn model(providers: &mut Providers, provider: &str, uri: &str, more: Value) -> Arc<dyn Model> {
    let mut spec = json!({"provider": provider, "model": "some-model", "baseUrl": uri,
        "credentialRef": {"name": "fake", "key": "apiKey"}});
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let spec = serde_json::from_value(spec).unwrap();
    let variable = |name: &str| (name == "FAKE_API_KEY").then(|| SECRET.to_owned());
    providers.model(&"cloud".into(), &spec, &variable).unwrap()
}

/// Server-sent events with this data.
pub(crate) fn events(data: &[Value]) -> ResponseTemplate {
    let body: String = data.iter().map(|event| format!("data: {event}\n\n")).collect();
    ResponseTemplate::new(200).set_body_raw(body, "text/event-stream")
}

pub(crate) fn ok(body: Value) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(body)
}

/// A conversation of a system and a user message.
pub(crate) fn request() -> ModelRequest {
    ModelRequest {
        vertex: "ask".into(),
        messages: vec![
            ChatMessage::new(Role::System, "You are a helpful assistant."),
            ChatMessage::new(Role::User, "Hello!"),
        ]
        .into(),
        tools: Arc::default(),
        sampling: serde_json::from_value(
            json!({"temperature": 0.5, "topP": 0.9, "stop": ["END"], "maxTokens": 64}),
        )
        .unwrap(),
        seed: 0xffff_ffff_ffff,
        schema: None,
        idempotency_key: "run-7".to_owned(),
    }
}

/// The same, with the tool of the published examples.
pub(crate) fn with_tools() -> ModelRequest {
    let parameters =
        json!({"type": "object", "properties": {"location": {"type": "string"}}, "required": ["location"]});
    let tool = ToolSignature {
        name: "get_weather".to_owned(),
        description: "The weather at a place".to_owned(),
        parameters: Arc::new(parameters),
    };
    ModelRequest { tools: Arc::from([tool]), ..request() }
}

/// The same, after the model called the tool twice at once and got both results. The second id is one
/// that was made up.
pub(crate) fn after_calls(keepsake: Option<Value>) -> ModelRequest {
    let call = |id: &str, place: &str| ToolCall {
        id: id.to_owned(),
        name: "get_weather".to_owned(),
        arguments: json!({"location": place}),
    };
    let result = |id: &str, text: &str| ChatMessage {
        answers: Some(id.to_owned()),
        ..ChatMessage::new(Role::Tool, text)
    };
    let mut request = with_tools();
    Arc::make_mut(&mut request.messages).extend([
        ChatMessage {
            tool_calls: vec![call("call_abc", "Paris"), call("call-1", "Rome")],
            keepsake,
            ..ChatMessage::new(Role::Assistant, "")
        },
        result("call_abc", "{\"degrees\": 15}"),
        result("call-1", "sunny"),
    ]);
    request
}

pub(crate) fn with_schema(schema: Value) -> ModelRequest {
    ModelRequest { schema: Some(Arc::new(schema)), ..request() }
}

pub(crate) fn grade() -> Value {
    json!({"type": "object", "properties": {"grade": {"type": "integer"}}, "required": ["grade"],
        "additionalProperties": false})
}

/// The answer to a request that nobody listens to.
pub(crate) async fn ask(model: &Arc<dyn Model>, request: ModelRequest) -> Result<ModelAnswer, Failure> {
    model.generate(request, None).await
}

/// The answer to a request that is listened to, and what was heard.
pub(crate) async fn listen(
    model: &Arc<dyn Model>,
    request: ModelRequest,
) -> (Result<ModelAnswer, Failure>, Vec<String>) {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let hearing = Arc::clone(&heard);
    let on_text: OnText = Arc::new(move |text| hearing.lock().unwrap().push(text.to_owned()));
    let answer = model.generate(request, Some(on_text)).await;
    let heard = heard.lock().unwrap().clone();
    (answer, heard)
}

/// The calls of an answer as `id name arguments`.
pub(crate) fn calls(answer: &ModelAnswer) -> Vec<String> {
    let calls = answer.tool_calls.iter();
    calls.map(|call| format!("{} {} {}", call.id, call.name, call.arguments)).collect()
}

/// Tokens read, of these from a cache, tokens written, of these of reasoning.
pub(crate) fn tokens(answer: &ModelAnswer) -> [u64; 4] {
    [answer.usage.prompt_tokens, answer.parts.cached, answer.usage.completion_tokens, answer.parts.reasoning]
}
