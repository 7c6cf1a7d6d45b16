use std::collections::BTreeMap;

use serde_json::json;
use superstep_engine::{Received, Scene, View};
use superstep_graph::Port;

use super::*;

fn received(from: &str, payload: Value) -> Received {
    Received { from: from.into(), port: Port::default(), payload: payload.into() }
}

fn view() -> View {
    View::from(scene())
}

fn scene() -> Scene {
    Scene {
        input: Payload::from(
            json!({"text": "one\n\ntwo", "n": 3, "big": u64::MAX, "x": 2.5, "nested": {"list": [3, 1, 2]}}),
        ),
        parameters: Payload::from(json!({"style": "formal"})),
        messages: vec![
            received("classify", json!({"kind": "bug"})),
            received("extract", json!({"text": "old"})),
            received("extract", json!({"text": "new"})),
        ],
        kept: vec![received("judge", json!({"grade": 2})), received("extract", json!({"text": "kept"}))],
        value: Payload::from(json!([1, 2])),
        aggregates: Arc::new(BTreeMap::from([("total".into(), Payload::from(json!(10)))])),
        superstep: 4,
        route: None,
    }
}

fn evaluate(source: &str) -> Result<Value, String> {
    let expression = Expression::compile(source, Scope::Vertex).map_err(|error| error.to_string())?;
    expression
        .evaluate(Bindings::Vertex(&view()))
        .map(|value| value.value().clone())
        .map_err(|failure| failure.message)
}

#[test]
fn roots_are_what_the_vertex_sees() {
    for (source, value) in [
        ("input.text.split('\\n\\n')", json!(["one", "two"])),
        ("input.n + 1", json!(4)),
        ("input.big", json!(u64::MAX)),
        ("input.x * 2.0", json!(5.0)),
        ("input.n < 3.5 && input.x > 2", json!(true)),
        ("input['nested'].list[0]", json!(3)),
        ("from.classify.kind", json!("bug")),
        ("from['classify'].kind", json!("bug")),
        ("from.extract.text", json!("kept")),
        ("from.judge.grade", json!(2)),
        ("from.nobody", json!(null)),
        ("from.nobody == null", json!(true)),
        ("has(from.nobody)", json!(false)),
        ("has(from.judge)", json!(true)),
        ("from['extract'].text", json!("kept")),
        ("from.map(name, from[name])[1].text", json!("kept")),
        ("from.map(name, name)", json!(["classify", "extract", "judge"])),
        ("messages.size()", json!(3)),
        ("messages.map(m, m.from)", json!(["classify", "extract", "extract"])),
        ("messages.filter(m, m.from == 'extract').map(m, m.payload.text)", json!(["old", "new"])),
        ("value", json!([1, 2])),
        ("aggregates.total", json!(10)),
        ("aggregates.other", json!(null)),
        ("superstep", json!(4)),
        (
            "{'kind': from.classify.kind, 'n': input.nested.list.sort()}",
            json!({"kind": "bug", "n": [1, 2, 3]}),
        ),
        ("input.?absent.orValue('none')", json!("none")),
        ("input.?absent", json!(null)),
        ("input.nested.list.exists(input, input == 2)", json!(true)),
    ] {
        assert_eq!(evaluate(source), Ok(value), "{source}");
    }
}

#[test]
fn functions_of_texts_and_lists_are_on() {
    for (source, value) in [
        ("['a', 'b'].join('-')", json!("a-b")),
        ("'a,b'.split(',')", json!(["a", "b"])),
        ("' A '.trim().lowerAscii()", json!("a")),
        ("'abc'.replace('b', 'x').substring(1)", json!("xc")),
        ("'%s is %d'.format(['x', 1])", json!("x is 1")),
        ("'abc'.matches('^a.c$') && 'abc'.startsWith('a') && 'abc'.contains('b')", json!(true)),
        ("size('abc') + size([1, 2])", json!(5)),
        ("[1, 2, 3].all(x, x > 0) && [1, 2].exists_one(x, x == 1)", json!(true)),
        ("[3, 1].sortBy(x, -x).map(x, x * 2)", json!([6, 2])),
        ("[[1], [2]].flatten().reverse()", json!([2, 1])),
        ("math.greatest(1, 3, 2)", json!(3)),
        ("math.least([4, 2])", json!(2)),
        ("int('5') + int(2.9)", json!(7)),
        ("string(1.5) + string(true)", json!("1.5true")),
        ("double('2.5')", json!(2.5)),
        ("type(1) == int", json!(true)),
        ("lists.range(3)", json!([0, 1, 2])),
        ("strings.quote('a')", json!("\"a\"")),
        ("'abc'.charAt(1) + string('abc'.indexOf('c'))", json!("b2")),
        ("duration('90s').getMinutes()", json!(1)),
        ("timestamp('2026-01-02T03:04:05Z').getFullYear()", json!(2026)),
        ("optional.of(1).hasValue()", json!(true)),
        ("base64.encode(b'hi')", json!("aGk=")),
        ("[1, 2, 3].slice(0, 2).distinct()", json!([1, 2])),
    ] {
        assert_eq!(evaluate(source), Ok(value), "{source}");
    }
}

