use super::*;
use crate::calls::tests::{perform_all, runner};
use crate::programs::tests::given::{activation, output, scripted, vertex};

async fn judge(script: Value, program: Value) -> (Result<Value, Failure>, usize) {
    let programs = scripted(script);
    let mut program = program;
    program["model"] = json!("small");
    let vertex = vertex(json!({"name": "judge", "judge": program}));
    let (calls, told) = runner(perform_all);
    let program = programs.for_vertex(&vertex).unwrap();
    let outcome = program.start(activation(&vertex, &[], calls)).outcome().await;
    (output(outcome), told.await.unwrap().len() / 2)
}

#[tokio::test]
async fn a_rubric_gives_the_weighted_mean() {
    let rubric = json!({
        "subject": "{{ input.text }}",
        "criteria": [
            {"name": "tone", "description": "it is kind", "weight": 3},
            {"name": "facts", "description": "it is right"},
        ],
    });
    let grades = json!({"tone": {"reason": "warm", "score": 5}, "facts": {"reason": "wrong", "score": 1}});
    let script = json!({"rules": [
        {"last": "<subject>\nIt crashes.\n</subject>", "contains": "- tone: it is kind", "answer": grades},
    ]});
    let (answer, calls) = judge(script, json!({"rubric": rubric.clone()})).await;
    let expected = json!({
        "score": 4.0, "scores": {"tone": 5, "facts": 1}, "reasons": {"tone": "warm", "facts": "wrong"},
    });
    assert_eq!((answer, calls), (Ok(expected), 1));
    let outside = json!({"tone": {"reason": "", "score": 6}, "facts": {"reason": "", "score": 1}});
    let (answer, calls) = judge(json!({"otherwise": outside}), json!({"rubric": rubric})).await;
    assert!(answer.unwrap_err().message.contains("6 is greater than the maximum of 5"));
    assert_eq!(calls, 3);
}

#[tokio::test]
async fn a_pair_is_compared_in_both_orders() {
    let prefers = |text: &str| json!({"contains": text, "answer": {"reason": "better", "winner": "first"}});
    let second = json!({"answer": {"reason": "worse", "winner": "second"}});
    let pair = json!({"a": "{{ input.text }}", "b": "It works.", "question": "How is it?"});
    let once = json!({"a": "{{ input.text }}", "b": "It works.", "swap": false});
    for (rules, program, expected, calls) in [
        (
            json!([prefers("<first>\nIt crashes."), second]),
            &pair,
            json!({"winner": "a", "agreed": true, "reasons": ["better", "worse"]}),
            2,
        ),
        (
            json!([prefers("<first>\nIt works."), second]),
            &pair,
            json!({"winner": "b", "agreed": true, "reasons": ["worse", "better"]}),
            2,
        ),
        (
            json!([prefers("<first>")]),
            &pair,
            json!({"winner": "tie", "agreed": false, "reasons": ["better", "better"]}),
            2,
        ),
        (
            json!([prefers("<first>")]),
            &once,
            json!({"winner": "a", "agreed": true, "reasons": ["better"]}),
            1,
        ),
        (
            json!([{"answer": {"reason": "alike", "winner": "tie"}}]),
            &pair,
            json!({"winner": "tie", "agreed": true, "reasons": ["alike", "alike"]}),
            2,
        ),
    ] {
        let result = judge(json!({"rules": rules.clone()}), json!({"pairwise": program})).await;
        assert_eq!(result, (Ok(expected), calls), "{rules}");
    }
}

#[tokio::test]
async fn a_verdict_is_what_its_schema_says() {
    let verdict = json!({
        "template": "Is it fair? {{ input.text }}",
        "schema": {"type": "object", "required": ["fair"], "properties": {"fair": {"type": "boolean"}}},
    });
    let script = json!({"rules": [{"contains": "strict and fair judge", "answer": {"fair": false}}]});
    let (answer, _) = judge(script, json!({"verdict": verdict.clone()})).await;
    assert_eq!(answer, Ok(json!({"fair": false})));
    let script = json!({"rules": [{"contains": "Be mild.", "answer": {"fair": true}}]});
    let (answer, _) = judge(script, json!({"verdict": verdict, "system": "Be mild."})).await;
    assert_eq!(answer, Ok(json!({"fair": true})));
}
