use serde_json::{Value, json};

use super::*;

fn spec(value: Value) -> GraphSpec {
    serde_json::from_value(value).unwrap()
}

/// The problems as `severity path: message`, one a line.
fn problems(value: Value) -> String {
    let problems = match validate(&spec(value)) {
        Ok(graph) => graph.warnings().to_vec(),
        Err(Problems(problems)) => problems,
    };
    let lines: Vec<String> =
        problems.iter().map(|problem| format!("{:?} {problem}", problem.severity)).collect();
    lines.join("\n")
}

fn function(name: &str) -> Value {
    json!({"name": name, "function": {"cel": "1"}})
}

#[test]
fn a_good_graph_has_no_problem_and_a_revision_that_no_order_changes() {
    let one = json!({"entry": ["a"], "vertices": [function("a"), function("b")], "edges": [{"from": "a", "to": "b"}]});
    let two = json!({"entry": ["a"], "vertices": [function("b"), function("a")], "edges": [{"to": "b", "from": "a"}]});
    assert_eq!(problems(one.clone()), "");
    assert_eq!(validate(&spec(one)).unwrap().revision(), validate(&spec(two)).unwrap().revision());
}

#[test]
fn every_error_is_reported_at_once_with_its_path() {
    let text = problems(json!({
        "entry": ["stat"],
        "vertices": [
            {"name": "start"},
            {"name": "Bad-name", "function": {"cel": "1"}, "prompt": {"model": "smal", "template": "x"}},
            {"name": "vote", "function": {"cel": "1"}, "join": {"mode": "Quorum"}},
            {"name": "ask", "prompt": {"model": "smal", "template": "x", "sampling": {"topP": 2.0}}},
            {"name": "zero", "prompt": {"model": "small", "template": "x", "sampling": {"topP": 0}}, "retry": {"maxAttempts": 0}},
        ],
        "models": [{"name": "small", "modelServerRef": {"name": "small"}}],
        "edges": [{"from": "start", "to": "vot"}],
        "barrier": {"mode": "Any", "count": 2},
    }));
    for expected in [
        "entry[0]: no vertex is named \"stat\" (did you mean \"start\"?)",
        "vertices[0]: vertex \"start\" has no program",
        "vertices[1].name: \"Bad-name\" is no name",
        "vertices[1].function: vertex \"Bad-name\" has 2 programs",
        "vertices[2].join.count: a Quorum join needs a count",
        "vertices[3].prompt.model: no model is named \"smal\" (did you mean \"small\"?)",
        "vertices[3].prompt.sampling.topP: topP lies between",
        "vertices[4].prompt.sampling.topP: topP is above 0",
        "vertices[4].retry.maxAttempts: maxAttempts is at least 1",
        "edges[0].to: no vertex is named \"vot\" (did you mean \"vote\"?)",
        "barrier.count: count goes with mode Quorum only",
    ] {
        assert!(text.contains(expected), "{expected}\nin\n{text}");
    }
}

