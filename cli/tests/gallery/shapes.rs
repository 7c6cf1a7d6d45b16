//! One vertex, a chain, a choice, cycles, and a graph without a model.

use serde_json::json;

use super::{command, play, play_with};
use crate::command::Home;

#[test]
fn one_vertex_is_a_graph() {
    let played = play("one-vertex");
    assert_eq!(played.ran(), ["summarise"]);
    assert_eq!(played.result, json!({"summarise": {"text": "The office is cold until Thursday."}}));
}

#[test]
fn a_chain_hands_on_what_it_wrote_and_shows_what_came_before() {
    let played = play("chain");
    assert_eq!(played.ran(), ["outline", "write", "entitle", "page"]);
    // The script answers only if the text of write is in the prompt, which came over the edge.
    assert_eq!(played.result["page"]["title"], "The Patient Sea");
    assert_eq!(played.result["page"]["body"], played.output("write@1")["text"]);
    // Over a passive edge a message is delivered as it comes, and wakes nobody.
    assert_eq!(played.messages("outline", "entitle"), ["Delivered"]);
}

#[test]
fn a_router_wakes_one_expert() {
    for (text, expert) in [("a router", "lab"), ("an invoice", "bank"), ("the weather", "desk")] {
        let played = play_with("routing", Some(json!({"text": format!("What of {text}?")})));
        assert_eq!(played.ran(), ["classify", "route", expert]);
        assert!(played.result[expert]["text"].is_string(), "{}", played.result);
    }
}

#[test]
fn the_critic_sends_the_text_round_until_it_is_good() {
    let played = play("critic");
    assert_eq!(played.ran(), ["write", "review", "write", "review", "publish"]);
    assert!(played.output("review@1")["score"].as_f64() < Some(4.0));
    assert_eq!(played.result["publish"]["text"], "Blue light is scattered most by the air.");
    assert_eq!(played.messages("review", "publish"), ["Filtered", "Delivered"]);
}

#[test]
fn a_critic_who_is_never_content_has_the_last_word_in_superstep_five() {
    let home = Home::new();
    let folder = "../manifests/examples/critic";
    let script = std::fs::read_to_string(format!("{folder}/script.yaml")).unwrap();
    let strict = home.file("strict.yaml", &script.replace("contains: scattered", "contains: never said"));
    let graph = format!("{folder}/graph.yaml");
    let input = format!("@{folder}/input.json");
    home.run(["run", "-f", &graph, &strict, "--input", &input, "--run-id", "a"]).with(0);
    let result = home.line("resume a").with(0).json();
    let played = super::Played::of(home, result);
    assert_eq!(played.ran(), ["write", "review", "write", "review", "write", "review", "publish"]);
    assert!(played.result["publish"]["score"].as_f64() < Some(4.0));
}

#[test]
fn the_greatest_value_spreads_until_all_are_silent() {
    let played = play("maximum");
    assert_eq!(played.ran(), ["a b c d", "a b c d", "b c", "b d"]);
    for vertex in ["a", "b", "c", "d"] {
        assert_eq!(played.result[vertex]["best"], 6);
    }
    // b knew it from the beginning, and told it once to each neighbour.
    assert_eq!(played.messages("b", "a")[0], "Delivered");
    assert!(played.messages("b", "a")[1..].iter().all(|status| *status == "Filtered"));
}

#[test]
fn the_most_cited_of_two_sources_come_first() {
    let played = play("influence");
    assert_eq!(played.ran(), ["archive library", "rank", "report"]);
    assert_eq!(played.result["report"]["first"], json!(["bsp", "pregel", "giraph"]));
    // One of the six vertices has no edge.
    let ranked = played.output("rank@1");
    assert_eq!((&ranked["vertices"], &ranked["edges"]), (&json!(6), &json!(7)));
    let scores: Vec<f64> =
        ranked["top"].as_array().unwrap().iter().map(|found| found["score"].as_f64().unwrap()).collect();
    assert!(scores.is_sorted_by(|one, other| one >= other) && scores.iter().sum::<f64>() < 1.0, "{scores:?}");
}

#[test]
fn a_graph_is_used_three_times_and_alone() {
    let played = play("sub-graph");
    assert_eq!(played.result, json!({"card": ["Salut", "Guten Tag", "Salve"]}));
    assert_eq!(
        played.ran(),
        [
            "text",
            "1/forth 2/forth 3/forth",
            "1/back 2/back 3/back",
            "1/pair 2/pair 3/pair",
            "french german latin",
            "card"
        ]
    );
    let folder = "manifests/examples/sub-graph";
    let alone = ["run", "-f", folder, "--graph", "translate", "--ephemeral", "--input", "\"Good morning\""];
    let dutch = [&alone[..], &["--parameters", "{\"language\": \"Dutch\"}"]].concat();
    let translated = command(&Home::new(), &dutch).with(0).json();
    assert_eq!(translated, json!({"pair": {"text": "Goedemorgen", "back": "Hello"}}));
    command(&Home::new(), &alone).with(2).saying("language");
}

#[test]
fn a_router_tries_both_paths_and_stays_with_the_cheaper_one() {
    let played = play("cheapest-path");
    let by: Vec<_> =
        played.result["collect"].as_array().unwrap().iter().map(|answered| &answered["by"]).collect();
    assert_eq!(by, ["brief", "write", "brief", "brief"]);
    let answers: Vec<_> =
        played.result["collect"].as_array().unwrap().iter().map(|answered| &answered["answer"]).collect();
    assert_eq!(answers, ["Paris", "Lisbon", "Rome", "Madrid"]);
    // The next run knows what this one has measured, and tries nothing.
    let folder = "manifests/examples/cheapest-path";
    let input = format!("@{folder}/input.json");
    let again = command(&played.home, &["run", "-f", folder, "--input", &input]).with(0).json();
    assert!(again["collect"].as_array().unwrap().iter().all(|answered| answered["by"] == "brief"), "{again}");
}

#[test]
fn an_answer_names_its_sources_and_only_those_that_were_found() {
    let played = play("retrieval");
    assert_eq!(played.ran(), ["library", "answer", "cite"]);
    let found = played.output("library@0");
    assert_eq!((&found["size"], &found["matches"][0]["id"]), (&json!(4), &json!("refunds")));
    assert!(found["matches"].as_array().unwrap().iter().all(|found| found["id"] != "gifts"), "{found}");
    // The answer names an article that it was not shown, too.
    assert!(played.result["cite"]["answer"].as_str().unwrap().contains("[gifts]"));
    let sources = played.result["cite"]["sources"].as_array().unwrap();
    assert_eq!((sources.len(), &sources[0]["id"], &sources[0]["page"]), (1, &json!("refunds"), &json!(4)));
}