#[test]
fn maps_are_iterated_in_the_order_of_their_keys() {
    let names: Vec<String> = (0..50).map(|n| format!("k{n:02}")).collect();
    let literal = names.iter().rev().map(|name| format!("'{name}': 1")).collect::<Vec<_>>().join(",");
    assert_eq!(evaluate(&format!("{{{literal}}}.map(k, k)")), Ok(json!(names)));
    assert_eq!(evaluate(&format!("[] + {{{literal}}}")), Ok(json!(names)));
}

#[test]
fn a_message_is_there_only_when_it_is_the_only_one() {
    let reason = evaluate("message.kind").unwrap_err();
    assert!(reason.contains("3 were") && reason.contains("from"), "{reason}");
    let mut scene = scene();
    scene.messages.truncate(1);
    let view = View::from(scene);
    let expression = Expression::compile("message.kind", Scope::Vertex).unwrap();
    assert_eq!(expression.evaluate(Bindings::Vertex(&view)).unwrap().value(), &json!("bug"));
}

#[test]
fn what_has_no_value_says_why_without_showing_payloads() {
    for (source, part) in [
        ("from.nobody.kind", "nothing came from \"nobody\""),
        ("input.txt", "\"txt\""),
        ("element.x", "forEach"),
        ("1 / 0", "zero"),
        ("input.nested.list[7]", "out of bounds"),
        ("input.text + 1", "string"),
        ("input.nested + 1", "map"),
        ("1.0 / 0.0", "infinite"),
        ("b'raw'", "bytes"),
        ("{1: 2}", "keys"),
        ("9223372036854775807 + 1", "range"),
        ("input.text < input.n", "int"),
        ("'a'.size('b')", "size"),
    ] {
        let reason = evaluate(source).unwrap_err();
        assert!(reason.contains(part), "{source}: {reason}");
        assert!(!reason.contains("one") && !reason.contains("two"), "{source}: {reason}");
    }
}

#[test]
fn what_does_not_compile_says_where_and_what_would_be_right() {
    for (source, line, column, part) in [
        ("inptu.text", 1, 1, "\"input\""),
        ("1 +\n massage.kind", 2, 2, "\"message\""),
        ("output.kind", 1, 1, "output"),
        ("'a'.splitt(',')", 1, 5, "\"split\""),
        ("1 +", 1, 4, ""),
        ("messages.map(m, n.payload)", 1, 17, "\"n\""),
    ] {
        let error = Expression::compile(source, Scope::Vertex).unwrap_err();
        assert_eq!((error.position.line, error.position.column), (line, column), "{source}: {error}");
        assert!(error.to_string().contains(part), "{source}: {error}");
    }
    assert!(Expression::compile(&"1+".repeat(MAX_EXPRESSION), Scope::Edge).is_err());
    assert!(Expression::compile(&format!("{}1{}", "(".repeat(8000), ")".repeat(8000)), Scope::Edge).is_err());
}

#[test]
fn every_unknown_name_is_found_at_each_of_its_places() {
    let errors =
        Expression::compile_all("inptu.a + [1].map(m, m + mesage.b)\n + inptu.a.splitt(',')", Scope::Vertex);
    let told: Vec<String> = errors.unwrap_err().iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "line 1, column 1: no root is named \"inptu\" (did you mean \"input\"?)",
            "line 1, column 26: no root is named \"mesage\" (did you mean \"message\"?)",
            "line 2, column 4: no root is named \"inptu\" (did you mean \"input\"?)",
            "line 2, column 12: no function is named \"splitt\" (did you mean \"split\"?)",
        ]
    );
}

#[test]
fn loops_end() {
    for source in [
        "lists.range(2000).map(a, lists.range(2000).map(b, a * b)).size()",
        "lists.range(2000).all(a, lists.range(2000).all(b, a + b >= 0))",
        "lists.range(2000).exists(a, lists.range(2000).exists(b, a + b < 0))",
        "lists.range(2000).filter(a, lists.range(2000).filter(b, a == b).size() == 0)",
        "lists.range(2000).exists_one(a, lists.range(2000).exists_one(b, a == b))",
    ] {
        let reason = evaluate(source).unwrap_err();
        assert!(reason.contains("steps"), "{source}: {reason}");
    }
}

#[test]
fn references_are_whole_paths_with_places() {
    let expression =
        Expression::compile("from.a.b + input.x.size() + [1].map(m, m.y + value)[0]", Scope::Vertex).unwrap();
    let paths: Vec<String> =
        expression.references().iter().map(|reference| reference.path.join(".")).collect();
    assert_eq!(paths, ["from.a.b", "input.x", "value"]);
    assert_eq!(expression.references()[1].position, Position { line: 1, column: 12 });
    let expression = Expression::compile("from['a']['b'].c + input.x['y-z'] + value[0].k", Scope::Vertex);
    let expression = expression.unwrap();
    let paths: Vec<String> =
        expression.references().iter().map(|reference| reference.path.join(".")).collect();
    assert_eq!(paths, ["from.a.b.c", "input.x", "value"]);
}

#[test]
fn nesting_is_limited_and_what_is_allowed_can_be_evaluated() {
    let chain = |terms: usize| vec!["1"; terms].join("+");
    assert_eq!(evaluate(&chain(MAX_NESTING)), Ok(json!(MAX_NESTING)));
    for deep in [chain(MAX_NESTING + 1), chain(8_000), format!("input{}", "['a']".repeat(3_000))] {
        let refused = evaluate(&deep).unwrap_err();
        assert!(refused.contains("nested too deeply"), "{refused}");
    }
}