#[test]
fn mistakes_of_tools_are_found_at_their_place() {
    let good = json!({
        "entry": ["a"],
        "tools": [
            {"name": "weather", "http": {"url": "https://example.com/{city}"}},
            {"name": "docs", "mcp": {"url": "https://example.com", "allow": ["search", "read"], "idempotent": ["read"]}},
            {"name": "local", "command": {"argv": ["date"]}},
        ],
        "vertices": [
            {"name": "a", "tool": {"name": "weather"}},
            {"name": "b", "tool": {"name": "docs", "mcpTool": "search"}},
        ],
        "edges": [{"from": "a", "to": "b"}],
    });
    assert_eq!(problems(good.clone()), "");
    for (pointer, value, expected) in [
        ("/tools/0/name", json!("docs"), "tools[1].name: \"docs\" is taken by item 0"),
        ("/tools/0", json!({"name": "weather"}), "tools[0]: tool \"weather\" has no kind"),
        ("/tools/0/http/url", json!("example.com"), "tools[0].http.url: \"example.com\" is no address"),
        ("/tools/0/http/auth", json!({}), "tools[0].http.auth: a request shows who sends it in one way"),
        ("/tools/0/timeout", json!("0s"), "tools[0].timeout: a timeout is above 0"),
        ("/tools/1/mcp/argv", json!(["server"]), "tools[1].mcp: a server is reached in one way"),
        ("/tools/1/mcp/allow", json!([]), "tools[1].mcp.allow: none of the server's tools"),
        ("/tools/1/mcp/idempotent", json!(["raed"]), "(did you mean \"read\"?)"),
        ("/tools/2/command/argv", json!([]), "tools[2].command.argv: argv names no program"),
        ("/tools/2/custom", json!({"name": "x"}), "tools[2]: tool \"local\" has 2 kinds"),
        (
            "/vertices/0/tool/name",
            json!("wether"),
            "vertices[0].tool.name: no tool is named \"wether\" (did you",
        ),
        ("/vertices/0/tool/mcpTool", json!("x"), "vertices[0].tool.mcpTool: tool \"weather\" is no server"),
        ("/vertices/1/tool/mcpTool", json!("raed"), "vertices[1].tool.mcpTool: tool \"docs\" does not allow"),
        ("/vertices/1/tool", json!({"name": "docs"}), "(name one in mcpTool: search, read)"),
    ] {
        let mut graph = good.clone();
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        let parent = graph.pointer_mut(parent).unwrap();
        match name.parse::<usize>() {
            Ok(index) => parent[index] = value,
            Err(_) => parent[name] = value,
        }
        let found = problems(graph);
        assert!(found.contains(expected), "{pointer}: {expected}\nin\n{found}");
    }
}

fn joined(join: Value, edges: Value) -> String {
    let mut vertices: Vec<Value> = ["a", "b", "c"].into_iter().map(function).collect();
    vertices.push(json!({"name": "j", "function": {"cel": "1"}, "join": join}));
    problems(json!({"entry": ["a", "b"], "vertices": vertices, "edges": edges}))
}

#[test]
fn a_join_that_cannot_fire_is_rejected() {
    let to_j = json!([{"from": "a", "to": "j"}, {"from": "b", "to": "j"}, {"from": "j", "to": "c"}, {"from": "c", "to": "j"}]);
    let error = "Error vertices[3].join: the join of vertex \"j\" can fire in no run";
    let all = joined(json!({"mode": "All", "of": ["a", "c"], "whenIncomplete": "Fail"}), to_j.clone());
    assert!(!all.contains(error), "an edge outside of activates it: {all}");
    let all = joined(json!({"mode": "All", "whenIncomplete": "Skip"}), to_j.clone());
    assert!(all.contains(error) && all.contains("nothing can come from c"), "{all}");
    let quorum = joined(json!({"mode": "Quorum", "count": 4, "whenIncomplete": "Skip"}), to_j.clone());
    assert!(quorum.contains(error) && quorum.contains("needs 4 predecessors and has 3"), "{quorum}");
    assert!(joined(json!({"mode": "All"}), json!([])).contains(error));
    let fire = joined(json!({"mode": "All"}), to_j.clone());
    assert!(
        fire.contains("Warning vertices[3].join: the join of vertex \"j\" can only fire incomplete"),
        "{fire}"
    );
    assert_eq!(joined(json!({"mode": "Quorum", "count": 2}), to_j), "");
    let entered = problems(json!({
        "entry": ["j"], "edges": [{"from": "c", "to": "j"}],
        "vertices": [function("c"), {"name": "j", "function": {"cel": "1"}, "join": {"mode": "All"}}],
    }));
    assert!(
        entered.contains("the join of vertex \"j\" can fire in no run"),
        "an entry is no firing: {entered}"
    );
}

#[test]
fn a_join_on_a_cycle_is_advised_and_failing_ones_must_name_their_predecessors() {
    let edges = json!([{"from": "a", "to": "j"}, {"from": "b", "to": "j"}, {"from": "j", "to": "a"}, {"from": "a", "to": "c"}]);
    assert!(joined(json!({"mode": "All"}), edges.clone()).contains("lies on a cycle"));
    assert!(joined(json!({"mode": "All", "whenIncomplete": "Fail"}), edges).contains("needs an explicit of"));
}

