use std::collections::BTreeMap;
use std::time::Duration;

use superstep_store::StoreError;

use super::*;

/// Hands its message on after as many seconds as its vertex takes by now, then as many more.
struct Worker(Arc<Mutex<BTreeMap<String, Vec<u64>>>>);

impl Program for Worker {
    fn start(&self, activation: Activation) -> Execution {
        let delays = Arc::clone(&self.0);
        let working = async move {
            let seconds = {
                let mut delays = delays.lock().unwrap();
                let left = delays.get_mut(activation.vertex.name.as_str()).unwrap();
                if left.len() > 1 { left.remove(0) } else { left[0] }
            };
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            Outcome::Done(ProgramResult::output(Payload::from(json!(activation.vertex.name.as_str()))))
        };
        Execution::Running(working.boxed())
    }
}

/// Calls a model that uses as many tokens as its parameter says.
struct Spender;

impl Program for Spender {
    fn start(&self, activation: Activation) -> Execution {
        let tokens = activation.vertex.custom.as_ref().unwrap().parameters.as_u64().unwrap();
        let usage = Usage { calls: 1, prompt_tokens: tokens, ..Usage::default() };
        let request =
            CallRequest { target: "a model".to_owned(), digest: [7; 16], repeatable: true, reserve: usage };
        let calls = activation.calls;
        let calling = async move {
            let made =
                move |_| async move { CallOutcome { answer: Ok(Payload::from(json!(tokens))), usage } };
            Outcome::Done(ProgramResult::output(calls.perform(request, made).await.unwrap()))
        };
        Execution::Running(calling.boxed())
    }
}

fn spending() -> Programs {
    let mut programs = programs();
    programs.register("spender", Arc::new(Spender));
    programs
}

/// A router between a path that uses 100 tokens and one that uses 10, of which nothing is known at first.
fn two_paths() -> Value {
    json!({
        "entry": ["pick"],
        "vertices": [
            {"name": "pick", "router": {"cheapest": {"to": "answer"}, "payload": "1"}},
            {"name": "dear", "custom": {"name": "spender", "parameters": 100}},
            {"name": "near", "custom": {"name": "spender", "parameters": 10}},
            {"name": "answer", "function": {"cel": "message"}},
        ],
        "edges": [
            {"from": "pick", "to": "dear"}, {"from": "pick", "to": "near", "port": "near"},
            {"from": "dear", "to": "answer"}, {"from": "near", "to": "answer"},
        ],
    })
}

async fn answered(store: &Store<Record>, name: &str) -> Value {
    let new = NewRun { name: name.parse().unwrap(), ..new_run(two_paths()) };
    let run = Run::create(setup(spending(), &Arc::default()), store, new).unwrap();
    run.drive().await.unwrap().unwrap().outputs.value()["answer"].clone()
}

#[tokio::test(start_paused = true)]
async fn traffic_leaves_a_path_that_becomes_slow_within_two_supersteps() {
    let delays = BTreeMap::from([("near".to_owned(), vec![1, 1, 9]), ("other".to_owned(), vec![3])]);
    let mut programs = programs();
    programs.register("worker", Arc::new(Worker(Arc::new(Mutex::new(delays)))));
    let spec = json!({
        "entry": ["pick"],
        "vertices": [
            {"name": "pick", "router": {"fastest": {"to": "answer"}, "payload": "1"}},
            {"name": "near", "custom": {"name": "worker"}},
            {"name": "other", "custom": {"name": "worker"}},
            {"name": "answer", "function": {"cel": "message"}},
        ],
        "edges": [
            {"from": "pick", "to": "near", "port": "near", "cost": {"latencySeconds": 1}},
            {"from": "pick", "to": "other", "port": "other", "cost": {"latencySeconds": 3}},
            {"from": "near", "to": "answer"}, {"from": "other", "to": "answer"},
            {"from": "answer", "to": "pick", "when": "superstep < 15"},
        ],
        "outputs": [{"vertex": "answer", "select": "All"}],
    });
    let run = Run::create(setup(programs, &Arc::default()), &Store::memory(), new_run(spec)).unwrap();
    let end = run.drive().await.unwrap().unwrap();
    // The third activation is the slow one; the router runs two supersteps after it.
    assert_eq!(end.outputs.value()["answer"], json!(["near", "near", "near", "other", "other", "other"]));
}

#[tokio::test]
async fn what_a_run_has_measured_is_known_to_the_next_and_stands_in_its_log() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::folder(folder.path()).unwrap();
    // What is not measured costs nothing: the first by name, then the other, then the cheaper of both.
    for (name, expected) in [("one", 100), ("two", 10), ("three", 10), ("four", 10)] {
        assert_eq!(answered(&store, name).await, json!(expected), "{name}");
    }
    let (_, records) = read_run(&store, &"three".parse().unwrap()).unwrap();
    assert!(matches!(&records[2], Record::Known(costs) if costs.of("main").is_some()), "{records:?}");
    assert!(records.iter().any(|record| matches!(record, Record::Measured(_))));
    let name = "three".parse().unwrap();
    let (outputs, _) = tell(&name, &records, &Arc::new(spending()), |_| {}).unwrap();
    assert_eq!(outputs.value(), &json!({"answer": 10}));
    // Another store knows nothing of it.
    assert_eq!(answered(&Store::memory(), "one").await, json!(100));
}

#[tokio::test]
async fn what_is_noted_and_damaged_is_told_and_written_anew() -> Result<(), StoreError> {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::folder(folder.path())?;
    assert_eq!(answered(&store, "one").await, json!(100));
    let unread = |name: &str| {
        let new = NewRun { name: name.parse().unwrap(), ..new_run(two_paths()) };
        let run = Run::create(setup(spending(), &Arc::default()), &store, new).unwrap();
        run.unread_costs().iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(unread("looks"), Vec::<String>::new());
    for damaged in ["{", "{\"format\": 2, \"costs\": {\"clock\": 0, \"edges\": []}}"] {
        store.keep_shared_note("costs-main", damaged.as_bytes())?;
        let told = unread(&format!("damaged{}", damaged.len()));
        assert!(told.len() == 1 && told[0].contains("\"main\""), "{told:?}");
    }
    assert_eq!(answered(&store, "two").await, json!(100), "nothing is known");
    assert_eq!(answered(&store, "three").await, json!(10));
    Ok(())
}
