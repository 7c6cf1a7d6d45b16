use std::sync::atomic::{AtomicU32, Ordering};

use futures::FutureExt as _;
use serde_json::{Value, json};
use superstep_engine::{CallOutcome, CallRequest, Commit, Payload, Question, Usage};
use superstep_graph::validate;
use superstep_store::Store;

use super::*;
use crate::models::Models;
use crate::program::{Activation, Program};
use crate::runner::{NewRun, Run, Setup, read_run};

/// Calls the outside `calls` times, asks it once, and gives what `said` gives for the answers.
#[derive(Clone)]
struct Talker {
    calls: u8,
    asks: bool,
    said: fn(u32) -> Value,
    /// How often the outside was really called.
    made: Arc<AtomicU32>,
    /// How often it ran.
    ran: Arc<AtomicU32>,
}

impl Program for Talker {
    fn start(&self, activation: Activation) -> Execution {
        let talker = self.clone();
        let ran = self.ran.fetch_add(1, Ordering::SeqCst);
        if self.asks && activation.resumption.is_none() {
            let question = Question { ask: json!("really?").into(), state: Some(Payload::null()) };
            return Execution::Ready(Outcome::Suspended(question));
        }
        let talking = async move {
            for number in 0..talker.calls {
                let request = CallRequest {
                    target: format!("outside {number}"),
                    digest: [number; 16],
                    repeatable: true,
                    reserve: Usage { calls: 1, ..Usage::default() },
                };
                let made = Arc::clone(&talker.made);
                let call = move |_| async move {
                    made.fetch_add(1, Ordering::SeqCst);
                    let usage = Usage { calls: 1, ..Usage::default() };
                    CallOutcome { answer: Ok(json!(number).into()), usage }
                };
                activation.calls.perform(request, call).await.unwrap();
            }
            Outcome::Done(ProgramResult::output((talker.said)(ran).into()))
        };
        Execution::Running(talking.boxed())
    }
}

fn talker(calls: u8, asks: bool, said: fn(u32) -> Value) -> Talker {
    Talker { calls, asks, said, made: Arc::default(), ran: Arc::default() }
}

fn programs(talker: &Talker) -> Arc<Programs> {
    let mut programs = Programs::new(Models::default());
    programs.register("talker", Arc::new(talker.clone()));
    Arc::new(programs)
}

fn name() -> RunName {
    "test".parse().unwrap()
}

/// The log of a run of a talker, whose output is doubled; answered once, if it asks.
async fn log(talker: &Talker) -> Vec<Record> {
    let spec = json!({
        "entry": ["a"],
        "vertices": [{"name": "a", "custom": {"name": "talker"}, "effects": {"value": "output"}},
                     {"name": "b", "function": {"cel": "[message, message]"}}],
        "edges": [{"from": "a", "to": "b"}],
    });
    let graph = validate(&serde_json::from_value(spec).unwrap()).unwrap();
    let store = Store::memory();
    let new = NewRun::new(name(), graph, json!({}));
    let run = Run::create(Setup::new(programs(talker)), &store, new).unwrap();
    if run.drive().await.unwrap().is_none() {
        let run = Run::resume(Setup::new(programs(talker)), &store, &name()).unwrap();
        let (_, records) = read_run(&store, &name()).unwrap();
        let (asked, _) =
            crate::runner::open_questions(&name(), &records, &programs(talker)).unwrap().remove(0);
        let answered = run.handle().answer(asked, json!("yes").into());
        assert!(run.drive().await.unwrap().is_some());
        answered.await.unwrap();
    }
    read_run(&store, &name()).unwrap().1
}

async fn again(records: &[Record], talker: &Talker, from: u64) -> Replayed {
    replay(&name(), records, &programs(talker), from).await.unwrap()
}

fn counts(replayed: &Replayed) -> (u64, u64, u64, Option<&str>) {
    let field = replayed.difference.as_ref().map(|difference| difference.field.as_str());
    (replayed.supersteps, replayed.activations, replayed.calls, field)
}

#[tokio::test]
async fn programs_run_again_and_the_outside_does_not() {
    for asks in [false, true] {
        let talker = talker(2, asks, |_| json!(1));
        let records = log(&talker).await;
        let (made, ran) = (talker.made.load(Ordering::SeqCst), talker.ran.load(Ordering::SeqCst));
        let supersteps = if asks { 3 } else { 2 };
        assert_eq!(counts(&again(&records, &talker, 0).await), (supersteps, 2, 2, None));
        assert_eq!(talker.made.load(Ordering::SeqCst), made, "the outside was called");
        assert!(talker.ran.load(Ordering::SeqCst) > ran, "nothing ran");
        // From the last superstep on the talker is not run.
        let ran = talker.ran.load(Ordering::SeqCst);
        assert_eq!(counts(&again(&records, &talker, supersteps - 1).await), (1, 1, 0, None));
        assert_eq!(talker.ran.load(Ordering::SeqCst), ran);
        // What was not committed any more is not executed, and what was is.
        let ended = records.len() - 2;
        assert_eq!(counts(&again(&records[..ended], &talker, 0).await), (supersteps - 1, 1, 2, None));
    }
}

