use serde_json::{Value, json};
use superstep_engine::{Resumption, ValueChange};

use super::*;
use crate::programs::Programs;
use crate::programs::tests::given::{activation, vertex};
use crate::question::{answer_at_deadline, check_answer, stamp};

fn human(program: Value) -> VertexSpec {
    vertex(json!({"name": "approve", "human": program, "effects": {"value": "output"}}))
}

fn start(vertex: &VertexSpec, answer: Option<Payload>) -> Outcome {
    let programs = Programs::default();
    let calls = crate::calls::Calls::new(crate::calls::Caller(0), tokio::sync::mpsc::unbounded_channel().0);
    let mut activation = activation(vertex, &[], calls);
    activation.resumption = answer.map(|answer| Resumption { state: Payload::null(), answer });
    match programs.for_vertex(vertex).unwrap().start(activation) {
        Execution::Ready(outcome) => outcome,
        Execution::Running(_) => panic!("a question takes no time"),
    }
}

fn asked(outcome: Outcome) -> Question {
    let Outcome::Suspended(question) = outcome else { panic!("{outcome:?}") };
    question
}

#[test]
fn a_person_is_asked_and_the_answer_has_effects() {
    let vertex = human(json!({"prompt": "Refund? {{ input.text }}", "schema": {"type": "boolean"}}));
    let question = asked(start(&vertex, None));
    let ask = json!({"prompt": "Refund? It crashes.", "schema": {"type": "boolean"}});
    assert_eq!(question.ask.value(), &ask);
    let Outcome::Done(result) = start(&vertex, Some(json!(true).into())) else { panic!("no result") };
    assert_eq!(result.as_output().unwrap().value(), &json!(true));
    assert_eq!(result.value, ValueChange::Set(json!(true).into()));
}

#[test]
fn an_answer_that_does_not_fit_is_asked_for_again() {
    let vertex = human(json!({"prompt": "Refund?", "schema": {"type": "boolean"}}));
    let question = asked(start(&vertex, Some(json!("maybe").into())));
    let refused = HumanQuestion::of(&question).unwrap().refused.unwrap();
    assert!(refused.contains("boolean"), "{refused}");
}

#[test]
fn a_deadline_is_put_in_once_and_then_the_default_is_the_answer() {
    let vertex = human(json!({"prompt": "Refund?", "timeout": "2s", "default": false}));
    let mut question = asked(start(&vertex, None));
    stamp(&mut question, 1_000);
    stamp(&mut question, 5_000);
    let human = HumanQuestion::of(&question).unwrap();
    assert_eq!(human.deadline, Some(3_000));
    assert_eq!(answer_at_deadline(&human).value(), &json!(false));
    let without = HumanQuestion { default: None, ..human };
    let Outcome::Failed(failure) = start(&vertex, Some(answer_at_deadline(&without))) else {
        panic!("it does not fail")
    };
    assert_eq!(failure.class, FailureClass::Timeout);
    assert!(failure.message.contains("within 2s"), "{failure}");
}

#[test]
fn answers_are_judged_by_what_was_asked() {
    let schema =
        json!({"type": "object", "required": ["approved"], "properties": {"approved": {"type": "boolean"}}});
    let human = json!({"prompt": "Refund?", "schema": schema});
    let doubt = json!({"unknownCall": "tool book", "idempotencyKey": "k"});
    let proposal = json!({"proposal": [{"removeVertex": {"name": "b"}}]});
    for (ask, answer, fits) in [
        (&human, json!({"approved": true}), true),
        (&human, json!({"approved": "yes"}), false),
        (&human, json!({"$unanswered": true}), false),
        (&doubt, json!({"retry": true}), true),
        (&doubt, json!({"result": null}), true),
        (&doubt, json!({"retry": false}), false),
        (&doubt, json!("booked"), false),
        (&proposal, json!({"approved": true}), true),
        (&proposal, json!({"approved": false, "why": "too dear"}), true),
        (&proposal, json!({"approved": "yes"}), false),
        (&proposal, json!({"approved": true, "but": 1}), false),
        (&proposal, json!(true), false),
        (&json!("what now?"), json!(1), true),
        (&json!({"prompt": "x", "more": 1}), json!(1), true),
    ] {
        let question = Question { ask: ask.clone().into(), state: None };
        assert_eq!(check_answer(&question, &answer.clone().into()).is_ok(), fits, "{ask} {answer}");
    }
}
