use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use futures::FutureExt as _;
use serde_json::{Value, json};
use superstep_engine::{
    CallOutcome, CallRequest, Outcome, Patch, ProgramResult, Question, QuestionId, Usage,
};
use superstep_graph::{Mutation, Prices, PriorityClass, validate};

use super::*;
use crate::models::Models;
use crate::program::{Activation, Execution, Program};

mod agents;
mod costs;
mod humans;

/// Keeps what it is told.
#[derive(Default)]
struct Heard(Mutex<Vec<Notice>>);

impl Observer for Heard {
    fn notice(&self, notice: &Notice) {
        self.0.lock().unwrap().push(notice.clone());
    }
}

/// The questions that were told, with those who ask.
fn asked(heard: &Heard) -> Vec<(QuestionId, Value)> {
    let asked = |notice: &Notice| {
        let Notice::Asked { id, question } = notice else { return None };
        Some((id.clone(), question.ask.value().clone()))
    };
    heard.0.lock().unwrap().iter().filter_map(asked).collect()
}

fn graphs(spec: Value) -> BTreeMap<String, ValidatedGraph> {
    BTreeMap::from([("main".to_owned(), validate(&serde_json::from_value(spec).unwrap()).unwrap())])
}

fn new_run(spec: Value) -> NewRun {
    NewRun {
        name: "test".parse().unwrap(),
        root: "main".to_owned(),
        graphs: graphs(spec),
        input: Payload::from(json!({"n": 3})),
        attachment: Payload::null(),
        started_at: 0,
        carried: None,
    }
}

fn setup(programs: Programs, heard: &Arc<Heard>) -> Setup {
    Setup {
        programs: Arc::new(programs),
        observers: vec![Arc::clone(heard) as Arc<dyn Observer>],
        owner: "test".to_owned(),
        leave_when_paused: true,
    }
}

fn programs() -> Programs {
    Programs::new(Models::default())
}

#[tokio::test]
async fn closures_run_as_vertices() {
    let mut programs = programs();
    programs.register_fn("double", |view| {
        Ok(Payload::from(json!(view.input.value()["n"].as_i64().unwrap_or(0) * 2)))
    });
    let spec = json!({
        "entry": ["a"],
        "vertices": [{"name": "a", "custom": {"name": "double"}}, {"name": "b", "function": {"cel": "message + 1"}}],
        "edges": [{"from": "a", "to": "b"}],
    });
    let heard = Arc::new(Heard::default());
    let run = Run::create(setup(programs, &heard), &Store::memory(), new_run(spec)).unwrap();
    let end = run.drive().await.unwrap().unwrap();
    assert_eq!(end.status, RunStatus::Succeeded);
    assert_eq!(end.outputs.value(), &json!({"b": 7}));
    assert_eq!(end.totals.supersteps, 2);
    assert!(matches!(heard.0.lock().unwrap().last(), Some(Notice::Ended { .. })));
}

/// Gives the parameters of its vertex.
struct Parametrised;

impl Program for Parametrised {
    fn start(&self, activation: Activation) -> Execution {
        let parameters = activation.vertex.custom.as_ref().map(|custom| custom.parameters.clone());
        Execution::Ready(Outcome::Done(ProgramResult::output(Payload::from(parameters.unwrap_or_default()))))
    }
}

#[tokio::test]
async fn a_program_sees_the_parameters_of_its_vertex() {
    let mut programs = programs();
    programs.register("given", Arc::new(Parametrised));
    let spec = json!({"entry": ["a", "b"], "vertices": [
        {"name": "a", "custom": {"name": "given", "parameters": {"style": "formal"}}},
        {"name": "b", "custom": {"name": "given", "parameters": [1]}},
    ]});
    let run = Run::create(setup(programs, &Arc::default()), &Store::memory(), new_run(spec)).unwrap();
    let end = run.drive().await.unwrap().unwrap();
    assert_eq!(end.outputs.value(), &json!({"a": {"style": "formal"}, "b": [1]}));
}

/// Calls the outside once, and counts how often it really did.
struct Caller(Arc<AtomicU32>);

impl Program for Caller {
    fn start(&self, activation: Activation) -> Execution {
        let count = Arc::clone(&self.0);
        let request = CallRequest {
            target: "the outside".to_owned(),
            digest: [7; 16],
            repeatable: false,
            reserve: Usage { calls: 1, ..Usage::default() },
        };
        let calls = activation.calls;
        let calling = async move {
            let made = move |_| async move {
                count.fetch_add(1, Ordering::SeqCst);
                let usage = Usage { calls: 1, ..Usage::default() };
                CallOutcome { answer: Ok(Payload::from(json!("answer"))), usage }
            };
            Outcome::Done(ProgramResult::output(calls.perform(request, made).await.unwrap()))
        };
        Execution::Running(calling.boxed())
    }
}

