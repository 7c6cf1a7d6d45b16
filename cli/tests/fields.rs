//! What fields do, from the file to what comes of it, where no test nearer to the code shows it.

use std::fs;
use std::path::Path;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::command::{Ended, Home, Running, until};
use crate::providers::{Fake, completion};

/// A graph with this spec, run as `r`; `more` further documents.
fn graph(spec: &Value, more: &[Value]) -> String {
    let graph = json!({"apiVersion": "superstep.dev/v1alpha1", "kind": "AgentGraph", "metadata": {"name": "g"}, "spec": spec});
    more.iter().chain([&graph]).map(|document| format!("{document}\n---\n")).collect()
}

fn script(script: Value) -> Value {
    json!({"apiVersion": "superstep.dev/v1alpha1", "kind": "ModelServer", "metadata": {"name": "m"},
        "spec": {"engine": {"scripted": script}}})
}

fn run(home: &Home, spec: &Value, more: &[Value]) -> Ended {
    let file = home.file("graph.yaml", &graph(spec, more));
    let mut command = home.command(["run", "-f", &file, "--run-id", "r"]);
    Running::start(command.env("PATH", std::env::var_os("PATH").unwrap())).end()
}

/// The models of a graph: one, by a script.
fn scripted() -> Value {
    json!([{"name": "m", "modelServerRef": {"name": "m"}}])
}

const SAMPLING: &str = r#"{"temperature": 0.5, "topP": 0.75, "topK": 40, "minP": 0.25, "presencePenalty": 0.125,
    "frequencyPenalty": -0.5, "repetitionPenalty": 1.5, "seed": 7, "stop": ["END"], "maxTokens": 64}"#;

#[test]
fn sampling_and_system_reach_the_model_from_each_program_that_asks_one() {
    let sampling: Value = serde_json::from_str(SAMPLING).unwrap();
    let drawn = json!({"temperature": 0.5, "top_p": 0.75, "top_k": 40, "min_p": 0.25, "presence_penalty": 0.125,
        "frequency_penalty": -0.5, "repetition_penalty": 1.5, "seed": 7, "stop": ["END"], "max_tokens": 64});
    let common = |more: Value| {
        let mut program = json!({"model": "m", "system": "Be brief.", "sampling": sampling});
        program.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        program
    };
    let verdict = json!({"template": "Judge.", "schema": {"type": "object"}});
    for (kind, program) in [
        ("prompt", common(json!({"template": "Say."}))),
        ("agent", common(json!({"template": "Do."}))),
        ("judge", common(json!({"verdict": verdict}))),
    ] {
        let fake = Fake::new(|_| completion("{}"));
        let model = json!({"provider": "OpenAICompatible", "model": "m", "baseUrl": fake.base_url()});
        let spec = json!({"entry": ["a"], "models": [{"name": "m", "external": model}], "vertices": [{"name": "a", kind: program}]});
        run(&Home::new(), &spec, &[]).with(0);
        let body: Value = fake.requests()[0].body_json().unwrap();
        for (name, value) in drawn.as_object().unwrap() {
            assert_eq!(body[name], *value, "{kind}: {name}");
        }
        let system =
            body["messages"].as_array().unwrap().iter().filter(|message| message["role"] == "system");
        assert!(
            system.clone().any(|message| message["content"].as_str().unwrap().contains("Be brief.")),
            "{kind}"
        );
    }
}

#[test]
fn what_a_provider_cannot_do_is_said_in_the_prompt() {
    for (calls_tools, keeps_schemas) in [(true, true), (false, false)] {
        let answer = if calls_tools { "{\"a\": 1}" } else { "{\"answer\": {\"a\": 1}}" };
        let fake = Fake::new(move |request| {
            let is_agent = request["messages"].to_string().contains("Do.");
            completion(if is_agent { answer } else { "{\"a\": 1}" })
        });
        let model = json!({"provider": "OpenAICompatible", "model": "m", "baseUrl": fake.base_url(),
            "callsTools": calls_tools, "keepsSchemas": keeps_schemas});
        let schema = json!({"type": "object", "additionalProperties": false, "required": ["a"], "properties": {"a": {"type": "integer"}}});
        let output = json!({"schema": schema});
        let spec = json!({
            "entry": ["ask", "work"],
            "models": [{"name": "m", "external": model}],
            "tools": [{"name": "look", "description": "Looks around.", "command": {"argv": ["true"]}}],
            "vertices": [
                {"name": "ask", "prompt": {"model": "m", "template": "Say.", "output": output}},
                {"name": "work", "agent": {"model": "m", "template": "Do.", "tools": ["look"], "output": output}},
            ],
        });
        let ended = run(&Home::new(), &spec, &[]).with(0);
        assert_eq!(ended.json(), json!({"ask": {"a": 1}, "work": {"a": 1}}));
        let bodies: Vec<Value> = fake.requests().iter().map(|request| request.body_json().unwrap()).collect();
        let of = |text: &str| bodies.iter().find(|body| body["messages"].to_string().contains(text)).unwrap();
        assert_eq!(of("Do.").get("tools").is_some(), calls_tools);
        assert_eq!(of("Do.")["messages"].to_string().contains("Looks around."), !calls_tools);
        assert_eq!(of("Say.")["response_format"]["type"] == "json_schema", keeps_schemas);
    }
}

