use serde_json::{Value, json};
use superstep_graph::Severity;

use super::*;

/// The triage graph, with `change` applied to it.
fn problems(change: impl FnOnce(&mut Value)) -> Vec<Problem> {
    let mut graph = json!({
        "input": {"schema": {"type": "object", "required": ["text"], "properties": {"text": {"type": "string"}}}},
        "models": [{"name": "small", "modelServerRef": {"name": "small"}}],
        "entry": ["classify", "extract"],
        "vertices": [
            {"name": "classify", "prompt": {"model": "small", "template": "Mail:\n{{ input.text }}", "output": {"schema":
                {"type": "object", "required": ["kind"], "properties": {"kind": {"enum": ["bug", "billing"]}}}}}},
            {"name": "extract", "prompt": {"model": "small", "template": "{{ input.text }}"}},
            {"name": "draft", "join": {"mode": "All", "of": ["classify", "extract"]}, "prompt": {"model": "small",
                "template": "{{ from.classify.kind }} {{ from.extract.text }}"}},
            {"name": "judge", "prompt": {"model": "small", "template": "{{ message.text }}", "output": {"schema":
                {"type": "object", "required": ["grade"], "properties": {"grade": {"type": "integer"}}}}}},
            {"name": "archive", "function": {"cel": "{'kind': from.classify.kind, 'grade': message.grade}"},
                "effects": {"contribute": {"total": "1"}, "append": "output.kind"}},
        ],
        "edges": [
            {"from": "classify", "to": "draft", "retain": true},
            {"from": "extract", "to": "draft", "retain": true},
            {"from": "draft", "to": "judge"},
            {"from": "judge", "to": "draft", "when": "message.grade < 3"},
            {"from": "judge", "to": "archive", "when": "message.grade >= 3"},
            {"from": "classify", "to": "archive", "delivery": "Passive"},
        ],
        "aggregators": [{"name": "total", "fold": "Sum"}],
    });
    change(&mut graph);
    check(&serde_json::from_value(graph).unwrap())
}

#[test]
fn a_right_graph_has_no_problem() {
    assert_eq!(problems(|_| {}), []);
}

/// Whether each change at a JSON pointer is found at a path, with a part of the message.
fn assert_found(mistakes: &[(&str, Value, &str, &str)]) {
    for (pointer, value, path, part) in mistakes {
        let found = problems(|graph| *graph.pointer_mut(pointer).unwrap() = value.clone());
        let problem = found.iter().find(|problem| problem.path.to_string() == *path);
        let Some(problem) = problem else { panic!("{pointer} {value}: {found:?}") };
        assert_eq!(problem.severity, Severity::Error);
        assert!(problem.to_string().contains(part), "{pointer} {value}: {problem}");
    }
}

#[test]
fn mistakes_of_templates_are_found_at_their_place_with_what_would_be_right() {
    assert_found(&[
        (
            "/vertices/0/prompt/template",
            json!("Mail:\n{{ inptu.text }}"),
            "vertices[0].prompt.template",
            "line 2, column 4: no root is named \"inptu\" (did you mean \"input\"?)",
        ),
        (
            "/vertices/0/prompt/template",
            json!("{{ input.txet }}"),
            "vertices[0].prompt.template",
            "the input has no field \"txet\" (did you mean \"text\"?)",
        ),
        ("/vertices/0/prompt/template", json!("{% if %}"), "vertices[0].prompt.template", "line 1"),
        (
            "/vertices/2/prompt/template",
            json!("{{ from.clasify.kind }}"),
            "vertices[2].prompt.template",
            "\"classify\"",
        ),
        (
            "/vertices/2/prompt/template",
            json!("{{ from.archive.kind }}"),
            "vertices[2].prompt.template",
            "add {from: archive, to: draft",
        ),
        (
            "/vertices/2/prompt/template",
            json!("{{ from.classify.kid }}"),
            "vertices[2].prompt.template",
            "the output of \"classify\" has no field \"kid\" (did you mean \"kind\"?)",
        ),
        (
            "/vertices/2/prompt/template",
            json!("{{ from.extract.txt }}"),
            "vertices[2].prompt.template",
            "\"text\"",
        ),
        (
            "/vertices/3/prompt/template",
            json!("{{ message.grade }}"),
            "vertices[3].prompt.template",
            "the output of \"draft\" has no field \"grade\"",
        ),
        (
            "/vertices/0/prompt/template",
            json!("{{ message.text }}"),
            "vertices[0].prompt.template",
            "nothing is ever sent to \"classify\"",
        ),
        ("/vertices/0/prompt/template", json!("{{ element }}"), "vertices[0].prompt.template", "forEach"),
        (
            "/vertices/0/prompt/template",
            json!("{{ aggregates.totl }}"),
            "vertices[0].prompt.template",
            "\"total\"",
        ),
    ]);
}