#[tokio::test]
async fn what_the_log_has_when_a_run_is_let_go_was_told() {
    let vertices: Vec<_> =
        ["a", "b", "c"].map(|name| json!({"name": name, "custom": {"name": "leave"}})).into();
    let edges = json!([{"from": "a", "to": "b"}, {"from": "b", "to": "c"}]);
    let spec = json!({"entry": ["a"], "vertices": vertices, "edges": edges});
    let mut left = 0;
    for round in 0..30 {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::folder(folder.path()).unwrap();
        let handle: Arc<Mutex<Option<RunHandle>>> = Arc::default();
        let mut programs = programs();
        let detached = Arc::clone(&handle);
        programs.register_fn("leave", move |view| {
            // The commit of what this gives is on its way when the run is let go.
            if view.superstep == round % 3 {
                detached.lock().unwrap().as_ref().unwrap().detach();
            }
            Ok(Payload::null())
        });
        let heard = Arc::new(Heard::default());
        let run = Run::create(setup(programs, &heard), &store, new_run(spec.clone())).unwrap();
        *handle.lock().unwrap() = Some(run.handle());
        left += u32::from(run.drive().await.unwrap().is_none());
        let records = store.read_only(&"test".parse().unwrap()).unwrap().records;
        let committed = records.iter().filter(|record| matches!(record, Record::Committed(_))).count();
        let heard = heard.0.lock().unwrap();
        let told = heard.iter().filter(|notice| matches!(notice, Notice::Completed { .. })).count();
        assert_eq!(told, committed, "in round {round}");
    }
    assert!(left > 0);
}

/// Asks, and gives the answer on.
struct Asker;

impl Program for Asker {
    fn start(&self, activation: Activation) -> Execution {
        Execution::Ready(match activation.resumption {
            Some(resumption) => Outcome::Done(ProgramResult::output(resumption.answer)),
            None => Outcome::Suspended(Question {
                ask: Payload::from(json!("really?")),
                state: Some(Payload::null()),
            }),
        })
    }
}

#[tokio::test]
async fn a_paused_run_is_left_and_goes_on_without_repeating_a_call() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::folder(folder.path()).unwrap();
    let count = Arc::new(AtomicU32::new(0));
    let made = || {
        let mut programs = programs();
        programs.register("caller", Arc::new(Caller(Arc::clone(&count))));
        programs.register("asker", Arc::new(Asker));
        programs
    };
    let spec = json!({
        "entry": ["a"],
        "vertices": [{"name": "a", "custom": {"name": "caller"}}, {"name": "b", "custom": {"name": "asker"}}],
        "edges": [{"from": "a", "to": "b"}],
    });
    let heard = Arc::new(Heard::default());
    let run = Run::create(setup(made(), &heard), &store, new_run(spec)).unwrap();
    assert_eq!(run.drive().await.unwrap(), None);
    let (asking, _) = asked(&heard).remove(0);
    let run = Run::resume(setup(made(), &heard), &store, &"test".parse().unwrap()).unwrap();
    let answered = run.handle().answer(asking, Payload::from(json!("yes")));
    // The answer is taken in before the run is found to be paused again.
    let end = run.drive().await.unwrap().unwrap();
    assert_eq!(answered.await, Ok(()));
    assert_eq!(end.outputs.value(), &json!({"b": "yes"}));
    assert_eq!(count.load(Ordering::SeqCst), 1, "the call was made again");
    let (_, records) = read_run(&store, &"test".parse().unwrap()).unwrap();
    let mut told = 0;
    let (outputs, totals) =
        tell(&"test".parse().unwrap(), &records, &Arc::new(made()), |_| told += 1).unwrap();
    assert_eq!((outputs.value(), totals.usage.calls), (&json!({"b": "yes"}), 1));
    assert!(told > 5);
}

/// Never ends.
struct Sleeper;

impl Program for Sleeper {
    fn start(&self, _: Activation) -> Execution {
        Execution::Running(futures::future::pending().boxed())
    }
}

/// Panics while it runs.
struct Panicking;

impl Program for Panicking {
    fn start(&self, _: Activation) -> Execution {
        Execution::Running(async { panic!("on purpose") }.boxed())
    }
}

