use futures::FutureExt as _;
use serde_json::{Value, json};
use superstep_engine::FailureClass;

use super::*;

/// A registered function that gives its arguments back.
struct Echo(ToolSignature);

impl Tool for Echo {
    fn signature(&self) -> &ToolSignature {
        &self.0
    }

    fn is_idempotent(&self) -> bool {
        false
    }

    fn call(&self, request: ToolRequest) -> BoxFuture<'static, Result<Payload, Failure>> {
        futures::future::ready(Ok(request.arguments.into())).boxed()
    }
}

async fn loaded(specs: Value) -> Result<LoadedTools, LoadError> {
    let signature = ToolSignature {
        name: "echo".to_owned(),
        description: "Echoes.".to_owned(),
        parameters: Arc::default(),
    };
    let custom: BTreeMap<String, Arc<dyn Tool>> =
        BTreeMap::from([("echo".to_owned(), Arc::new(Echo(signature)) as Arc<dyn Tool>)]);
    let specs: Vec<ToolSpec> = serde_json::from_value(specs).unwrap();
    load(&specs, &Surroundings { secret: &|_| None, custom: &custom }).await
}

async fn call(tools: &LoadedTools, name: &str) -> Result<Value, Failure> {
    let request = ToolRequest { arguments: json!({"a": 1}), idempotency_key: "key-1".to_owned() };
    tools.find(&name.into())[0].call(request).await.map(|payload| payload.value().clone())
}

#[tokio::test]
async fn each_kind_is_loaded() {
    let anything = json!({"type": "object"});
    let tools = loaded(json!([
        {"name": "mirror", "command": {"argv": ["cat"], "parameters": anything}},
        {"name": "key", "command": {"argv": ["sh", "-c", "echo $SUPERSTEP_IDEMPOTENCY_KEY"]}, "description": "d"},
        {"name": "renamed", "custom": {"name": "echo", "idempotent": true}},
        {"name": "site", "http": {"url": "https://example.com/"}},
    ]))
    .await
    .unwrap();
    assert_eq!(call(&tools, "mirror").await.unwrap(), json!({"a": 1}));
    assert_eq!(call(&tools, "key").await.unwrap(), json!({"text": "key-1"}));
    assert_eq!(call(&tools, "renamed").await.unwrap(), json!({"a": 1}));
    let renamed = &tools.find(&"renamed".into())[0];
    assert_eq!((renamed.signature().name.as_str(), renamed.is_idempotent()), ("renamed", true));
    assert_eq!(renamed.signature().description, "Echoes.");
    let key = tools.find(&"key".into())[0].signature();
    assert_eq!(key.description, "d");
    assert_eq!(*key.parameters, json!({"type": "object", "properties": {}, "additionalProperties": false}));
    assert!(tools.find(&"nobody".into()).is_empty());
}

#[tokio::test]
async fn a_command_fails_as_its_document_says() {
    let slow = |idempotent: bool| {
        json!([{
            "name": "slow", "timeout": "200ms",
            "command": {"argv": ["sleep", "60"], "idempotent": idempotent},
        }])
    };
    for (idempotent, class) in [(true, FailureClass::Timeout), (false, FailureClass::Permanent)] {
        let failure = call(&loaded(slow(idempotent)).await.unwrap(), "slow").await.unwrap_err();
        assert_eq!(failure.class, class);
        assert!(failure.message.contains("tool \"slow\""), "{failure}");
    }
    let tools = loaded(json!([{"name": "loud", "command": {"argv": ["yes"], "maxOutputBytes": 10}}])).await;
    let failure = call(&tools.unwrap(), "loud").await.unwrap_err();
    assert!(failure.message.contains("more than 10 bytes"), "{failure}");
}

#[tokio::test]
async fn mistakes_are_named() {
    for (spec, expected) in [
        (json!({"name": "x"}), "exactly one of"),
        (json!({"name": "x", "custom": {"name": "ecko"}}), "\"echo\""),
        (json!({"name": "x", "command": {"argv": []}}), "empty"),
        (json!({"name": "x", "command": {"argv": ["no-such-program"]}}), "no-such-program"),
        (json!({"name": "x", "command": {"argv": ["cat"], "parameters": 3}}), "command.parameters"),
    ] {
        let error = loaded(json!([spec])).await.unwrap_err().to_string();
        assert!(error.contains(expected) && error.contains("\"x\""), "{spec}: {error}");
    }
}
