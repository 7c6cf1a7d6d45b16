//! Work in parallel, and how it comes together.

use serde_json::json;

use super::{play, play_with};

#[test]
fn a_task_is_planned_by_its_parts_from_alternatives() {
    let played = play("orchestrator");
    assert_eq!(played.ran(), ["analyse", "decompose", "parts", "bold careful", "pair", "evaluate", "plan"]);
    assert_eq!(played.output("careful@3").as_array().unwrap().len(), 2);
    let winners: Vec<_> =
        played.output("evaluate@5").as_array().unwrap().iter().map(|one| &one["winner"]).collect();
    assert_eq!(winners, ["a", "b"]);
    let steps = &played.result["plan"]["steps"];
    assert_eq!(
        *steps,
        json!([
            {"part": "find a room", "way": "Book the town hall."},
            {"part": "feed the guests", "way": "Cook together."},
        ])
    );
}

#[test]
fn two_sides_debate_for_three_rounds() {
    let played = play("debate");
    assert_eq!(played.ran(), ["contra pro", "contra pro", "contra pro", "verdict", "report"]);
    assert_eq!(played.result["report"]["winner"], "pro");
    let minutes = played.result["report"]["minutes"].as_array().unwrap();
    assert_eq!(minutes.len(), 6);
    // Each answered what the other had said one superstep before.
    assert_eq!(minutes[3], json!({"side": "pro", "said": "People who walk buy more."}));
    assert_eq!(played.messages("pro", "contra"), ["Delivered", "Delivered", "Filtered"]);
    assert_eq!(played.messages("pro", "verdict"), ["Filtered", "Filtered", "Delivered"]);
}

/// The lawyer of the script thinks for an hour: the test would not end if nobody stopped him.
#[test]
fn the_first_two_experts_decide_and_the_third_is_cancelled() {
    let played = play("experts");
    assert_eq!(played.ran(), ["economist", "engineer", "decide"]);
    assert_eq!(played.result["decide"]["yes"], json!(["economist", "engineer"]));
    let fired = &played.supersteps()[2];
    assert_eq!((&fired["cancelled"], &fired["started"]), (&json!(["lawyer@0"]), &json!(1)));
    assert_eq!(played.messages("lawyer", "decide"), [""; 0]);
}

#[test]
fn a_long_document_is_read_by_sections_and_one_that_fails_is_not_missed() {
    let played = play("map-reduce");
    assert_eq!(played.ran(), ["split", "note", "reduce", "report"]);
    let notes = played.output("note@1").as_array().unwrap();
    assert_eq!((notes.len(), notes[2].is_null()), (4, true));
    let report =
        json!({"summary": "Harbour 1871, railway 1884, university 1910.", "sections": 4, "unread": 1});
    assert_eq!(played.result, json!({"report": report}));
}

#[test]
fn a_prompt_is_measured_on_a_data_set() {
    let played = play("evaluation");
    assert_eq!(played.ran(), ["cases", "answer", "answered", "grade", "report"]);
    assert_eq!(played.result["report"]["accuracy"], 0.5);
    let wrong: Vec<_> =
        played.result["report"]["wrong"].as_array().unwrap().iter().map(|case| &case["expected"]).collect();
    assert_eq!(wrong, ["Canberra", "none"]);
    let one = json!({"cases": [{"question": "What is the capital of Italy?", "expected": "Rome"}]});
    let played = play_with("evaluation", Some(one));
    assert_eq!(played.result["report"], json!({"accuracy": 1.0, "wrong": []}));
}

#[test]
fn a_failure_is_tried_again_then_answered_by_another_way_and_the_join_fires_without_it() {
    let played = play("failure");
    assert_eq!(played.ran(), ["spell translate", "apologise", "page"]);
    assert_eq!(
        played.result["page"],
        json!([
            {"from": "apologise", "text": "Not translated: Latin is not offered"},
            {"from": "spell", "text": "The weather is beautiful."},
        ])
    );
    let incomplete = json!([{"vertex": "page", "action": "Fire", "missing": ["translate"]}]);
    assert_eq!(played.supersteps()[2]["incompleteJoins"], incomplete);
}