#[test]
fn each_limit_ends_a_run_by_its_name() {
    let ask = |name: &str| json!({"name": name, "prompt": {"model": "m", "template": "x"}});
    let spin = json!({"name": "a", "function": {"cel": "1"}});
    let around = json!([{"from": "a", "to": "a"}]);
    let list = json!({"name": "a", "function": {"cel": "[1, 2, 3]"}});
    let each = json!({"name": "each", "forEach": {}, "function": {"cel": "element"}});
    let prompts = json!({"entry": ["a", "b"], "vertices": [ask("a"), ask("b")]});
    for (limit, value, mut spec) in [
        ("supersteps", json!(2), json!({"entry": ["a"], "vertices": [spin], "edges": around})),
        ("activations", json!(2), json!({"entry": ["a"], "vertices": [spin], "edges": around})),
        ("calls", json!(1), prompts.clone()),
        ("tokens", json!(300), prompts.clone()),
        ("cost", json!(300), prompts),
        ("duration", json!("30ms"), json!({"entry": ["slow"], "vertices": [ask("slow")]})),
        (
            "fanOut",
            json!(2),
            json!({"entry": ["a"], "vertices": [list, each], "edges": [{"from": "a", "to": "each"}]}),
        ),
        (
            "depth",
            json!(3),
            json!({"entry": ["in"], "vertices": [{"name": "in", "graph": {"ref": {"name": "g"}}}]}),
        ),
    ] {
        spec["limits"] = json!({limit: value});
        spec["models"] = scripted();
        let prices = json!({"promptPerMillion": 1_000_000, "completionPerMillion": 1_000_000});
        let rules = json!([{"vertex": "slow", "answer": "late", "latency": "1h"}]);
        let model = script(json!({"otherwise": "x", "prices": prices, "rules": rules}));
        run(&Home::new(), &spec, &[model]).with(3).saying(&format!("limits.{limit}"));
    }
}

#[test]
fn edges_are_changed_by_their_port_and_mutations_beyond_the_limit_are_refused() {
    let mutations = "superstep > 0 ? [] : [\
        {'set': {'edge': {'from': 'a', 'port': 'right', 'to': 'b'}, 'field': 'transform', 'value': 'message + 100'}},\
        {'removeEdge': {'from': 'a', 'port': 'left', 'to': 'b'}}]";
    for (limit, later, refused) in [(2, 101, false), (1, 1, true)] {
        let spec = json!({
            "entry": ["a"],
            "vertices": [
                {"name": "a", "router": {"cel": "['left', 'right']", "payload": "superstep"},
                    "effects": {"mutations": mutations}},
                {"name": "b", "function": {"cel": "messages.map(m, m.payload)"}},
            ],
            "edges": [
                {"from": "a", "port": "left", "to": "b"},
                {"from": "a", "port": "right", "to": "b"},
                {"from": "a", "port": "left", "to": "a", "when": "superstep == 0"},
            ],
            "outputs": [{"vertex": "b", "select": "All"}, {"vertex": "a", "select": "First"}],
            "limits": {"mutations": limit},
            "mutations": {"allow": ["set", "removeEdge"]},
        });
        let home = Home::new();
        let result = run(&home, &spec, &[]).with(0).json();
        // The messages of superstep 0 were on their way before the change.
        assert_eq!(result, json!({"b": [[0, 0], [later]], "a": 0}));
        let told = home.line("inspect r --output json").with(0).json();
        let mutations = told["supersteps"][0]["mutations"].as_array().unwrap();
        let set = mutations.iter().find(|told| told["change"] == "sets transform of edge a → b").unwrap();
        assert_eq!(set["verdict"].as_str().unwrap().starts_with("refused"), refused, "{set}");
    }
}