#[test]
fn what_names_nothing_is_a_warning_where_vertices_may_be_added() {
    let graph = |allow: Value| {
        problems(json!({
            "entry": ["a"], "vertices": [function("a")], "edges": [{"from": "a", "to": "later"}], "mutations": {"allow": allow},
        }))
    };
    assert!(graph(json!([])).starts_with("Error edges[0].to"));
    assert!(graph(json!(["addVertex"])).starts_with("Warning edges[0].to"));
}

#[test]
fn proposals_need_something_that_may_be_asked_for() {
    let graph =
        |policy: Value| problems(json!({"entry": ["a"], "vertices": [function("a")], "mutations": policy}));
    let told = graph(json!({"governance": "Propose"}));
    assert!(
        told.starts_with("Warning mutations.governance: the graph allows its vertices no mutation"),
        "{told}"
    );
    for policy in [
        json!({"governance": "Propose", "allow": ["set"]}),
        json!({"governance": "Deny"}),
        json!({"governance": "Local"}),
        json!({}),
    ] {
        assert_eq!(graph(policy.clone()), "", "{policy}");
    }
    // One who denies what a vertex may ask for need not rewrite the vertex.
    let asking = problems(json!({
        "entry": ["a"], "mutations": {"governance": "Deny", "allow": ["set"]},
        "vertices": [{"name": "a", "function": {"cel": "1"}, "effects": {"mutations": "[]"}}],
    }));
    assert_eq!(asking, "");
}

fn models(models: Value) -> String {
    problems(json!({"entry": ["a"], "vertices": [function("a")], "models": models}))
}

#[test]
fn a_model_is_in_one_place_and_can_be_asked() {
    let external =
        json!({"provider": "OpenAI", "model": "m", "credentialRef": {"name": "openai", "key": "apiKey"}});
    let text = models(json!([
        {"name": "nowhere"},
        {"name": "both", "modelServerRef": {"name": "s"}, "external": external},
        {"name": "good", "external": external},
        {"name": "homeless", "external": {"provider": "OpenAICompatible", "model": "m"}},
        {"name": "open", "external": {"provider": "Ollama", "model": "m", "baseUrl": "http://example.com"}},
        {"name": "closed", "external": {"provider": "Anthropic", "model": "m"}},
        {"name": "odd", "external": {"provider": "Ollama", "model": " ", "timeout": "0s", "prices": {
            "promptPerMillion": -1.0, "completionPerMillion": 1.0}}},
        {"name": "unserved", "external": {"provider": "Superstep", "model": "m"}},
        {"name": "served", "external": {"provider": "Superstep", "model": "m", "baseUrl": "http://m.ns.svc:8000/v1"}},
    ]));
    for expected in [
        "models[0]: model \"nowhere\" is nowhere (give modelServerRef",
        "models[1].external: model \"both\" is in two places (give one of",
        "models[3].external: provider OpenAICompatible has no address of its own (give baseUrl",
        "models[4].external.baseUrl: baseUrl \"http://example.com\" sends prompts",
        "models[5].external: provider Anthropic takes no request without a credential (give credentialRef",
        "models[6].external.model: \" \" is no name of a model",
        "models[6].external.timeout: a request takes some time",
        "models[6].external.prices.promptPerMillion: a price is 0 or more",
        "models[7].external: provider Superstep has no address of its own (give baseUrl",
    ] {
        assert!(text.contains(expected), "{expected}\nin\n{text}");
    }
    assert_eq!(text.lines().count(), 9, "{text}");
}

#[test]
fn fallbacks_are_models_and_end() {
    let model = |name: &str, fallbacks: &[&str]| json!({"name": name, "modelServerRef": {"name": "s"}, "fallbacks": fallbacks});
    assert_eq!(models(json!([model("a", &["b", "c"]), model("b", &["c"]), model("c", &[])])), "");
    let text = models(json!([
        model("alone", &["alone"]),
        model("first", &["second", "thrid"]),
        model("second", &["third"]),
        model("third", &["first", "alone", "alone"]),
    ]));
    for expected in [
        "models[0].fallbacks[0]: model \"alone\" is its own fallback (let the last",
        "models[1].fallbacks[0]: the fallbacks of \"second\" lead back to \"first\"",
        "models[1].fallbacks[1]: no model is named \"thrid\" (did you mean \"third\"?)",
        "models[2].fallbacks[0]: the fallbacks of \"third\" lead back to \"second\"",
        "models[3].fallbacks[0]: the fallbacks of \"first\" lead back to \"third\"",
        "models[3].fallbacks[2]: model \"alone\" stands here already",
    ] {
        assert!(text.contains(expected), "{expected}\nin\n{text}");
    }
}