#[tokio::test(start_paused = true)]
async fn timeouts_panics_and_cancel_end_what_runs() {
    let vertex = |name: &str| json!({"name": "a", "custom": {"name": name}, "timeout": "2s", "retry": {"maxAttempts": 2, "backoff": "1s"}});
    for (program, expected) in [("sleeper", "longer than the vertex's timeout"), ("panicking", "on purpose")]
    {
        let mut programs = programs();
        programs.register("sleeper", Arc::new(Sleeper));
        programs.register("panicking", Arc::new(Panicking));
        let spec = json!({"entry": ["a"], "vertices": [vertex(program)]});
        let heard = Arc::new(Heard::default());
        let run = Run::create(setup(programs, &heard), &Store::memory(), new_run(spec)).unwrap();
        let end = run.drive().await.unwrap().unwrap();
        let RunStatus::Failed { failure, .. } = end.status else { panic!("{:?}", end.status) };
        assert!(failure.message.contains(expected), "{failure}");
    }
    let mut programs = programs();
    programs.register("sleeper", Arc::new(Sleeper));
    let spec = json!({"entry": ["a"], "vertices": [{"name": "a", "custom": {"name": "sleeper"}}]});
    let run = Run::create(setup(programs, &Arc::default()), &Store::memory(), new_run(spec)).unwrap();
    run.handle().cancel();
    assert_eq!(run.drive().await.unwrap().unwrap().status, RunStatus::Cancelled);
}

#[tokio::test]
async fn a_patch_changes_the_graph_at_the_next_barrier() {
    let spec = json!({"entry": ["a"], "vertices": [{"name": "a", "function": {"cel": "1"}}]});
    let heard = Arc::new(Heard::default());
    let run = Run::create(setup(programs(), &heard), &Store::memory(), new_run(spec)).unwrap();
    let mutations: Vec<Mutation> = serde_json::from_value(json!([
        {"addVertex": {"name": "b", "function": {"cel": "message + 1"}}},
        {"addVertex": {"name": "broken", "function": {"cel": "1 +"}}},
        {"addEdge": {"from": "a", "to": "b"}},
    ]))
    .unwrap();
    let patch = Patch { class: PriorityClass::Person, requester: "me".to_owned(), mutations };
    let handle = run.handle();
    let taken = handle.patch(patch.clone());
    let again = handle.patch(patch.clone());
    let other = handle.patch(Patch { mutations: Vec::new(), ..patch });
    let end = run.drive().await.unwrap().unwrap();
    assert_eq!((taken.await, again.await), (Ok(()), Ok(())), "it is the same patch");
    assert_eq!(other.await, Err(PatchError::NameTaken { name: "me".to_owned() }));
    assert_eq!(end.totals.mutations, 2);
    // The message of a was routed by the graph before the patch: nothing reaches b.
    assert_eq!(end.outputs.value(), &json!({"b": null}));
    let refused = heard.0.lock().unwrap().iter().any(|notice| {
        matches!(notice, Notice::Mutated { verdict: superstep_graph::Verdict::Refused(_), .. })
    });
    assert!(refused, "an expression that does not parse was accepted");
}

#[tokio::test]
async fn a_run_whose_log_is_not_kept_ends_as_any_other_and_its_name_is_taken() {
    let spec = json!({"entry": ["a"], "vertices": [{"name": "a", "function": {"cel": "1"}}]});
    let store = Store::transient();
    let create = || Run::create(setup(programs(), &Arc::default()), &store, new_run(spec.clone()));
    let end = create().unwrap().drive().await.unwrap().unwrap();
    assert_eq!((end.status, end.outputs.value()), (RunStatus::Succeeded, &json!({"a": 1})));
    let again = create().err().unwrap();
    assert!(matches!(again, RunError::Store(StoreError::Exists { .. })), "{again}");
}

#[test]
fn a_vertex_that_cannot_run_is_named_before_the_run_begins() {
    let spec = json!({"entry": ["a"], "vertices": [{"name": "a", "custom": {"name": "nobody"}}]});
    let error =
        Run::create(setup(programs(), &Arc::default()), &Store::memory(), new_run(spec)).err().unwrap();
    assert!(error.to_string().contains("vertex \"a\" of graph \"main\""), "{error}");
}

#[test]
fn prices_are_those_of_the_wrapper() {
    let prices = Prices { prompt_per_million: 1.0, completion_per_million: 2.0 };
    let model = crate::models::Priced::new(Arc::new(crate::models::NotLoaded::default()), prices);
    assert_eq!(crate::model::Model::prices(&model), prices);
}