#[test]
fn aggregators_combiners_and_barriers_are_those_of_the_file() {
    let counting = |name: &str| {
        json!({"name": name, "value": 0, "function": {"cel": "value + 1"},
            "effects": {"value": "output", "contribute": {"sum": "output", "least": "output", "most": "output",
                "number": "output", "latest": "output", "whole": "output", "kept": "output"}}})
    };
    let fold = |name: &str, fold: &str| json!({"name": name, "fold": fold});
    let spec = json!({
        "entry": ["a", "b"],
        "vertices": [
            counting("a"), counting("b"),
            {"name": "look", "function": {"cel": "aggregates"}},
        ],
        "edges": [{"from": "a", "to": "a", "when": "message < 3"}, {"from": "b", "to": "look"}, {"from": "a", "to": "look", "when": "message == 3"}],
        "aggregators": [
            fold("sum", "Sum"), fold("least", "Min"), fold("most", "Max"), fold("number", "Count"),
            fold("latest", "Last"), fold("whole", "Append"), {"name": "kept", "fold": "Sum", "persistent": true},
        ],
        "outputs": [{"vertex": "look", "select": "All"}],
    });
    let seen = run(&Home::new(), &spec, &[]).with(0).json();
    let first =
        json!({"sum": 2, "least": 1, "most": 1, "number": 2, "latest": 1, "whole": [1, 1], "kept": 2});
    let last = json!({"sum": 3, "least": 3, "most": 3, "number": 1, "latest": 3, "whole": [3], "kept": 7});
    assert_eq!(seen["look"], json!([first, last]));
    for (combiner, expected) in [
        ("Sum", json!([9])),
        ("Min", json!([4])),
        ("Max", json!([5])),
        ("First", json!([4])),
        ("Last", json!([5])),
        ("Append", json!([[4, 5]])),
    ] {
        let spec = json!({
            "entry": ["a"],
            "vertices": [
                {"name": "a", "router": {"cel": "['x', 'y']", "payload": "1"}},
                {"name": "b", "combiner": combiner, "function": {"cel": "messages.map(m, m.payload)"}},
            ],
            "edges": [{"from": "a", "port": "x", "to": "b", "transform": "message + 3"},
                {"from": "a", "port": "y", "to": "b", "transform": "message + 4"}],
        });
        assert_eq!(run(&Home::new(), &spec, &[]).with(0).json()["b"], expected, "{combiner}");
    }
    // One is done at once and goes on alone, the other two need an hour: only a barrier that does not wait ends the run.
    for (barrier, committed) in [
        (json!({"mode": "Any"}), true),
        (json!({"mode": "Quorum", "count": 1}), true),
        (json!({"mode": "All"}), false),
    ] {
        let wait = |name: &str| json!({"name": name, "prompt": {"model": "m", "template": "x"}});
        let spec = json!({
            "entry": ["quick", "slow"], "models": scripted(), "barrier": barrier,
            "vertices": [wait("quick"), wait("slow"), {"name": "next", "function": {"cel": "'went on'"}}],
            "edges": [{"from": "quick", "to": "next"}],
            "outputs": [{"vertex": "next"}],
        });
        let rules = json!([{"vertex": "slow", "answer": "late", "latency": "1h"}, {"answer": "soon"}]);
        let goes_on = |duration: &str| {
            let mut spec = spec.clone();
            spec["limits"] = json!({"duration": duration});
            let result = run(&Home::new(), &spec, &[script(json!({"rules": rules}))]).with(3).json();
            result["next"] == "went on"
        };
        // On a busy machine a second may be too short to go on in.
        let went_on = if committed { ["1s", "10s", "60s"].into_iter().any(goes_on) } else { goes_on("2s") };
        assert_eq!(went_on, committed, "{barrier}");
    }
}

#[test]
fn commands_see_the_variables_that_their_document_names() {
    let show = |environment: Value| json!({"argv": ["sh", "-c", "cat > /dev/null; printf '%s' \"$CHOSEN-$OTHER\""], "environment": environment});
    let spec = json!({
        "entry": ["tool", "function"],
        "tools": [{"name": "show", "command": show(json!(["CHOSEN"]))}],
        "vertices": [{"name": "tool", "tool": {"name": "show"}}, {"name": "function", "function": {"command": show(json!(["CHOSEN"]))}}],
    });
    let home = Home::new();
    let file = home.file("graph.yaml", &graph(&spec, &[]));
    let mut command = home.command(["run", "-f", &file]);
    command.env("PATH", std::env::var_os("PATH").unwrap()).env("CHOSEN", "seen").env("OTHER", "hidden");
    let result = Running::start(&mut command).end().with(0).json();
    assert_eq!(result, json!({"tool": {"text": "seen-"}, "function": {"text": "seen-"}}));
}

