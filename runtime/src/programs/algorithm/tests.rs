use serde_json::json;

use super::*;
use crate::calls::tests::{perform_all, runner};
use crate::programs::tests::given::{self, output, scripted};

async fn walk(program: Value, payloads: &[Value]) -> Result<Value, Failure> {
    let vertex = given::vertex(json!({"name": "walk", "algorithm": program}));
    let (calls, _told) = runner(perform_all);
    let activation = given::activation(&vertex, payloads, calls);
    output(scripted(json!({})).for_vertex(&vertex).unwrap().start(activation).outcome().await)
}

/// Two triangles that share an edge, and a pair apart.
fn kite() -> Value {
    json!([["a", "b"], ["b", "c"], ["c", "a"], ["b", "d"], ["d", "c"], {"from": 10, "to": 9, "weight": 3}])
}

#[tokio::test]
async fn scores_sum_up_to_one_and_the_first_come_in_order() {
    let edges = json!([["a", "hub"], ["b", "hub"], ["hub", "a"], ["c", "hub"]]);
    let found = walk(json!({"pagerank": {}}), std::slice::from_ref(&edges)).await.unwrap();
    let scores = found["scores"].as_object().unwrap();
    assert!((scores.values().map(|score| score.as_f64().unwrap()).sum::<f64>() - 1.0).abs() < 1e-9);
    assert!(scores["hub"].as_f64() > scores["a"].as_f64());
    assert_eq!((&found["vertices"], &found["edges"]), (&json!(4), &json!(4)));
    let top = walk(json!({"pagerank": {}, "top": 3}), &[edges]).await.unwrap();
    let names: Vec<&Value> = top["top"].as_array().unwrap().iter().map(|item| &item["name"]).collect();
    assert_eq!(names, ["hub", "a", "b"]);
    assert_eq!(top["top"][0]["score"], found["scores"]["hub"]);
}

#[tokio::test]
async fn damping_iterations_and_tolerance_are_those_of_the_graph() {
    let edges = || [json!([["a", "b"]])];
    let still = walk(json!({"pagerank": {"damping": 0}}), &edges()).await.unwrap();
    assert_eq!(still["scores"], json!({"a": 0.5, "b": 0.5}));
    // After one iteration b has what a had, and half of its own.
    let one = walk(json!({"pagerank": {"iterations": 1, "damping": 1}}), &edges()).await.unwrap();
    assert_eq!(one["scores"], json!({"a": 0.25, "b": 0.75}));
    let more = walk(json!({"pagerank": {"iterations": 2, "damping": 1}}), &edges()).await.unwrap();
    assert_eq!(more["scores"], json!({"a": 0.375, "b": 0.625}));
    // The first iteration moves half of the mass in all, and the second a quarter.
    let loose = json!({"pagerank": {"iterations": 2, "damping": 1, "tolerance": 0.5}});
    assert_eq!(walk(loose, &edges()).await.unwrap(), one);
}

#[tokio::test]
async fn shares_begin_at_seeds() {
    let two = json!([["a", "b"], ["b", "a"], ["c", "d"], ["d", "c"]]);
    let seeded = |seeds: &str| json!({"pagerank": {"seeds": seeds}});
    let found = walk(seeded("['c']"), std::slice::from_ref(&two)).await.unwrap();
    assert_eq!((&found["scores"]["a"], &found["scores"]["b"]), (&json!(0.0), &json!(0.0)));
    let weighed = walk(seeded("{'c': 3, 'a': 1}"), std::slice::from_ref(&two)).await.unwrap();
    let score = |name: &str| weighed["scores"][name].as_f64().unwrap();
    assert!((score("c") / score("a") - 3.0).abs() < 1e-9, "{weighed}");
    let all = walk(seeded("null"), std::slice::from_ref(&two)).await.unwrap();
    assert_eq!(all, walk(json!({"pagerank": {}}), std::slice::from_ref(&two)).await.unwrap());
    for (seeds, part) in [("['z']", "\"z\""), ("'c'", "seeds are a list"), ("{'c': -1}", "at least 0")] {
        let failure = walk(seeded(seeds), std::slice::from_ref(&two)).await.unwrap_err();
        assert!(failure.message.contains(part), "{failure}");
    }
}

