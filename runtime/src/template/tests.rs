use serde_json::json;
use superstep_engine::{Received, Scene};
use superstep_graph::Port;

use super::*;

fn received(from: &str, payload: serde_json::Value) -> Received {
    Received { from: from.into(), port: Port::default(), payload: payload.into() }
}

fn view() -> View {
    View::from(Scene {
        input: Payload::from(
            json!({"text": "<It> crashes & burns", "n": 3, "x": 2.0, "list": [1, "a"], "none": null}),
        ),
        parameters: Payload::from(json!({"style": "formal"})),
        messages: vec![
            received("summarise", json!([{"text": "b"}, {"text": "a"}])),
            received("classify", json!({"kind": "bug"})),
        ],
        kept: vec![received("judge", json!({"grade": 2}))],
        value: Payload::null(),
        aggregates: Arc::new(BTreeMap::from([("total".into(), Payload::from(json!(10)))])),
        superstep: 4,
        route: None,
    })
}

fn render(source: &str) -> Result<String, String> {
    let template = Template::compile(source).map_err(|error| error.to_string())?;
    template.render(&view()).map_err(|failure| failure.message)
}

#[test]
fn templates_read_the_same_roots_as_expressions() {
    for (source, text) in [
        ("{{ input.text }}", "<It> crashes & burns"),
        ("{{ from.classify.kind }} {{ from.judge.grade }}", "bug 2"),
        ("{{ from.summarise | map(attribute='text') | join('\n') }}", "b\na"),
        ("{% if from.nobody %}x{% else %}nobody{% endif %}", "nobody"),
        ("{{ from.nobody is none }}", "true"),
        ("{{ from.nobody }}", "null"),
        ("{{ from | list | join(',') }}", "classify,judge,summarise"),
        ("{% for m in messages %}{{ m.from }};{% endfor %}", "summarise;classify;"),
        ("{{ messages[1].payload.kind }}", "bug"),
        ("{{ aggregates.total }} {{ aggregates.other }}", "10 null"),
        ("{{ superstep }} {{ value }} {{ input.x }} {{ input.n > 2 }}", "4 null 2.0 true"),
        ("{{ input.list }} {{ from.classify }}", "[1,\"a\"] {\"kind\":\"bug\"}"),
        ("{{ input.text | tojson }}", "\"<It> crashes & burns\""),
        ("{% set x = input.n %}{{ x }}{% for i in range(2) %}{{ i }}{% endfor %}", "301"),
        ("{{ input.none is none }}", "true"),
    ] {
        assert_eq!(render(source).as_deref(), Ok(text), "{source}");
    }
}

#[test]
fn what_is_undefined_is_an_error_that_names_it() {
    for (source, part) in [
        ("{{ input.txet }}", "input.txet"),
        ("a\n{{ from.nobody.kind }}", "from.nobody.kind"),
        ("{{ message.kind }}", "2 were"),
        ("{{ element }}", "forEach"),
        (
            "{% for a in range(9999) %}{% for b in range(9999) %}{{ a }}{% endfor %}{% endfor %}",
            "instructions",
        ),
    ] {
        let reason = render(source).unwrap_err();
        assert!(reason.contains(part), "{source}: {reason}");
    }
}

#[test]
fn what_does_not_compile_says_where() {
    for (source, line, column, part) in [
        ("Mail:\n{{ inptu.text }}", 2, 4, "\"input\""),
        ("the output is {{ output }}", 1, 18, "output"),
        ("{{ input.text", 1, 10, "unexpected end"),
        ("{% if input %}", 1, 13, "unexpected end"),
        ("{{ input.text | uper }}", 1, 17, "did you mean \"upper\"?"),
        ("{{ input.text is strin }}", 1, 18, "did you mean \"string\"?"),
        ("{% for a in [1] %}{{ a }}{% endfor %}{{ a }}", 1, 41, "root"),
        ("{% set a = inptu.x %}", 1, 12, "input"),
        ("{{ messages[inptu] }}", 1, 13, "input"),
        ("{% include 'other' %}", 1, 4, "no other template"),
    ] {
        let error = Template::compile(source).unwrap_err();
        assert_eq!((error.position.line, error.position.column), (line, column), "{source}: {error}");
        assert!(error.to_string().contains(part), "{source}: {error}");
    }
}

#[test]
fn every_unknown_name_is_found_at_each_of_its_places() {
    let errors = Template::compile_all("{{ inptu.a }} {{ inptu.b | uper }}\n{{ mesage }}").unwrap_err();
    let told: Vec<String> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "line 1, column 4: no root is named \"inptu\" (did you mean \"input\"?)",
            "line 1, column 18: no root is named \"inptu\" (did you mean \"input\"?)",
            "line 1, column 28: no filter is named \"uper\" (did you mean \"upper\"?)",
            "line 2, column 4: no root is named \"mesage\" (did you mean \"message\"?)",
        ]
    );
}

#[test]
fn references_are_paths() {
    let template = Template::compile(
        "{{ from.a.b }}{{ input.list.x }}{{ input.m.items() }}{% for m in messages %}{{ m.from }}{% endfor %}",
    );
    let template = template.unwrap();
    let paths: Vec<String> = template.references().iter().map(|reference| reference.path.join(".")).collect();
    assert_eq!(paths, ["from.a.b", "input.list.x", "input.m", "messages"]);
}

#[test]
fn paths_are_followed_through_brackets_and_names_of_the_template() {
    for (source, paths) in [
        ("{{ from['a'].b }}", &["from.a.b"][..]),
        ("{{ from['a']['b'].c }}", &["from.a.b.c"]),
        ("{% set f = from.a %}{{ f.b }}", &["from.a", "from.a.b"]),
        ("{% with f = from['a'] %}{{ f['b'].c }}{% endwith %}", &["from.a", "from.a.b.c"]),
        ("{% set f = from.a %}{% if f %}{% set f = from.b %}{% endif %}{{ f.c }}", &["from.a", "from.b"]),
        ("{% set f = from.a %}{% for x in [1] %}{% set f = 1 %}{% endfor %}{{ f.b }}", &["from.a"]),
        ("{{ messages[0].payload }}{{ from[input.x].y }}", &["messages", "input.x", "from"]),
        ("{% macro m(a) %}{{ a.b }}{{ input.x }}{% endmacro %}{{ m(from.c) }}", &["input.x", "from.c"]),
    ] {
        let template = Template::compile(source).unwrap();
        let read: Vec<String> =
            template.references().iter().map(|reference| reference.path.join(".")).collect();
        assert_eq!(read, paths, "{source}");
    }
}

#[test]
fn the_longest_tag_is_compiled_and_a_longer_one_is_refused() {
    let chain = |bytes: usize| format!("{{{{ 1{} }}}}", "+1".repeat(bytes / 2));
    assert!(Template::compile(&chain(MAX_TAG - 10)).is_ok());
    let outside = format!("{}{{{{ input.text }}}}", "a".repeat(2 * MAX_TAG));
    assert!(Template::compile(&outside).is_ok(), "text outside of tags has no such limit");
    for long in
        [chain(MAX_TAG + 10), chain(200_000), format!("{{% set x = {} %}}", vec!["1"; 50_000].join("+"))]
    {
        let error = Template::compile(&long).unwrap_err();
        assert!(error.to_string().contains("between two braces"), "{error}");
    }
}