#[test]
fn a_document_survives_its_own_writing() {
    let graph = spec(json!({
        "entry": ["a"], "vertices": [{"name": "a", "function": {"cel": "1"}, "sends": "Any", "timeout": "5s"},
            {"name": "b", "custom": {"name": "x"}, "sends": ["a"], "forEach": {}}],
        "limits": {"tokens": 5}, "outputs": [{"vertex": "a", "select": "All"}],
    }));
    assert_eq!(spec(serde_json::to_value(&graph).unwrap()), graph);
}

fn router(goal: Value, edges: Value) -> String {
    let vertices = ["a", "b", "end", "aside"].map(function);
    let mut all = vec![json!({"name": "pick", "router": goal})];
    all.extend(vertices);
    problems(json!({"entry": ["pick", "aside"], "vertices": all, "edges": edges}))
}

#[test]
fn an_edge_on_a_port_that_its_sender_never_uses_is_a_doubt() {
    let graph = |program: Value, port: &str| {
        let mut from = json!({"name": "a"});
        from.as_object_mut().unwrap().extend(program.as_object().unwrap().clone());
        problems(json!({
            "entry": ["a"], "vertices": [from, function("b")], "edges": [{"from": "a", "to": "b", "port": port}],
            "models": [{"name": "m", "external": {"provider": "Ollama", "model": "m"}}],
        }))
    };
    let prompt =
        |sampling: Value| json!({"prompt": {"model": "m", "template": "Say.", "sampling": sampling}});
    let retrieve = json!({"retrieve": {"model": "m", "documents": {"cel": "input"}}});
    let told = "Warning edges[0].port: vertex \"a\" sends nothing on port";
    let text = graph(function("a"), "nope");
    assert!(text.contains(&format!("{told} \"nope\" (its ports are out, error)")), "{text}");
    let text = graph(prompt(json!({})), "eror");
    assert!(text.contains(&format!("{told} \"eror\" (did you mean \"error\"?)")), "{text}");
    assert!(graph(prompt(json!({})), "logprobs").contains(told));
    for (program, port) in [
        (function("a"), "error"),
        (prompt(json!({"logprobs": 2})), "logprobs"),
        (retrieve, "indexed"),
        (json!({"router": {"cel": "'nope'"}}), "nope"),
        (json!({"custom": {"name": "p"}}), "nope"),
    ] {
        let text = graph(program.clone(), port);
        assert!(!text.contains("sends nothing"), "{program} {port}: {text}");
    }
}

#[test]
fn a_router_chooses_in_one_way_and_weighs_with_numbers() {
    let edges = json!([{"from": "pick", "to": "a"}, {"from": "pick", "to": "b", "port": "b"}, {"from": "a", "to": "end"}, {"from": "b", "to": "end"}]);
    for (goal, expected) in [
        (json!({"fastest": {"to": "end"}}), ""),
        (
            json!({"cheapest": {"to": "end", "weigh": {"tokens": 1, "latencySeconds": 200}, "explore": 10}}),
            "",
        ),
        (json!({"pareto": {"to": "end", "prefer": "Money"}}), ""),
        (
            json!({}),
            "vertices[0].router: a router chooses in one way (give exactly one of cel, cheapest, fastest, pareto)",
        ),
        (
            json!({"cel": "'out'", "fastest": {"to": "end"}}),
            "vertices[0].router: a router chooses in one way",
        ),
        (
            json!({"fastest": {"to": "edn"}}),
            "vertices[0].router.fastest.to: no vertex is named \"edn\" (did you mean \"end\"?)",
        ),
        (json!({"fastest": {"to": "pick"}}), "vertices[0].router.fastest.to: a router cannot lead to itself"),
        (
            json!({"fastest": {"to": "end", "explore": 0}}),
            "vertices[0].router.fastest.explore: explore is at least 1",
        ),
        (
            json!({"cheapest": {"to": "end", "weigh": {}}}),
            "vertices[0].router.cheapest.weigh: nothing has any weight",
        ),
        (
            json!({"cheapest": {"to": "end", "weigh": {"money": -1}}}),
            "vertices[0].router.cheapest.weigh.money: a weight is",
        ),
    ] {
        let text = router(goal.clone(), edges.clone());
        assert!(text.contains(expected) && text.is_empty() == expected.is_empty(), "{goal}: {text}");
    }
}

