//! Questions to people: answered, refused, and not answered in time.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use superstep_engine::{FailureClass, QuestionId};

use super::*;

fn spec(human: Value) -> Value {
    json!({"entry": ["approve"], "vertices": [{"name": "approve", "human": human}]})
}

fn stays(heard: &Arc<Heard>) -> Setup {
    Setup { leave_when_paused: false, ..setup(programs(), heard) }
}

async fn first_question(heard: &Heard) -> QuestionId {
    while asked(heard).is_empty() {
        tokio::task::yield_now().await;
    }
    asked(heard).remove(0).0
}

#[tokio::test]
async fn answers_that_do_not_fit_are_refused_and_leave_no_trace() {
    let heard = Arc::new(Heard::default());
    let store = Store::memory();
    let human = json!({"prompt": "Refund?", "schema": {"type": "boolean"}});
    let run = Run::create(stays(&heard), &store, new_run(spec(human))).unwrap();
    let handle = run.handle();
    let answering = async {
        let asking = first_question(&heard).await;
        let other = QuestionId { number: 9, ..asking.clone() };
        let refused = handle.answer(other, Payload::from(json!(true))).await.unwrap_err();
        assert!(matches!(refused, AnswerError::NotAsked { .. }), "{refused}");
        let refused = handle.answer(asking.clone(), Payload::from(json!("yes"))).await.unwrap_err();
        assert!(refused.to_string().contains("\"yes\" is not of type \"boolean\""), "{refused}");
        let taken = handle.answer(asking.clone(), Payload::from(json!(true)));
        let again = handle.answer(asking.clone(), Payload::from(json!(false)));
        let same = handle.answer(asking, Payload::from(json!(true)));
        assert_eq!((taken.await, same.await), (Ok(()), Ok(())));
        assert!(again.await.is_err(), "a question is answered once");
    };
    let end = tokio::join!(run.drive(), answering).0.unwrap().unwrap();
    assert_eq!(end.outputs.value(), &json!({"approve": true}));
    let (_, records) = read_run(&store, &"test".parse().unwrap()).unwrap();
    assert_eq!(records.iter().filter(|record| matches!(record, Record::Answered { .. })).count(), 1);
    assert_eq!(handle.answer(first_question(&heard).await, Payload::null()).await, Err(AnswerError::Gone));
}

#[tokio::test(start_paused = true)]
async fn the_default_is_taken_when_nobody_answers_in_time() {
    for default in [Some(json!({"approved": false})), None] {
        let heard = Arc::new(Heard::default());
        let mut human = json!({"prompt": "Refund?", "timeout": "24h"});
        if let Some(default) = &default {
            human["default"] = default.clone();
        }
        let run = Run::create(stays(&heard), &Store::memory(), new_run(spec(human))).unwrap();
        let end = run.drive().await.unwrap().unwrap();
        assert_eq!(asked(&heard).len(), 1, "nobody is asked twice");
        match default {
            Some(default) => assert_eq!(end.outputs.value(), &json!({ "approve": default })),
            None => {
                let RunStatus::Failed { failure, .. } = end.status else { panic!("{:?}", end.status) };
                assert_eq!(failure.class, FailureClass::Timeout);
                assert!(failure.message.contains("nobody answered within 24h"), "{failure}");
            }
        }
    }
}

