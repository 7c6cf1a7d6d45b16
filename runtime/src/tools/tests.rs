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
    unloaded.insert_not_loaded(&serde_json::from_value(spec).unwrap());
    let names: Vec<&str> = unloaded.find(&"docs".into()).unwrap().iter().map(CheckedTool::name).collect();
    assert_eq!(names, ["search", "read"]);
}
