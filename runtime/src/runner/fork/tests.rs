use serde_json::{Value, json};
use superstep_graph::{Mutation, validate};
use superstep_store::StoreError;

use super::*;
use crate::models::Models;
use crate::runner::{NewRun, Run, RunEnd, Setup, read_run};

/// Counts to a limit, and keeps what it counted.
fn graph(limit: u32) -> ValidatedGraph {
    let spec = json!({
        "entry": ["count"],
        "aggregators": [{"name": "seen", "fold": "Count", "persistent": true}],
        "vertices": [
            {"name": "count", "value": 0, "function": {"cel": "value + 1"},
             "effects": {"value": "output", "contribute": {"seen": "output"}}},
            {"name": "told", "function": {"cel": "[message, aggregates.seen]"}},
        ],
        "edges": [
            {"from": "count", "to": "count", "when": format!("message % 10 < {limit}")},
            {"from": "count", "to": "told", "when": format!("message % 10 >= {limit}")},
        ],
    });
    validate(&serde_json::from_value(spec).unwrap()).unwrap()
}

fn programs() -> Arc<Programs> {
    Arc::new(Programs::new(Models::default()))
}

fn name(text: &str) -> RunName {
    text.parse().unwrap()
}

async fn run(store: &Store<Record>, new: NewRun) -> RunEnd {
    Run::create(Setup::new(programs()), store, new).unwrap().drive().await.unwrap().unwrap()
}

async fn forked(
    store: &Store<Record>,
    of: &str,
    new: &str,
    superstep: u64,
    set: Value,
) -> Result<Value, String> {
    let (_, records) = read_run(store, &name(of)).unwrap();
    let mutations: Vec<Mutation> = serde_json::from_value(set).unwrap();
    let plan = Fork { run: new.to_owned(), superstep, mutations, started_at: 7 };
    let made = fork(store, (&name(of), records.as_slice()), &programs(), "test", &plan).await;
    let made = made.map_err(|error| error.to_string())?;
    let run = Run::resume(Setup::new(programs()), store, &made).unwrap();
    Ok(run.drive().await.unwrap().unwrap().outputs.value()["told"].clone())
}

#[tokio::test]
async fn a_fork_without_changes_comes_to_the_same_from_every_superstep() {
    let store = Store::memory();
    let end = run(&store, NewRun::new(name("one"), graph(4), json!({}))).await;
    assert_eq!(end.outputs.value(), &json!({"told": [4, 4]}));
    for superstep in 0..=5 {
        let new = format!("fork-{superstep}");
        assert_eq!(forked(&store, "one", &new, superstep, json!([])).await, Ok(json!([4, 4])), "{superstep}");
        let (started, records) = read_run(&store, &name(&new)).unwrap();
        assert_eq!((started.run.as_str(), started.started_at), (new.as_str(), 7));
        assert_eq!(records[1], Record::Forked { run: "one".to_owned(), superstep });
    }
    let again = forked(&store, "fork-3", "again", 2, json!([])).await;
    assert_eq!(again, Ok(json!([4, 4])));
    for (superstep, words) in [(6, "the last one to fork from is 5"), (99, "has not come")] {
        let error = forked(&store, "one", "late", superstep, json!([])).await.unwrap_err();
        assert!(error.contains(words), "{error}");
    }
    let error = forked(&store, "one", "again", 2, json!([])).await.unwrap_err();
    assert!(error.contains("\"again\""), "{error}");
}

#[tokio::test]
async fn a_change_is_there_from_its_superstep_on_and_a_refused_one_makes_no_run() {
    let store = Store::memory();
    run(&store, NewRun::new(name("one"), graph(4), json!({}))).await;
    let by = |step: u32| {
        let cel = format!("value + {step}");
        json!([{"set": {"vertex": "count", "field": "function.cel", "value": cel}}])
    };
    // Two steps of one, and the others of seven.
    assert_eq!(forked(&store, "one", "later", 2, by(7)).await, Ok(json!([9, 3])));
    assert_eq!(forked(&store, "one", "anew", 0, by(7)).await, Ok(json!([7, 1])));
    let graph = |run: &str, superstep| {
        let (_, records) = read_run(&store, &name(run)).unwrap();
        graph_before(&name(run), &records, &programs(), superstep).unwrap().revision()
    };
    assert_eq!(graph("later", 1), graph("one", 1));
    assert_ne!(graph("later", 2), graph("one", 2));
    assert_ne!(graph("anew", 0), graph("one", 0));
    let nobody = json!([{"set": {"vertex": "nobody", "field": "value", "value": 1}}]);
    let broken = json!([{"set": {"vertex": "count", "field": "function.cel", "value": "value +"}}]);
    let headless = json!([{"removeVertex": {"name": "count"}}]);
    for (superstep, set, words) in [
        (2, nobody.clone(), "vertex \"nobody\" does not exist"),
        (0, nobody, "vertex \"nobody\" does not exist"),
        (2, broken, "function.cel cannot be set"),
        (0, headless, "the graph would not be valid"),
    ] {
        let error = forked(&store, "one", "refused", superstep, set).await.unwrap_err();
        assert!(error.contains(words), "{error}");
        assert!(matches!(store.read_only(&name("refused")), Err(StoreError::NotFound { .. })));
    }
}

#[tokio::test]
async fn a_run_continues_with_the_values_and_aggregates_that_another_has_left() {
    let store = Store::memory();
    run(&store, NewRun::new(name("one"), graph(4), json!({}))).await;
    let left = |run: &str| {
        let (_, records) = read_run(&store, &name(run)).unwrap();
        carried(&name(run), &records, &programs())
    };
    // It counts on from 4 until the last digit is 4 again.
    let next = NewRun::new(name("two"), graph(4), json!({})).continuing(left("one").unwrap());
    assert_eq!(run(&store, next).await.outputs.value(), &json!({"told": [5, 5]}));
    let third = NewRun::new(name("three"), graph(7), json!({})).continuing(left("two").unwrap());
    assert_eq!(run(&store, third).await.outputs.value(), &json!({"told": [7, 7]}));
    // The log of the second alone tells all that it began with.
    store.remove(&name("one")).unwrap();
    let counted = left("two").unwrap().values.remove(&"count".into());
    assert_eq!(counted.unwrap().value(), &json!(5));
    assert_eq!(forked(&store, "two", "other", 0, json!([])).await, Ok(json!([5, 5])));
    let (_, mut records) = read_run(&store, &name("two")).unwrap();
    records.pop();
    let unfinished = carried(&name("two"), &records, &programs());
    assert!(matches!(unfinished, Err(RunError::NotEnded { .. })));
}

#[test]
fn what_a_graph_has_no_place_for_is_left_and_named() {
    let value = |value: Value| superstep_engine::Payload::from(value);
    let carried = Carried {
        run: "one".to_owned(),
        values: [("count".into(), value(json!(1))), ("gone".into(), value(json!(2)))].into(),
        aggregates: [("seen".into(), value(json!("many"))), ("other".into(), value(json!(1)))].into(),
    };
    let (kept, left) = carried.onto(&graph(4));
    assert_eq!((kept.values.len(), kept.aggregates.len()), (1, 0));
    assert_eq!(left, ["gone".into(), "other".into(), "seen".into()]);
}