#[test]
fn a_router_by_cost_has_a_path_and_a_port_for_each_edge() {
    let fastest = json!({"fastest": {"to": "end"}});
    let edge = |from: &str, to: &str, port: &str| json!({"from": from, "to": to, "port": port});
    let passive = json!({"from": "b", "to": "end", "delivery": "Passive"});
    for (edges, expected) in [
        (
            json!([edge("pick", "a", "a"), edge("pick", "b", "b"), edge("b", "a", "out")]),
            "Error vertices[0].router.fastest.to: no path of active edges leads from \"pick\" to \"end\" (its paths reach a, b: add an edge from one of them to \"end\")",
        ),
        (json!([edge("aside", "end", "out")]), "(no active edge leaves \"pick\")"),
        (
            json!([
                edge("pick", "a", "out"),
                edge("pick", "b", "out"),
                edge("a", "end", "out"),
                edge("b", "end", "out")
            ]),
            "Error edges[1].port: the edges of router \"pick\" to \"a\" and \"b\" share port \"out\", so that both would be taken (give each a port of its own, such as port: b)",
        ),
        (
            json!([edge("pick", "a", "a"), edge("pick", "b", "b"), edge("a", "end", "out"), passive]),
            "Warning edges[1]: router \"pick\" never takes the edge to \"b\"",
        ),
        (json!([edge("pick", "a", "a"), edge("a", "end", "out")]), "there is nothing to choose"),
        (
            json!([{"from": "pick", "to": "end", "when": "true"}, edge("pick", "a", "a"), edge("a", "end", "out")]),
            "Warning edges[0].when: router \"pick\" does not look at conditions",
        ),
        (json!([{"from": "pick", "to": "end", "cost": {"tokens": -1}}]), "edges[0].cost.tokens: a cost is"),
    ] {
        let text = router(fastest.clone(), edges);
        assert!(text.contains(expected), "{expected}\nin\n{text}");
    }
}

#[test]
fn retrieval_keeps_to_its_value_and_its_bounds() {
    let problem = |retrieve: Value, more: Value| {
        let mut vertex = json!({"name": "a", "retrieve": retrieve});
        vertex.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let spec = json!({"entry": ["a"], "vertices": [vertex],
            "models": [{"name": "m", "external": {"provider": "Ollama", "model": "m"}}]});
        match validate(&serde_json::from_value(spec).unwrap()) {
            Ok(graph) => graph.warnings().first().map(ToString::to_string),
            Err(problems) => problems.0.first().map(ToString::to_string),
        }
    };
    let good = json!({"model": "m", "documents": {"cel": "input.documents"}});
    assert_eq!(problem(good.clone(), json!({})), None);
    for (retrieve, more, part) in [
        (json!({"model": "m"}), json!({}), "nothing to be found"),
        (json!({"model": "n"}), json!({}), "no model is named"),
        (good.clone(), json!({"effects": {"append": "1"}}), "in the value of the vertex"),
        (good.clone(), json!({"effects": {"value": "1"}}), "in the value of the vertex"),
        (good, json!({"forEach": {}}), "for each element"),
        (json!({"model": "m", "documents": {}}), json!({}), "exactly one place"),
        (json!({"model": "m", "documents": {"files": []}}), json!({}), "no file"),
        (json!({"model": "m", "documents": {"inline": [{"id": "", "text": "a"}]}}), json!({}), "not empty"),
        (json!({"model": "m", "documents": {"cel": "[]"}, "top": 1001}), json!({}), "1 and 1000"),
        (
            json!({"model": "m", "documents": {"cel": "[]"}, "chunk": {"characters": 15}}),
            json!({}),
            "16 characters",
        ),
    ] {
        let found = problem(retrieve.clone(), more).unwrap_or_default();
        assert!(found.contains(part), "{retrieve}: {found}");
    }
}