#[tokio::test]
async fn what_comes_out_otherwise_is_named() {
    let honest = talker(1, false, |_| json!(1));
    let records = log(&honest).await;
    let lying = Talker { said: |_| json!({"n": 2}), ..honest.clone() };
    let found = again(&records, &lying, 0).await;
    assert_eq!(counts(&found), (0, 0, 1, Some("emissions[0].payload")));
    let difference = found.difference.unwrap();
    assert_eq!((difference.superstep, difference.activation.unwrap().to_string()), (0, "a@0".to_owned()));
    assert_eq!((difference.recorded, difference.again), (json!(1), json!({"n": 2})));
    // Calls that only one of both makes.
    let more = Talker { calls: 2, ..honest.clone() };
    let difference = again(&records, &more, 0).await.difference.unwrap();
    assert_eq!(
        (difference.field.as_str(), difference.recorded, difference.again),
        ("call", Value::Null, json!("outside 1"))
    );
    let fewer = Talker { calls: 0, ..honest.clone() };
    let difference = again(&records, &fewer, 0).await.difference.unwrap();
    assert_eq!(
        (difference.field.as_str(), difference.recorded, difference.again),
        ("call", json!("outside 0"), Value::Null)
    );
    // Another question than the one that was asked.
    let asking = Talker { asks: true, ..honest.clone() };
    assert_eq!(counts(&again(&records, &asking, 0).await).3, Some("call"));
    assert_eq!(counts(&again(&records, &honest, 0).await), (2, 2, 1, None));
}

#[tokio::test]
async fn a_record_that_was_changed_is_found_where_it_is() {
    let talker = talker(1, false, |_| json!(1));
    let records = log(&talker).await;
    let commit = |change: &dyn Fn(&mut Commit)| {
        let mut changed = records.clone();
        for record in &mut changed {
            if let Record::Committed(commit) = record
                && commit.superstep == 1
            {
                change(Arc::make_mut(commit));
            }
        }
        changed
    };
    let result = commit(&|commit| {
        commit.completed[0].end = End::Single(Ok(Arc::new(ProgramResult::output(json!([1, 2]).into()))));
    });
    let found = again(&result, &talker, 0).await;
    assert_eq!(counts(&found), (1, 1, 1, Some("emissions[0].payload[1]")));
    assert_eq!(found.difference.unwrap().activation.unwrap().to_string(), "b@1");
    let closing = commit(&|commit| {
        let activation = ActivationId {
            frame: FrameId::ROOT,
            vertex: "b".into(),
            incarnation: 0,
            superstep: 1,
            element: None,
        };
        let failure = Failure::permanent("it did not");
        commit.closing = Some(superstep_engine::RunStatus::Failed { activation, failure });
    });
    assert_eq!(counts(&again(&closing, &talker, 0).await), (1, 2, 1, Some("commit")));
    // The answer that a call had is what its program goes on with.
    let mut answered = records.clone();
    for record in &mut answered {
        if let Record::CallEnded { outcome, .. } = record {
            outcome.answer = Err(Failure::permanent("no answer"));
        }
    }
    let difference = again(&answered, &talker, 0).await.difference.unwrap();
    assert_eq!(difference.field, "outcome");
    assert!(difference.again["failure"]["message"].as_str().unwrap().contains("panicked"), "{difference:?}");
}

#[tokio::test]
async fn programs_that_are_not_there_and_attempts_that_ran_out_of_time_are_as_the_log_has_them() {
    let talker = talker(1, false, |_| json!(1));
    let records = log(&talker).await;
    let none = Arc::new(Programs::new(Models::default()));
    let replayed = replay(&name(), &records, &none, 0).await.unwrap();
    assert_eq!(counts(&replayed), (2, 1, 0, None));
    let absent: Vec<(String, &String)> =
        replayed.not_executed.iter().map(|(id, why)| (id.to_string(), why)).collect();
    assert!(matches!(&absent[..], [(id, why)] if id == "a@0" && why.contains("talker")), "{absent:?}");
    let spec = json!({"entry": ["a"], "vertices": [{"name": "a", "custom": {"name": "sleeper"},
        "timeout": "5ms", "retry": {"maxAttempts": 2, "backoff": "1ms"}, "onFailure": "Ignore"}]});
    let graph = validate(&serde_json::from_value(spec).unwrap()).unwrap();
    let mut programs = Programs::new(Models::default());
    programs.register("sleeper", Arc::new(Sleeper));
    let programs = Arc::new(programs);
    let store = Store::memory();
    let run = Run::create(Setup::new(Arc::clone(&programs)), &store, NewRun::new(name(), graph, json!({})));
    run.unwrap().drive().await.unwrap().unwrap();
    let (_, records) = read_run(&store, &name()).unwrap();
    let replayed = replay(&name(), &records, &programs, 0).await.unwrap();
    assert_eq!((counts(&replayed), replayed.overran), ((1, 0, 0, None), 2));
}

/// Never ends.
struct Sleeper;

impl Program for Sleeper {
    fn start(&self, _: Activation) -> Execution {
        Execution::Running(futures::future::pending().boxed())
    }
}
