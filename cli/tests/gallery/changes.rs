//! Graphs that change while they run.

use serde_json::json;

use super::{play, play_with};

#[test]
fn a_graph_grows_as_many_reviewers_as_the_text_has_risks() {
    let played = play("self-mutating");
    assert_eq!(played.ran(), ["plan", "draft", "review_legal review_privacy", "publish"]);
    assert_eq!(
        played.mutations(0),
        [
            "adds vertex review_legal: applied",
            "adds vertex review_privacy: applied",
            "adds edge draft → review_legal: applied",
            "adds edge draft → review_privacy: applied",
            "adds edge review_legal → publish: applied",
            "adds edge review_privacy → publish: applied",
        ]
    );
    let revisions: Vec<_> = played.supersteps().iter().map(|superstep| &superstep["revision"]).collect();
    assert_ne!(played.story["supersteps"][0]["revision"], json!(null));
    assert!(revisions.windows(2).all(|pair| pair[0] == pair[1]), "one change, at the first barrier");
    let by: Vec<_> =
        played.result["publish"]["reviews"].as_array().unwrap().iter().map(|one| &one["by"]).collect();
    assert_eq!(by, ["review_legal", "review_privacy"]);
    let drawn = played.home.line("render a --format mermaid").with(0).stdout;
    assert!(drawn.contains("v_draft --> v_review_legal"), "{drawn}");
}

#[test]
fn without_risks_it_stays_as_it_is() {
    let played = play_with("self-mutating", Some(json!({"task": "Praise the spring."})));
    assert_eq!(played.ran(), ["plan", "draft", "publish"]);
    assert_eq!((played.mutations(0).len(), &played.result["publish"]["reviews"]), (0, &json!([])));
}

#[test]
fn a_prompt_improves_itself_until_the_judge_is_content() {
    let played = play("prompt-optimiser");
    assert_eq!(
        played.ran(),
        ["write", "judge", "optimise", "write", "judge", "optimise", "write", "judge", "report"]
    );
    let set = "sets prompt.system of write: applied";
    assert_eq!((played.mutations(2), played.mutations(5)), (vec![set.to_owned()], vec![set.to_owned()]));
    let prompt = &played.supersteps()[5]["mutations"][0]["mutation"]["set"]["value"];
    assert_eq!(prompt, "Summarise the text in exactly three words.");
    let report = json!({"answer": "Library reopens Monday", "score": 5.0, "scores": [1.0, 3.0, 5.0]});
    assert_eq!(played.result, json!({"report": report}));
}