#[tokio::test]
async fn components_and_communities_are_called_by_a_vertex() {
    let found = walk(json!({"components": {}}), &[kite()]).await.unwrap();
    // Whole numbers come before texts, by size.
    assert_eq!(found["labels"], json!({"9": "9", "10": "9", "a": "a", "b": "a", "c": "a", "d": "a"}));
    assert_eq!((&found["count"], &found["vertices"], &found["edges"]), (&json!(2), &json!(6), &json!(6)));
    let top = walk(json!({"components": {}, "top": 1}), &[kite()]).await.unwrap();
    assert_eq!(top["top"], json!([{"label": "a", "size": 4}]));
    // Edges are written one way here and lead both.
    let paths = json!({"labelPropagation": {"iterations": 1}, "undirected": true});
    let found = walk(paths, &[json!([["a", "b"], ["b", "c"]])]).await.unwrap();
    assert_eq!(found["labels"], json!({"a": "b", "b": "a", "c": "b"}));
    let longer = json!({"labelPropagation": {"iterations": 2}, "undirected": true});
    let found = walk(longer, &[json!([["a", "b"], ["b", "c"]])]).await.unwrap();
    assert_eq!(found["labels"], json!({"a": "a", "b": "b", "c": "a"}));
}

#[tokio::test]
async fn the_shortest_paths_go_by_weights_and_one_way() {
    let edges = json!([["a", "b", 5], ["a", "c", 1], ["c", "b", 1.5], ["z", "a"]]);
    let from = |from: &str| json!({"shortestPaths": {"from": from}});
    let found = walk(from("'a'"), std::slice::from_ref(&edges)).await.unwrap();
    assert_eq!(found["distances"], json!({"a": 0.0, "b": 2.5, "c": 1.0}));
    let mut both = from("'a'");
    both["undirected"] = json!(true);
    both["top"] = json!(2);
    let found = walk(both, std::slice::from_ref(&edges)).await.unwrap();
    assert_eq!(found["top"], json!([{"name": "a", "distance": 0.0}, {"name": "c", "distance": 1.0}]));
    let failure = walk(from("'q'"), std::slice::from_ref(&edges)).await.unwrap_err();
    assert!(failure.message.contains("no edge has the vertex \"q\""), "{failure}");
    assert!(walk(from("[1]"), &[edges]).await.unwrap_err().message.contains("shortestPaths.from"));
}

#[tokio::test]
async fn triangles_are_counted_and_shared_out() {
    let found = walk(json!({"triangles": {}}), &[kite()]).await.unwrap();
    assert_eq!(found["count"], 2);
    assert_eq!(found["triangles"], json!({"9": 0, "10": 0, "a": 1, "b": 2, "c": 2, "d": 1}));
    // b has three neighbours, and between them two of six ways.
    assert_eq!(found["clustering"]["b"], 2.0 / 6.0);
    let top = walk(json!({"triangles": {}, "top": 1, "undirected": true}), &[kite()]).await.unwrap();
    assert_eq!(top["top"], json!([{"name": "b", "triangles": 2, "clustering": 4.0 / 6.0}]));
}

#[tokio::test]
async fn edges_come_in_messages_of_every_form_or_are_given() {
    let expected = walk(json!({"components": {}}), &[json!([["a", "b"], ["b", "c"]])]).await.unwrap();
    for payloads in [
        vec![json!(["a", "b"]), json!({"from": "b", "to": "c"})],
        vec![json!({"edges": [["a", "b"], ["b", "c"]]})],
        vec![json!([{"edges": [["a", "b"]], "vertices": ["c"]}, [["b", "c"]]])],
    ] {
        assert_eq!(walk(json!({"components": {}}), &payloads).await.unwrap(), expected, "{payloads:?}");
    }
    let inline = json!({"components": {}, "edges": {"inline": [["a", "b"], {"from": "b", "to": "c"}]}});
    assert_eq!(walk(inline, &[json!("not read")]).await.unwrap(), expected);
    let cel = json!({"components": {}, "edges": {"cel": "messages.map(m, [m.payload, 'b'])"}});
    assert_eq!(walk(cel, &[json!("a"), json!("c")]).await.unwrap()["count"], 1);
    let alone = walk(json!({"components": {}}), &[json!({"edges": [], "vertices": ["x", 1]})]).await.unwrap();
    assert_eq!(alone["labels"], json!({"1": "1", "x": "x"}));
    for (payload, part) in [
        (json!([["a", "b"], ["a"]]), "what came from"),
        (json!({"edges": [["a", "b"]], "nodes": []}), "no member \"nodes\""),
        (json!({"edges": "a"}), "edges is a list"),
        (json!(7), "an edge is"),
    ] {
        let failure = walk(json!({"components": {}}), &[payload]).await.unwrap_err();
        assert!(failure.message.contains(part), "{failure}");
    }
}

#[test]
fn files_that_nobody_read_are_refused() {
    let vertex = given::vertex(
        json!({"name": "walk", "algorithm": {"triangles": {}, "edges": {"files": ["e.jsonl"]}}}),
    );
    let error = scripted(json!({})).for_vertex(&vertex).err();
    assert!(matches!(error, Some(PrepareError::Unread { field: "algorithm.edges", .. })));
}
