use expect_test::{Expect, expect};

use super::*;

fn loaded(text: &str) -> Loaded {
    let source = Arc::new(Source { name: "a.yaml".to_owned(), text: text.to_owned(), named: true });
    load(&[source], &|name| (name == "MODEL").then(|| "model.gguf".to_owned()))
}

/// The diagnostics of `text`, one a line.
fn check(text: &str, expected: Expect) {
    let lines: Vec<String> =
        loaded(text).diagnostics.iter().map(|diagnostic| format!("{diagnostic}\n")).collect();
    expected.assert_eq(&lines.concat());
}

const GOOD: &str = r#"
apiVersion: superstep.dev/v1alpha1
kind: ModelServer
metadata: {name: small}
spec:
  model: {name: m, sources: [{file: {path: "${MODEL}"}}], sha256: "${DIGEST-}"}
  engine: {candle: {contextLength: 2048}}
---
apiVersion: v1
kind: Namespace
metadata: {name: other}
---
# nothing
---
apiVersion: superstep.dev/v1alpha1
kind: AgentGraph
metadata: {name: triage}
spec:
  models: [{name: small, modelServerRef: {name: small}}]
  entry: [ask]
  vertices:
  - name: ask
    prompt:
      model: small
      template: "Mail: {{ input.text }}"
"#;

#[test]
fn a_good_file_gives_its_resources() {
    check(GOOD, expect![""]);
    let set = loaded(GOOD).resources;
    assert_eq!(set.graph(None).unwrap().content.document.metadata.name, "triage");
    let server = &set.model_servers["small"].content.spec;
    let model = server.model.as_ref().unwrap();
    assert_eq!((model.sources[0].file.as_ref().unwrap().path.as_str(), &model.sha256), ("model.gguf", &None));
}

