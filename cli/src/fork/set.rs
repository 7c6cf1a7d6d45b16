//! Fields that are set on the command line: `vertex.judge.prompt.template=…`.

use std::path::Path;
use std::sync::Arc;

use serde_json::Value;
use superstep_graph::{
    Capabilities, EdgeRef, FieldPath, Mutation, MutationOrder, Port, PriorityClass, Problem, Refusal,
    Request, SetField, ValidatedGraph, Verdict, VertexName, fold,
};
use superstep_runtime::{EdgeExpressions, Programs};

use crate::exit::CommandError;
use crate::input;

/// Why a field cannot be set.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SetError {
    /// It is no path and value.
    #[error("--set {0}: write vertex.NAME.FIELD=VALUE, or edge.FROM.TO.FIELD=VALUE")]
    Form(String),
    /// The graph does not have the vertex or the edge.
    #[error("--set {setting}: {what}{}", hint_text(.hint.as_ref()))]
    Absent {
        /// What was to be set.
        setting: String,
        /// What is not there.
        what: String,
        /// What would be right.
        hint: Option<String>,
    },
    /// The field does not take the value, or is not there.
    #[error("--set {setting}: {refusal}{}", hint_text(.hint.as_ref()))]
    Refused {
        /// What was to be set.
        setting: String,
        /// Why not.
        refusal: Refusal,
        /// What would be right.
        hint: Option<String>,
    },
    /// The file with the value cannot be read.
    #[error("--set {setting}: {source}")]
    File {
        /// What was to be set.
        setting: String,
        /// Why not.
        source: input::InputError,
    },
}

fn hint_text(hint: Option<&String>) -> String {
    hint.map(|hint| format!(" ({hint})")).unwrap_or_default()
}

/// The change that `setting` asks for in `graph`, which takes it if no other change does not hinder that.
///
/// # Errors
/// The graph has no such field, or the field takes no such value.
pub(super) fn mutation(
    setting: &str,
    graph: &ValidatedGraph,
    programs: &Arc<Programs>,
) -> Result<Mutation, CommandError> {
    let form = || SetError::Form(setting.to_owned());
    let (path, value) = setting.split_once('=').ok_or_else(form)?;
    let names: Vec<&str> = path.split('.').collect();
    let target = match names.as_slice() {
        ["vertex", name, field @ ..] if !field.is_empty() => {
            SetField { vertex: Some(vertex(path, name, graph)?), ..unset(field) }
        }
        ["edge", from, to, field @ ..] if !field.is_empty() => {
            SetField { edge: Some(edge(path, from, to, graph)?), ..unset(field) }
        }
        _ => return Err(form().into()),
    };
    let values = values(path, value)?;
    Ok(taken(path, &target, values, graph, programs)?)
}

fn unset(field: &[&str]) -> SetField {
    SetField { vertex: None, edge: None, field: field.join("."), value: Value::Null }
}

fn vertex(setting: &str, name: &str, graph: &ValidatedGraph) -> Result<VertexName, SetError> {
    let known = graph.spec().vertices.iter().map(|vertex| vertex.name.as_str());
    match known.clone().find(|known| *known == name) {
        Some(name) => Ok(name.into()),
        None => Err(absent(setting, format!("the graph has no vertex {name:?}"), name, known)),
    }
}

fn edge(setting: &str, from: &str, to: &str, graph: &ValidatedGraph) -> Result<EdgeRef, SetError> {
    let (from, port) = from.split_once(':').unwrap_or((from, Port::DEFAULT));
    let wanted = EdgeRef { from: from.into(), port: port.into(), to: to.into() };
    let edges = &graph.spec().edges;
    if edges.iter().any(|edge| edge.from == wanted.from && edge.port == wanted.port && edge.to == wanted.to) {
        return Ok(wanted);
    }
    let written = |from: &str, port: &str, to: &str| {
        let port = if port == Port::DEFAULT { String::new() } else { format!(":{port}") };
        format!("{from}{port}.{to}")
    };
    let known: Vec<String> =
        edges.iter().map(|edge| written(edge.from.as_str(), edge.port.as_str(), edge.to.as_str())).collect();
    let unknown = written(from, port, to);
    let what = format!("the graph has no edge {unknown}");
    Err(absent(setting, what, &unknown, known.iter().map(String::as_str)))
}

fn absent<'a>(setting: &str, what: String, name: &str, known: impl IntoIterator<Item = &'a str>) -> SetError {
    let hint = nearest(name, known);
    SetError::Absent { setting: setting.to_owned(), what, hint }
}

fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    Problem::error(FieldPath::default(), "").nearest(name, known).hint
}

/// What a value may stand for, the likeliest first: what it is as YAML, and the text itself.
fn values(setting: &str, value: &str) -> Result<Vec<Value>, SetError> {
    if let Some(file) = value.strip_prefix('@') {
        let structured = matches!(
            Path::new(file).extension().and_then(std::ffi::OsStr::to_str),
            Some("json" | "yaml" | "yml")
        );
        let read = input::read(value, &mut std::io::empty())
            .map_err(|source| SetError::File { setting: setting.to_owned(), source })?;
        let mut read = read.value;
        // Any other file is a text, which an input would have as its member.
        return Ok(vec![if structured { read } else { read["text"].take() }]);
    }
    let text = Value::String(value.to_owned());
    let options = serde_saphyr::options! { strict_booleans: true, with_snippet: false };
    Ok(match serde_saphyr::from_str_with_options::<Value>(value, options) {
        Ok(read) if read != text => vec![read, text],
        Ok(_) | Err(_) => vec![text],
    })
}