/// A command that says that it began and then waits to be told to end.
fn waiting(folder: &Path) -> Value {
    let folder = folder.display();
    let script = format!(
        "cat > /dev/null; echo x >> {folder}/began; while [ -d {folder} ] && [ ! -e {folder}/go ]; do sleep 0.02; done; echo '\"done\"'"
    );
    json!({"argv": ["sh", "-c", script], "timeout": "1h"})
}

#[test]
fn a_command_in_flight_at_a_kill_is_run_again_or_failed_or_asked_about_as_its_vertex_says() {
    for (on_unknown, runs) in [("Retry", 2), ("Fail", 1), ("Ask", 1)] {
        let home = Home::new();
        let vertex =
            json!({"name": "a", "onUnknown": on_unknown, "function": {"command": waiting(home.path())}});
        let spec = json!({"entry": ["a"], "vertices": [vertex]});
        let file = home.file("graph.yaml", &graph(&spec, &[]));
        let path = std::env::var_os("PATH").unwrap();
        let running = Running::start(home.command(["run", "-f", &file, "--run-id", "r"]).env("PATH", &path));
        let began = || fs::read_to_string(home.path().join("began")).unwrap_or_default().lines().count();
        until("the command has begun", || began() == 1);
        running.signal(Signal::KILL);
        running.end();
        home.file("go", "");
        let ended = Running::start(home.command(["resume", "r"]).env("PATH", &path)).end();
        match on_unknown {
            "Retry" => assert_eq!(ended.with(0).json(), json!({"a": "done"})),
            "Fail" => drop(ended.with(1).saying("unknown")),
            _ => drop(ended.with(4).saying("unknownCall")),
        }
        assert_eq!(began(), runs, "{on_unknown}");
    }
}

#[test]
fn a_rubric_grades_on_its_scale_by_its_criteria() {
    let rubric = json!({"subject": "x", "scale": {"min": 0, "max": 9},
        "criteria": [{"name": "depth", "description": "It goes deep."}]});
    let spec = json!({"entry": ["a"], "models": scripted(), "vertices": [{"name": "a", "judge": {"model": "m", "rubric": rubric}}]});
    let rule = |score: i64| {
        let grade = json!({"depth": {"reason": "r", "score": score}});
        script(json!({"rules": [{"contains": "- depth: It goes deep.", "answer": grade}]}))
    };
    assert_eq!(run(&Home::new(), &spec, &[rule(9)]).with(0).json()["a"]["score"], 9.0);
    assert_eq!(run(&Home::new(), &spec, &[rule(0)]).with(0).json()["a"]["score"], 0.0);
    run(&Home::new(), &spec, &[rule(10)]).with(1).saying("10 is greater than the maximum of 9");
}

#[test]
fn prices_of_a_model_server_are_charged() {
    let spec = json!({"entry": ["a"], "models": scripted(), "vertices": [{"name": "a", "prompt": {"model": "m", "template": "Say it."}}]});
    let mut model = script(json!({"otherwise": "Four bytes are one token."}));
    model["spec"]["prices"] = json!({"promptPerMillion": 1_000_000, "completionPerMillion": 1_000_000_000});
    let home = Home::new();
    run(&home, &spec, &[model]).with(0);
    let summary = home.line("inspect r --output json").with(0).json()["summary"].clone();
    assert_eq!((&summary["promptTokens"], &summary["completionTokens"]), (&json!(2), &json!(7)));
    assert_eq!(summary["cost"], 7_002.0);
}

#[test]
fn edges_of_files_are_walked_and_kept_by_the_run() {
    let home = Home::new();
    home.file("links.jsonl", "[\"a\", \"b\"]\n{\"from\": \"b\", \"to\": 7, \"weight\": 2}\n");
    let algorithm = json!({"shortestPaths": {"from": "'a'"}, "edges": {"files": ["links.jsonl"]}});
    let spec = json!({"entry": ["walk"], "vertices": [{"name": "walk", "algorithm": algorithm}]});
    let found = run(&home, &spec, &[]).with(0).json();
    let distances = json!({"7": 3.0, "a": 0.0, "b": 1.0});
    assert_eq!(found, json!({"walk": {"distances": distances, "vertices": 3, "edges": 2}}));
    // The log has what the file held, and is read without it.
    fs::remove_file(home.path().join("links.jsonl")).unwrap();
    let shown = home.line("inspect r --output json").with(0).json();
    assert_eq!(shown["outputs"], found);
}