#[test]
fn mistakes_of_expressions_and_schemas_are_found_at_their_place_with_what_would_be_right() {
    assert_found(&[
        (
            "/vertices/0/prompt/output/schema",
            json!({"type": "objet"}),
            "vertices[0].prompt.output.schema",
            "no JSON schema",
        ),
        ("/vertices/4/function/cel", json!("1 +"), "vertices[4].function.cel", "line 1, column 4"),
        ("/vertices/4/function/cel", json!("message.grad"), "vertices[4].function.cel", "\"grade\""),
        ("/vertices/4/function/cel", json!("'a'.splitt('b')"), "vertices[4].function.cel", "\"split\""),
        (
            "/vertices/4/effects/contribute/total",
            json!("outptu"),
            "vertices[4].effects.contribute.total",
            "\"output\"",
        ),
        ("/vertices/4/effects/append", json!("from.judge.grad"), "vertices[4].effects.append", "\"grade\""),
        (
            "/edges/3/when",
            json!("message.grad < 3"),
            "edges[3].when",
            "the output of \"judge\" has no field \"grad\" (did you mean \"grade\"?)",
        ),
        ("/edges/3/when", json!("massage.grade < 3"), "edges[3].when", "\"message\""),
        ("/input/schema", json!({"required": "text"}), "input.schema", "no JSON schema"),
    ]);
}

#[test]
fn all_mistakes_are_found_at_once() {
    let found = problems(|graph| {
        graph["vertices"][0]["prompt"]["template"] = json!("{{ inptu.text }}");
        graph["vertices"][4]["function"]["cel"] = json!("from.nobody");
        graph["edges"][3]["when"] = json!("message.grad < 3");
        graph["edges"][4]["transform"] = json!("1 +");
    });
    assert_eq!(found.len(), 4, "{found:?}");
}

#[test]
fn what_cannot_be_known_is_no_problem() {
    for (pointer, value) in [
        (
            "/vertices/0/prompt/output/schema",
            json!({"type": "object", "properties": {}, "additionalProperties": true}),
        ),
        (
            "/vertices/0/prompt/output/schema",
            json!({"anyOf": [{"properties": {"kind": {}}}, {"properties": {"other": {}}}]}),
        ),
        ("/edges/0", json!({"from": "classify", "to": "draft", "transform": "{'kind': 1}"})),
        (
            "/vertices/2",
            json!({"name": "draft", "combiner": "Append", "function": {"cel": "from.classify[0].kind"}}),
        ),
        ("/vertices/1", json!({"name": "extract", "function": {"cel": "{'text': 1, 'more': 2}"}})),
        ("/vertices/1/sends", json!(["archive"])),
        (
            "/vertices/2/prompt/template",
            json!(
                "{% for m in messages %}{{ m.payload.any }}{% endfor %}{{ input.text.strip() if 0 else '' }}"
            ),
        ),
        ("/vertices/4/function/cel", json!("has(from.classify) && message == null")),
    ] {
        let found = problems(|graph| {
            let (parent, name) = pointer.rsplit_once('/').unwrap();
            let parent = graph.pointer_mut(parent).unwrap();
            match name.parse::<usize>() {
                Ok(index) => parent[index] = value.clone(),
                Err(_) => parent[name] = value.clone(),
            }
        });
        assert_eq!(found, [], "{pointer} {value}");
    }
}

#[test]
fn where_vertices_may_add_edges_a_missing_edge_is_a_warning() {
    let found = problems(|graph| {
        graph["mutations"] = json!({"allow": ["addEdge"]});
        graph["vertices"][4]["function"]["cel"] = json!("from.extract");
    });
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].severity, Severity::Warning);
}

#[test]
fn a_stop_text_beside_a_schema_is_a_warning() {
    let stop = |vertex: usize, stop: &[&str]| {
        problems(|graph| graph["vertices"][vertex]["prompt"]["sampling"] = json!({"stop": stop}))
    };
    let found = stop(0, &["\n"]);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].severity, Severity::Warning);
    assert_eq!(found[0].path.to_string(), "vertices[0].prompt.sampling.stop");
    assert!(found[0].hint.as_deref().is_some_and(|hint| hint.contains("leave stop out")), "{found:?}");
    assert_eq!(stop(0, &[""]), [], "an empty text stops nothing");
    assert_eq!(stop(1, &["\n"]), [], "there is no schema");
}