/// The first of the values that the field takes.
fn taken(
    setting: &str,
    target: &SetField,
    values: Vec<Value>,
    graph: &ValidatedGraph,
    programs: &Arc<Programs>,
) -> Result<Mutation, SetError> {
    let check = EdgeExpressions::new(Arc::clone(programs));
    let mut refused = Vec::new();
    for value in values {
        let mutation = Mutation::Set(SetField { value, ..target.clone() });
        let order = MutationOrder { class: PriorityClass::Person, requester: String::new(), request: 0 };
        let capabilities = Capabilities::unlimited();
        let request = Request { order, mutation: mutation.clone(), capabilities };
        match fold(graph.spec(), &[], &[request], 1, &check).verdicts.pop() {
            Some(Verdict::Refused(refusal)) => refused.push(refusal),
            Some(Verdict::Applied | Verdict::Collapsed) | None => return Ok(mutation),
        }
    }
    // That a text is no number says less than what is wrong with the number.
    let of_another_type =
        |refusal: &Refusal| matches!(refusal, Refusal::Invalid { why, .. } if why.contains("invalid type"));
    let position = refused.iter().position(|refusal| !of_another_type(refusal)).unwrap_or(0);
    let refusal = refused.swap_remove(position);
    let hint = if let Refusal::Invalid { why, .. } = &refusal { field_hint(why) } else { None };
    Err(SetError::Refused { setting: setting.to_owned(), refusal, hint })
}

/// The known field that is nearest to an unknown one, which stand in a message with backticks.
fn field_hint(why: &str) -> Option<String> {
    let (_, named) = why.split_once("unknown field `")?;
    let mut quoted = named.split('`').step_by(2);
    let unknown = quoted.next()?;
    nearest(unknown, quoted)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use superstep_graph::validate;
    use superstep_runtime::{Models, NotLoaded};

    use super::*;

    fn set(setting: &str) -> Result<Value, String> {
        let spec = json!({
            "entry": ["judge"],
            "models": [{"name": "m", "modelServerRef": {"name": "s"}}],
            "vertices": [
                {"name": "judge", "prompt": {"model": "m", "template": "Grade"}},
                {"name": "archive", "function": {"cel": "message"}},
            ],
            "edges": [
                {"from": "judge", "to": "archive"},
                {"from": "judge", "port": "error", "to": "archive"},
            ],
        });
        let graph = validate(&serde_json::from_value(spec).unwrap()).unwrap();
        let mut models = Models::default();
        models.insert("m", Arc::new(NotLoaded::default()));
        let made = mutation(setting, &graph, &Arc::new(Programs::new(models)));
        made.map(|made| serde_json::to_value(made).unwrap()["set"].take()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_value_is_what_the_field_takes() {
        for (setting, value) in [
            ("vertex.judge.prompt.template=Grade: {{ superstep }}", json!("Grade: {{ superstep }}")),
            ("vertex.judge.prompt.template={{ superstep }}", json!("{{ superstep }}")),
            ("vertex.judge.prompt.template=5", json!("5")),
            ("vertex.judge.prompt.template=a=b", json!("a=b")),
            ("vertex.judge.prompt.sampling.temperature=0.5", json!(0.5)),
            ("vertex.judge.prompt.sampling={maxTokens: 5}", json!({"maxTokens": 5})),
            ("vertex.judge.retry.backoff=2s", json!("2s")),
            ("vertex.judge.value=[1, a]", json!([1, "a"])),
            ("vertex.judge.onFailure=Ignore", json!("Ignore")),
            ("vertex.judge.description=null", json!(null)),
            ("edge.judge.archive.when=message.text == 'x'", json!("message.text == 'x'")),
            ("edge.judge:error.archive.when=true", json!("true")),
        ] {
            assert_eq!(set(setting).unwrap()["value"], value, "{setting}");
        }
        let edge = set("edge.judge:error.archive.when=true").unwrap();
        assert_eq!(edge["edge"], json!({"from": "judge", "port": "error", "to": "archive"}));
    }

    #[test]
    fn what_cannot_be_set_is_told_with_what_would_be_right() {
        for (setting, words) in [
            ("vertex.judge.prompt.template", "write vertex.NAME.FIELD=VALUE"),
            ("graph.limits.calls=5", "write vertex.NAME.FIELD=VALUE"),
            ("vertex.juge.prompt.template=x", "did you mean \"judge\"?"),
            ("vertex.judge.promt.template=x", "did you mean \"prompt\"?"),
            ("vertex.judge.prompt.tempate=x", "did you mean \"template\"?"),
            ("vertex.judge.prompt.model=n", "n"),
            ("vertex.judge.prompt.sampling.maxTokens=many", "many"),
            ("vertex.judge.prompt.sampling.maxTokens=-1", "-1"),
            ("vertex.judge.name=x", "cannot be set"),
            ("vertex.judge.prompt.template={{ superstep", "template"),
            ("edge.judge.archve.when=true", "did you mean \"judge.archive\"?"),
            ("edge.judge.archive.when=massage == 1", "did you mean \"message\"?"),
            ("vertex.judge.prompt.template=@/none.txt", "/none.txt"),
        ] {
            let error = set(setting).unwrap_err();
            assert!(error.contains(words), "{setting}: {error}");
        }
    }
}
