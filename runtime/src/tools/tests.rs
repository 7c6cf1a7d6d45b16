use super::*;
use crate::programs::tests::given::ClosureTool;

fn tool(name: &str, parameters: Value) -> Arc<dyn Tool> {
    Arc::new(ClosureTool::new(name, parameters, |_| Ok(Value::Null)))
}

#[test]
fn what_is_no_schema_and_equal_names_are_refused() {
    let mut tools = Tools::default();
    let error = tools.insert("a", [tool("x", json!({"type": "objet"}))]).unwrap_err();
    assert!(error.to_string().contains("\"x\"") && matches!(error, ToolError::Schema { .. }), "{error}");
    let error = tools.insert("a", [tool("x", json!({})), tool("x", json!({}))]).unwrap_err();
    assert!(matches!(error, ToolError::Twice { .. }));
    assert_eq!(tools.names().count(), 0);
}

#[test]
fn a_server_offers_its_tools_under_one_name() {
    let mut tools = Tools::default();
    tools.insert("docs", [tool("search", json!({})), tool("read", json!({}))]).unwrap();
    let offered = tools.find(&"docs".into()).unwrap();
    let targets: Vec<&str> = offered.iter().map(|tool| tool.target.as_str()).collect();
    assert_eq!(targets, ["tool docs/search", "tool docs/read"]);
    let spec = json!({"name": "docs", "mcp": {"url": "http://localhost", "allow": ["search", "read"]}});
    let mut unloaded = Tools::default();
    let spec = serde_json::from_value(spec).unwrap();
    unloaded.insert_not_loaded(&spec, None);
    let names: Vec<&str> = unloaded.find(&"docs".into()).unwrap().iter().map(CheckedTool::name).collect();
    assert_eq!(names, ["search", "read"]);
    // As it was seen, it is the same for whoever asks a model to call it.
    let seen = tools.signatures(&"docs".into());
    unloaded.insert_not_loaded(&spec, Some(&seen));
    assert_eq!(unloaded.signatures(&"docs".into()), seen);
}

#[test]
fn a_tool_that_is_not_loaded_has_the_signature_that_its_document_tells() {
    let parameters =
        json!({"type": "object", "required": ["city"], "properties": {"city": {"type": "string"}}});
    let http = json!({"name": "weather", "description": "Tells it.", "http": {"url": "http://localhost/{city}", "parameters": parameters}});
    let command = json!({"name": "now", "command": {"argv": ["date"]}});
    let mut tools = Tools::default();
    for spec in [http, command] {
        tools.insert_not_loaded(&serde_json::from_value(spec).unwrap(), None);
    }
    let weather = &tools.signatures(&"weather".into())[0];
    assert_eq!((weather.description.as_str(), &*weather.parameters), ("Tells it.", &parameters));
    let nothing = json!({"type": "object", "properties": {}, "additionalProperties": false});
    assert_eq!(*tools.signatures(&"now".into())[0].parameters, nothing);
}
