//! The graph that is run under faults.

use serde_json::{Value, json};

/// Rounds of the cycle.
const ROUNDS: u32 = 8;
/// Prompts beside each other in each round.
const PROMPTS: usize = 20;
/// Elements of the prompt over a list in each round.
const ELEMENTS: usize = 4;
/// All model calls of a run.
pub const CALLS: usize = ROUNDS as usize * (PROMPTS + ELEMENTS) + 1;

/// 193 model calls in 8 rounds of a cycle: a fan-out to 20 prompts and one over a list, three joins, a router. What
/// each answer says goes into every later prompt, so that a lost or doubled message changes the outcome. The documents
/// of the model server, which is at this address, and of the graph, whose input is `{run: …}`.
pub fn asking(model: &str) -> [Value; 2] {
    let ask = |number: usize| format!("ask{number:02}");
    let mut vertices = vec![
        json!({"name": "begin", "function": {"cel": "{'round': 0, 'text': 'begin'}"}}),
        json!({"name": "round", "function": {"cel": "message"}}),
        json!({"name": "list", "function": {"cel": elements()}}),
        json!({"name": "each", "forEach": {},
            "prompt": {"model": "scripted", "template": "[{{ input.run }}] {{ element }}"}}),
        json!({"name": "gather", "join": {"mode": "All"}, "function": {"cel":
            "{'round': from.round.round + 1, 'text': from.left + '/' + from.right + '/' + \
             from.each.map(one, one.text).join(' ')}"}}),
        json!({"name": "again",
            "router": {"cel": format!("message.round < {ROUNDS} ? 'more' : 'enough'")}}),
        json!({"name": "last", "prompt": {"model": "scripted",
            "template": "[{{ input.run }}] sum up {{ message.text }}"}}),
    ];
    let mut edges = vec![
        json!({"from": "begin", "to": "round"}),
        json!({"from": "round", "to": "list"}),
        json!({"from": "list", "to": "each"}),
        json!({"from": "round", "to": "gather"}),
        json!({"from": "left", "to": "gather"}),
        json!({"from": "right", "to": "gather"}),
        json!({"from": "each", "to": "gather"}),
        json!({"from": "gather", "to": "again"}),
        json!({"from": "again", "port": "more", "to": "round"}),
        json!({"from": "again", "port": "enough", "to": "last"}),
    ];
    for (join, numbers) in [("left", 0..PROMPTS / 2), ("right", PROMPTS / 2..PROMPTS)] {
        let texts: Vec<String> = numbers.clone().map(|number| format!("from.{}.text", ask(number))).collect();
        let text = format!("[{}].join(' ')", texts.join(", "));
        vertices.push(json!({"name": join, "join": {"mode": "All"}, "function": {"cel": text}}));
        for name in numbers.map(ask) {
            let template =
                format!("[{{{{ input.run }}}}] {name} {{{{ message.round }}}} {{{{ message.text }}}}");
            vertices.push(json!({"name": name, "prompt": {"model": "scripted", "template": template}}));
            edges.push(json!({"from": "round", "to": name}));
            edges.push(json!({"from": name, "to": join}));
        }
    }
    let server = json!({
        "apiVersion": "superstep.dev/v1alpha1",
        "kind": "ModelServer",
        "metadata": {"name": "scripted"},
        "spec": {"engine": {"external": {
            "provider": "OpenAICompatible", "model": "scripted", "baseUrl": model, "timeout": "2m",
        }}},
    });
    let graph = json!({
        "apiVersion": "superstep.dev/v1alpha1",
        "kind": "AgentGraph",
        "metadata": {"name": "asking"},
        "spec": {
            "models": [{"name": "scripted", "modelServerRef": {"name": "scripted"}}],
            "entry": ["begin"],
            "vertices": vertices,
            "edges": edges,
            "outputs": [{"vertex": "gather"}, {"vertex": "last"}],
        },
    });
    [server, graph]
}

/// Who sends to whom in [`asking`], of those between whom most messages go.
pub fn messages() -> Vec<(String, String)> {
    let asks = (0..PROMPTS).flat_map(|number| {
        let (ask, join) = (format!("ask{number:02}"), if number < PROMPTS / 2 { "left" } else { "right" });
        [("round".to_owned(), ask.clone()), (ask, join.to_owned())]
    });
    let gather = ["left", "right", "each", "round"].map(|from| (from.to_owned(), "gather".to_owned()));
    asks.chain(gather).collect()
}

/// The expression of the list of a round.
fn elements() -> String {
    let element = |number: usize| format!("'element {number} ' + string(message.round) + ' ' + message.text");
    format!("[{}]", (0..ELEMENTS).map(element).collect::<Vec<_>>().join(", "))
}