#[test]
fn mistakes_of_all_documents_and_of_all_sorts_are_found_at_once() {
    let text = GOOD
        .replace("contextLength", "contextLenght")
        .replace("entry: [ask]", "entry: [asq]")
        .replace("template:", "templat:");
    check(
        &text,
        expect![[r#"
        a.yaml:7:21: error: unknown field "contextLenght" (did you mean "contextLength"?)
        a.yaml:20:11: error: no vertex is named "asq" (did you mean "ask"?)
        a.yaml:25:7: error: unknown field "templat" (did you mean "template"?)
    "#]],
    );
}

#[test]
fn what_follows_from_a_mistake_is_not_reported() {
    check(
        "apiVersion: superstep.dev/v1alpha1\nkind: AgentGraph\nmetadata: {name: a, lables: {}}\nspec:\n  entry: [a]\n  vertices:\n  - name: 5\n    cooks: {}\n    join: {mode: all, count: yes}\n    timeout: 5 minutes\n  edges: {}\n  limits: {tokens: -1}\n",
        expect![[r#"
            a.yaml:3:21: error: unknown field "lables" (did you mean "labels"?)
            a.yaml:7:11: error: the number 5 stands where a text is expected (put it in quotes if a text is meant)
            a.yaml:8:5: error: unknown field "cooks" (known here are name, description, prompt, function, router, human, graph, agent, judge, tool, embed, retrieve, algorithm, custom, join, forEach, combiner, sends, effects, capabilities, value, onFailure, onUnknown, retry, timeout, cache, requires)
            a.yaml:9:18: error: "all" is none of Any, All, Quorum (did you mean "All"?)
            a.yaml:9:30: error: the text "yes" stands where a whole number from 0 is expected
            a.yaml:10:14: error: "5 minutes" is no duration: write numbers with the units h, m, s or ms, as in 1h30m or 500ms
            a.yaml:11:3: error: an object stands where a list is expected
            a.yaml:12:20: error: the number -1 stands where a whole number from 0 is expected
        "#]],
    );
}

#[test]
fn a_syntax_error_hides_no_other_document() {
    check(
        "apiVersion: superstep.dev/v1alpha1\nkind: AgentGraph\nmetadata: {name: [}\n---\napiVersion: superstep.dev/v1alpha1\nkind: AgentGraf\n---\na: {{ b }}\n---\nkind: AgentGraph\napiVersion: superstep.dev/v1\n---\na: 1\na: 2\n",
        expect![[r#"
            a.yaml:3:18: error: mismatched bracket '[' closed by '}'
            a.yaml:6:7: error: kind "AgentGraf" is not known (did you mean "AgentGraph"?)
            a.yaml:8:5: error: the name of a field is no text (put a text that begins with {{ in quotes)
            a.yaml:11:13: error: apiVersion "superstep.dev/v1" is not known (this version reads superstep.dev/v1alpha1)
            a.yaml:13:1: error: field "apiVersion" is missing (a resource begins with apiVersion: superstep.dev/v1alpha1 and its kind)
            a.yaml:13:1: error: field "kind" is missing (a resource begins with apiVersion: superstep.dev/v1alpha1 and its kind)
            a.yaml:14:1: error: field "a" is given twice (it stands in line 13 already)
        "#]],
    );
}

#[test]
fn json_is_read_as_well() {
    let text = "{\n\t\"apiVersion\": \"superstep.dev/v1alpha1\",\n\t\"kind\": \"AgentGraph\", \"metadata\": {\"name\": \"a\"},\n\t\"spec\": {\"entry\": [\"a\"], \"vertices\": [{\"name\": \"a\", \"function\": {\"cel\": \"'\\u00e9\\n' + \\\"\\/\\\"\"}}]}\n}\n";
    check(text, expect![""]);
}

#[test]
fn aliases_are_read_and_bombs_are_refused() {
    let graph = |cel: &str| {
        format!(
            "apiVersion: superstep.dev/v1alpha1\nkind: AgentGraph\nmetadata: {{name: a}}\nspec:\n  entry: [a]\n  vertices:\n  - {{name: a, function: {{cel: &x \"1\"}}}}\n  - {{name: b, function: {{cel: {cel}}}}}\n  edges: [{{from: a, to: b}}]\n"
        )
    };
    check(&graph("*x"), expect![""]);
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..10 {
        let names = vec![format!("*a{}", level - 1); 10].join(", ");
        bomb.push_str(&format!("a{level}: &a{level} [{names}]\n"));
    }
    assert!(loaded(&bomb).has_errors());
    let deep = format!("a: {}1{}", "[".repeat(5_000), "]".repeat(5_000));
    assert!(loaded(&deep).has_errors());
}

#[test]
fn references_and_names_are_checked_across_resources() {
    let text = GOOD
        .replace("modelServerRef: {name: small}", "modelServerRef: {name: smal}")
        .replace("name: triage}", "name: Triage}");
    check(
        &text,
        expect![[r#"
        a.yaml:17:18: error: "Triage" is no name of a resource (a name has a-z, 0-9, - and ., at most 253 of them, and begins and ends with a letter or digit)
        a.yaml:19:49: error: no ModelServer is named "smal" (did you mean "small"?)
    "#]],
    );
    check(
        &format!("{GOOD}\n---{GOOD}"),
        expect![[r#"
        a.yaml:30:18: error: ModelServer "small" is defined twice (the first stands at a.yaml:4:18)
        a.yaml:43:18: error: AgentGraph "triage" is defined twice (the first stands at a.yaml:17:18)
    "#]],
    );
}

#[test]
fn the_graph_that_is_meant_is_the_one_that_no_other_opens() {
    let graph = |name: &str, program: &str, more: &str| {
        format!(
            "apiVersion: superstep.dev/v1alpha1\nkind: AgentGraph\nmetadata: {{name: {name}}}\n\
             spec: {{entry: [a], vertices: [{{name: a, {program}{more}}}]}}\n---\n"
        )
    };
    let plain = |name: &str| graph(name, "function: {cel: \"1\"}", "");
    let opens = |name: &str, other: &str| graph(name, &format!("graph: {{ref: {{name: {other}}}}}"), "");
    let hands_on = |name: &str, other: &str| {
        graph(name, "function: {cel: \"1\"}", &format!(", capabilities: {{graphs: [{other}]}}"))
    };
    for (text, chosen) in [
        (plain("one"), Ok("one")),
        (plain("part") + &opens("whole", "part"), Ok("whole")),
        (plain("part") + &hands_on("whole", "part"), Ok("whole")),
        (opens("again", "again"), Ok("again")),
        (plain("one") + &plain("other"), Err("the files have several graphs: one, other")),
        (opens("one", "other") + &opens("other", "one"), Err("the files have several graphs: one, other")),
        ("# none".to_owned(), Err("the files have no AgentGraph")),
    ] {
        let loaded = loaded(&text);
        assert!(!loaded.has_errors(), "{text} {:?}", loaded.diagnostics);
        let graph = loaded.resources.graph(None).map(|graph| graph.content.document.metadata.name.clone());
        assert_eq!(
            graph.map_err(|error| error.to_string()),
            chosen.map(str::to_owned).map_err(str::to_owned),
            "{text}"
        );
    }
}
