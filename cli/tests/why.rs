//! `superstep why` and `superstep diff`: how it came to be so, and where two runs part.

use expect_test::expect;
use serde_json::{Value, json};

use crate::command::Home;

fn story(home: &Home, name: &str, n: u32) {
    let input = format!("{{\"n\": {n}}}");
    let arguments =
        ["run", "-f", "tests/graphs/story.yaml", "--graph", "story", "--run-id", name, "--input", &input];
    home.run(arguments).with(0);
}

#[test]
fn a_chain_goes_back_to_the_entries_through_cycles_and_sub_graphs() {
    let home = Home::new();
    story(&home, "a", 5);
    let why = |line: &str| home.line(&format!("why a {line}")).with(0).stdout;
    expect![[r#"
        each@9  (for each of 2)
        ├─ list@8
        │  └─ open@5
        │     ├─ judge@4  (on port good)
        │     │  └─ draft@3
        │     │     ├─ judge@2  (on port again)
        │     │     │  └─ draft@1
        │     │     │     ├─ left@0  (entry)
        │     │     │     └─ right@0  (entry)
        │     │     ├─ left@0  (only seen, entry)
        │     │     └─ right@0  (only seen, entry)
        │     └─ 1/second@6  (gave it as an output of the sub-graph)
        │        └─ 1/first@5
        │           └─ open@5  (opened the sub-graph, see above)
        └─ left@0  (only seen, entry)
    "#]]
    .assert_eq(&why("each"));
    expect![[r#"
        ACTIVATION  HOW     BY         PORT
        1/second@6  woken   1/first@5  out
        open@5      woken   judge@4    good
        1/first@5   opened  open@5     -
        judge@4     woken   draft@3    out
        draft@3     woken   judge@2    again
        draft@3     saw     left@0     out
        draft@3     saw     right@0    out
        judge@2     woken   draft@1    out
        draft@1     woken   left@0     out
        draft@1     woken   right@0    out
        left@0      entry   -          -
        right@0     entry   -          -
    "#]]
    .assert_eq(&why("1/second --output table"));
    expect![[r#"
        draft@3
        ├─ judge@2  (on port again)
        │  └─ draft@1
        ├─ left@0  (only seen, entry)
        └─ right@0  (only seen, entry)
        … it goes further back: --depth 0 shows all
    "#]]
    .assert_eq(&why("draft@3 --depth 1"));
    let chain = home.line("why a judge@2 --output json").with(0).json();
    assert_eq!(
        chain,
        json!({"run": "a", "whole": true, "chain": [
            {"activation": "judge@2", "entry": false, "causes": [{"how": "woken", "by": "draft@1", "port": "out"}]},
            {"activation": "draft@1", "entry": false, "causes": [
                {"how": "woken", "by": "left@0", "port": "out"}, {"how": "woken", "by": "right@0", "port": "out"}]},
            {"activation": "left@0", "entry": true, "causes": []},
            {"activation": "right@0", "entry": true, "causes": []},
        ]})
    );
    // Each is shown by inspect under the name that why takes, and back.
    let inspected = home.line("inspect a --output json").with(0).json();
    for superstep in inspected["supersteps"].as_array().unwrap() {
        for completed in superstep["completed"].as_array().into_iter().flatten() {
            let name = completed["activation"].as_str().unwrap();
            assert!(why(name).starts_with(name), "{name}");
        }
    }
    assert_eq!(why("each@9[1]"), why("each@9"));
}

#[test]
fn what_is_no_activation_is_told_with_those_that_there_are() {
    let home = Home::new();
    story(&home, "a", 5);
    let judges = "run \"a\" has no activation judge@9: the last of the vertex are judge@2, judge@4";
    home.line("why a judge@9").with(2).saying(judges);
    home.line("why a nobody").with(2).saying("run \"a\" has no activation nobody: the vertex never ran");
    home.line("why a judge@x").with(2).saying("\"judge@x\" is no activation");
    home.line("why b judge").with(2).saying("run \"b\" is not in the store");
}

#[test]
fn two_runs_are_compared_superstep_by_superstep() {
    let home = Home::new();
    story(&home, "a", 5);
    story(&home, "b", 5);
    story(&home, "c", 6);
    let same = home.line("diff a b --output json").with(0).json();
    assert_eq!(
        (&same["same"], &same["firstDifference"], &same["outputs"]),
        (&json!(true), &Value::Null, &json!([]))
    );
    let what = |pairs: &Value| -> Vec<String> {
        pairs.as_array().unwrap().iter().map(|pair| pair["what"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(what(&same["totals"])[..3], ["status", "supersteps", "activations"]);
    let other = home.line("diff a c --output json").with(0).json();
    assert_eq!((&other["same"], &other["firstDifference"]), (&json!(false), &json!(8)));
    assert_eq!(other["start"], json!([{"what": "input", "one": {"n": 5}, "other": {"n": 6}}]));
    assert_eq!(other["superstep"], json!([{"what": "list@8", "one": [5, 30], "other": [6, 30]}]));
    assert_eq!(other["outputs"], json!([{"what": "each", "one": [6, 31], "other": [7, 31]}]));
    let table = home.line("diff a c").with(0).stdout;
    let head = table.lines().next().unwrap().split_whitespace().collect::<Vec<_>>();
    assert_eq!(head, ["WHAT", "ONE:", "A", "OTHER:", "C"]);
    assert!(table.contains("superstep 8: list@8") && table.contains("output each"), "{table}");
    home.line("diff a nobody").with(2).saying("run \"nobody\" is not in the store");
}

#[test]
fn a_run_that_ended_earlier_differs_where_the_other_goes_on() {
    let home = Home::new();
    let limited = std::fs::read_to_string("tests/graphs/limited.yaml").unwrap();
    let longer = home.file("longer.yaml", &limited.replace("supersteps: 3", "supersteps: 5"));
    home.line("run -f tests/graphs/limited.yaml --run-id short").with(3);
    home.run(["run", "-f", &longer, "--run-id", "long"]).with(3);
    let told = home.line("diff short long --output json").with(0).json();
    assert_eq!(told["firstDifference"], 3);
    assert_eq!(told["superstep"], json!([{"what": "count@3", "one": null, "other": 4}]));
    assert_eq!(told["outputs"], json!([{"what": "count", "one": [1, 2, 3], "other": [1, 2, 3, 4, 5]}]));
}
