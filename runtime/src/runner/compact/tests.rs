use serde_json::{Value, json};
use superstep_engine::{Fork, Notice, Remains};
use superstep_graph::{ValidatedGraph, validate};

use super::*;
use crate::catalogue::{RunPhase, list_runs};
use crate::models::Models;
use crate::runner::{NewRun, Run, Setup, carried, fork, read_run, replay, tell};

/// Counts, tells a persistent aggregator, gives an output twice, and grows by one vertex.
fn graph() -> ValidatedGraph {
    let grow = json!({"addVertex": {"name": "grown", "function": {"cel": "'grown'"}}});
    let spec = json!({
        "entry": ["count"],
        "aggregators": [{"name": "seen", "fold": "Count", "persistent": true}],
        "mutations": {"allow": ["addVertex"]},
        "outputs": [{"vertex": "told", "select": "All"}, {"vertex": "count"}],
        "vertices": [
            {"name": "count", "value": 0, "function": {"cel": "value + 1"},
             "effects": {"value": "output", "contribute": {"seen": "output"},
                         "mutations": format!("value == 8 ? [{grow}] : []")}},
            {"name": "told", "function": {"cel": "[message, aggregates.seen]"}},
        ],
        "edges": [
            {"from": "count", "to": "count", "when": "message < 10"},
            {"from": "count", "to": "told", "when": "message % 5 == 0"},
        ],
    });
    validate(&serde_json::from_value(spec).unwrap()).unwrap()
}

fn programs() -> Arc<Programs> {
    Arc::new(Programs::new(Models::default()))
}

fn name() -> RunName {
    "counted".parse().unwrap()
}

async fn counted(store: &Store<Record>) -> Vec<Record> {
    let run = Run::create(Setup::new(programs()), store, NewRun::new(name(), graph(), json!({}))).unwrap();
    run.drive().await.unwrap().unwrap();
    read_run(store, &name()).unwrap().1
}

type Told = (Vec<Notice>, Value, superstep_engine::Totals);

fn told(records: &[Record]) -> Told {
    let mut notices = Vec::new();
    let (outputs, totals) = tell(&name(), records, &programs(), |notice| notices.push(notice)).unwrap();
    (notices, outputs.value().clone(), totals)
}

/// What is told once superstep `from` - 1 is committed.
fn since(notices: &[Notice], from: u64) -> &[Notice] {
    let is_it =
        |notice: &Notice| matches!(notice, Notice::Committed { superstep, .. } if superstep + 1 == from);
    &notices[notices.iter().position(is_it).unwrap() + 1..]
}

#[tokio::test]
async fn a_compacted_run_tells_of_its_last_supersteps_what_it_told_before() {
    for keep in [0, 1, 4, 10] {
        for store in [Store::memory(), Store::folder(tempfile::tempdir().unwrap().keep()).unwrap()] {
            let records = counted(&store).await;
            let whole = told(&records);
            let left = carried(&name(), &records, &programs()).unwrap();
            let supersteps = whole.2.supersteps;
            assert_eq!(supersteps, 11);
            let Compaction::Compacted { before, after } =
                compact(&store, &name(), &programs(), keep).unwrap()
            else {
                panic!("nothing was compacted")
            };
            // What a small superstep told is longer than its record.
            assert!(before == 0 || keep > 1 || after < before, "{before} became {after}");
            let (_, kept) = read_run(&store, &name()).unwrap();
            let from = supersteps - keep;
            assert_eq!(Remains::of(&kept).unwrap().from, from);
            let again = told(&kept);
            assert_eq!(again.0, since(&whole.0, from), "keep {keep}");
            assert_eq!((&again.1, again.2), (&whole.1, whole.2));
            assert_eq!(carried(&name(), &kept, &programs()).unwrap(), left);
            let summary = &list_runs(&store).unwrap()[0];
            assert_eq!(summary.supersteps, supersteps);
            assert!(matches!(summary.phase, RunPhase::Ended(_)));
            // A run that has ended is resumed to its end.
            let end = Run::resume(Setup::new(programs()), &store, &name()).unwrap().drive().await.unwrap();
            assert_eq!(end.unwrap().outputs.value(), &whole.1);
            assert_eq!(read_run(&store, &name()).unwrap().1, kept, "and nothing is added to its log");
        }
    }
}

#[tokio::test]
async fn a_compacted_run_is_compacted_further_and_never_back() {
    let store = Store::memory();
    let whole = told(&counted(&store).await);
    let compacted = |keep| compact(&store, &name(), &programs(), keep).unwrap();
    assert_eq!((compacted(11), compacted(50)), (Compaction::Whole, Compaction::Whole));
    assert_ne!(compacted(5), Compaction::Whole);
    assert_eq!((compacted(5), compacted(9)), (Compaction::Whole, Compaction::Whole));
    assert_ne!(compacted(2), Compaction::Whole);
    let again = told(&read_run(&store, &name()).unwrap().1);
    assert_eq!((again.0.as_slice(), again.1), (since(&whole.0, 9), whole.1));
}

#[tokio::test]
async fn what_needs_the_records_that_are_gone_is_refused() {
    let store = Store::memory();
    let whole = counted(&store).await;
    compact(&store, &name(), &programs(), 3).unwrap();
    let (_, records) = read_run(&store, &name()).unwrap();
    let replayed = replay(&name(), &records, &programs(), 9).await.unwrap_err();
    assert!(matches!(replayed, RunError::Compacted { from: 8, .. }), "{replayed}");
    for (superstep, expected) in [(9, None), (0, Some(told(&whole).1))] {
        let plan = Fork { run: format!("fork-{superstep}"), superstep, mutations: vec![], started_at: 0 };
        let forked = fork(&store, (&name(), &records), &programs(), "test", &plan).await;
        let Some(expected) = expected else {
            assert!(forked.unwrap_err().to_string().contains("compacted"));
            continue;
        };
        let run = Run::resume(Setup::new(programs()), &store, &forked.unwrap()).unwrap();
        assert_eq!(run.drive().await.unwrap().unwrap().outputs.value(), &expected);
    }
}

#[tokio::test]
async fn a_run_that_has_not_ended_keeps_its_log_whole() {
    let store = Store::memory();
    let mut records = counted(&store).await;
    records.pop();
    let unfinished: RunName = "unfinished".parse().unwrap();
    store.create(&unfinished, "test").unwrap().append(records.clone()).wait().unwrap();
    let refused = compact(&store, &unfinished, &programs(), 1).unwrap_err();
    assert!(matches!(refused, RunError::Compact { source: CompactError::NotEnded, .. }), "{refused}");
    assert_eq!(read_run(&store, &unfinished).unwrap().1, records);
}
