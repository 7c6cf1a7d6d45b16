//! What Argo CD is told of the health of our kinds, played with the Lua that it has itself.

use super::{read, yaml};
use crate::go_tool::GoTool;
use crate::process::capture;
use crate::workspace::Workspace;
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::fs;
use std::process::Command;

/// The interpreter that Argo CD links.
const LUA: GoTool = GoTool { module: "github.com/yuin/gopher-lua", package: "cmd/glua", version: "v1.1.1" };
const SETTINGS: &str = "manifests/gitops/argocd/argocd-cm.yaml";
const CASES: &str = "manifests/gitops/argocd/health_test.yaml";

/// Plays the cases; false where there is no interpreter, which is said.
pub(super) fn check(workspace: &Workspace) -> Result<bool> {
    let lua = match LUA.obtain(workspace) {
        Ok(lua) => lua,
        Err(error) => {
            println!("the health that Argo CD is told of is not tested: {error:#}");
            return Ok(false);
        }
    };
    let settings = yaml::value(&read(&workspace.root, SETTINGS)?)?;
    let customizations = yaml::value(yaml::text(&settings, "/data/resource.customizations"))?;
    let script = yaml::text(&customizations, "/superstep.dev~1*/health.lua").to_owned();
    let cases = yaml::value(&read(&workspace.root, CASES)?)?;
    let cases = cases.as_array().context("the cases are a list")?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("cases.lua");
    fs::write(&file, program(&script, cases))?;
    let told = capture(Command::new(lua).arg(&file))?;
    let wrong = differences(cases, &told);
    if !wrong.is_empty() {
        bail!("{SETTINGS} is wrong about {}", wrong.join(", "));
    }
    println!("the health of {} objects is told as {CASES} says", cases.len());
    Ok(true)
}

/// The cases whose line is not what they say.
fn differences(cases: &[Value], told: &str) -> Vec<String> {
    let mut lines = told.lines();
    let unlike = cases.iter().filter_map(|case| {
        let wanted =
            format!("{}\t{}", yaml::text(case, "/health/status"), yaml::text(case, "/health/message"));
        let line = lines.next().unwrap_or_default();
        (line != wanted).then(|| format!("{}: {line:?}", yaml::text(case, "/of")))
    });
    unlike.collect()
}

/// A program that prints a line for each object: its health, and the message.
fn program(script: &str, cases: &[Value]) -> String {
    let objects = cases.iter().map(|case| literal(case.get("object").unwrap_or(&Value::Null)));
    let objects = objects.collect::<Vec<_>>().join(",\n");
    format!(
        "local function judge(obj)\n{script}\nend\nfor _, object in ipairs({{\n{objects}\n}}) do\n  \
         local health = judge(object)\n  print(health.status .. \"\\t\" .. health.message)\nend\n"
    )
}

/// A value as Lua writes it.
fn literal(value: &Value) -> String {
    match value {
        Value::Null => "nil".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(value) => value.to_string(),
        Value::String(text) => quoted(text),
        Value::Array(items) => format!("{{{}}}", items.iter().map(literal).collect::<Vec<_>>().join(", ")),
        Value::Object(fields) => {
            let fields =
                fields.iter().map(|(name, value)| format!("[{}] = {}", quoted(name), literal(value)));
            format!("{{{}}}", fields.collect::<Vec<_>>().join(", "))
        }
    }
}

/// Each byte by its number, so that none means anything.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.bytes().map(|byte| format!("\\{byte:03}")).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_are_written_as_lua_reads_them() {
        let value = json!({"a": [1, true, null, "x\""]});
        assert_eq!(literal(&value), r#"{["\097"] = {1, true, nil, "\120\034"}}"#);
    }

    #[test]
    fn a_case_that_is_told_otherwise_is_named() {
        let cases =
            [json!({"of": "one", "health": {"status": "Healthy", "message": "m"}}), json!({"of": "two"})];
        assert_eq!(differences(&cases, "Healthy\tm\n\t\n"), [""; 0]);
        assert_eq!(differences(&cases, "Degraded\tm\n").len(), 2);
    }
}