#[tokio::test]
async fn a_deadline_holds_while_nobody_drives_the_run() {
    // A machine may be so busy that the run is not left before a short time is over.
    let mut timeouts = ["1s", "10s", "60s"].into_iter();
    let (store, heard) = loop {
        let (store, heard) = (Store::memory(), Arc::new(Heard::default()));
        let timeout = timeouts.next().expect("a minute is long enough");
        let human = json!({"prompt": "Refund?", "timeout": timeout, "default": "no"});
        let run = Run::create(setup(programs(), &heard), &store, new_run(spec(human))).unwrap();
        if run.drive().await.unwrap().is_none() {
            break (store, heard);
        }
    };
    let deadline = asked(&heard)[0].1["deadline"].clone();
    let due = UNIX_EPOCH + Duration::from_millis(deadline.as_u64().unwrap() + 100);
    std::thread::sleep(due.duration_since(SystemTime::now()).unwrap_or_default());
    let name = "test".parse().unwrap();
    let late = (asked(&heard)[0].0.clone(), Payload::from(json!("yes")));
    let refused = answer_left(&store, &name, &Arc::new(programs()), "test", late).await.unwrap_err();
    assert!(matches!(refused, RunError::Answer { source: AnswerError::Late { .. }, .. }), "{refused}");
    let run = Run::resume(setup(programs(), &heard), &store, &name).unwrap();
    let end = run.drive().await.unwrap().unwrap();
    assert_eq!(end.outputs.value(), &json!({"approve": "no"}));
    assert_eq!(asked(&heard)[1].1["deadline"], deadline, "it is told again as it was");
}

#[tokio::test]
async fn a_run_that_was_left_is_answered_in_its_log() {
    let store = Store::memory();
    let name: RunName = "test".parse().unwrap();
    let heard = Arc::new(Heard::default());
    let spec = json!({
        "entry": ["one", "two"],
        "vertices": [
            {"name": "one", "human": {"prompt": "One?", "schema": {"type": "integer"}}},
            {"name": "two", "human": {"prompt": "Two?"}},
        ],
    });
    let run = Run::create(setup(programs(), &heard), &store, new_run(spec)).unwrap();
    assert_eq!(run.drive().await.unwrap(), None);
    let programs = Arc::new(programs());
    let open = || {
        let (_, records) = read_run(&store, &name).unwrap();
        let open = open_questions(&name, &records, &programs).unwrap();
        open.into_iter().map(|(id, _)| id.activation.vertex.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(open(), ["one", "two"]);
    let [one, two] = [asked(&heard)[0].0.clone(), asked(&heard)[1].0.clone()];
    let answer = |activation: &QuestionId, answer: Value| {
        let given = (activation.clone(), Payload::from(answer));
        answer_left(&store, &name, &programs, "test", given)
    };
    let unfit = answer(&one, json!("x")).await.unwrap_err();
    assert!(unfit.to_string().contains("integer"), "{unfit}");
    answer(&one, json!(1)).await.unwrap();
    assert_eq!(open(), ["two"]);
    assert!(answer(&one, json!(2)).await.is_err(), "a question is answered once");
    // The run may be left again before all is answered.
    let run = Run::resume(setup(super::programs(), &heard), &store, &name).unwrap();
    assert_eq!(run.drive().await.unwrap(), None);
    assert_eq!(open(), ["two"]);
    answer(&two, json!("2")).await.unwrap();
    let run = Run::resume(setup(super::programs(), &heard), &store, &name).unwrap();
    let end = run.drive().await.unwrap().unwrap();
    assert_eq!(end.outputs.value(), &json!({"one": 1, "two": "2"}));
}

#[tokio::test]
async fn each_element_asks_and_is_answered_by_itself() {
    let heard = Arc::new(Heard::default());
    let spec = json!({
        "entry": ["split"],
        "vertices": [
            {"name": "split", "function": {"cel": "['a', 'b']"}},
            {"name": "approve", "forEach": {}, "human": {"prompt": "{{ element }}?"}},
        ],
        "edges": [{"from": "split", "to": "approve"}],
    });
    let run = Run::create(stays(&heard), &Store::memory(), new_run(spec)).unwrap();
    let handle = run.handle();
    let answering = async {
        while asked(&heard).len() < 2 {
            tokio::task::yield_now().await;
        }
        for (activation, ask) in asked(&heard) {
            let answer = Payload::from(json!(format!("{} yes", ask["prompt"].as_str().unwrap())));
            handle.answer(activation, answer).await.unwrap();
        }
    };
    let end = tokio::join!(run.drive(), answering).0.unwrap().unwrap();
    assert_eq!(end.outputs.value(), &json!({"approve": ["a? yes", "b? yes"]}));
}
