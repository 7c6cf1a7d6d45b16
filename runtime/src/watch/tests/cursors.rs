//! Places from which a watch goes on, where a run has journals beside its log.

use std::collections::BTreeMap;

use futures::FutureExt as _;
use superstep_engine::{
    CallKey, CallOutcome, CallRequest, Epoch, Outcome, Patch, ProgramResult, RunStatus, Usage,
};
use superstep_graph::PriorityClass;
use superstep_store::{JournalName, Position, StoreError};

use super::*;
use crate::program::{Activation, Execution, Program};

/// Calls the outside, which answers when it is let.
struct Caller(Arc<Semaphore>);

impl Program for Caller {
    fn start(&self, activation: Activation) -> Execution {
        let gate = Arc::clone(&self.0);
        let usage = Usage { calls: 1, ..Usage::default() };
        let request =
            CallRequest { target: "outside".to_owned(), digest: [7; 16], repeatable: true, reserve: usage };
        let calls = activation.calls;
        let calling = async move {
            let made = move |_| async move {
                gate.acquire().await.unwrap().forget();
                CallOutcome { answer: Ok(json!("answer").into()), usage }
            };
            Outcome::Done(ProgramResult::output(calls.perform(request, made).await.unwrap()))
        };
        Execution::Running(calling.boxed())
    }
}

fn calling(gate: &Arc<Semaphore>) -> Programs {
    let mut programs = Programs::new(Models::default());
    programs.register("caller", Arc::new(Caller(Arc::clone(gate))));
    programs
}

/// The records of a run of two callers, in which a change was asked for while they called.
async fn records(name: &RunName) -> Vec<Record> {
    let store = Store::memory();
    let spec = json!({
        "entry": ["x", "y"],
        "vertices": [
            {"name": "x", "custom": {"name": "caller"}},
            {"name": "y", "custom": {"name": "caller"}},
            {"name": "done", "join": {"mode": "All"}, "function": {"cel": "messages.size()"}},
        ],
        "edges": [{"from": "x", "to": "done"}, {"from": "y", "to": "done"}],
    });
    let graph = validate(&serde_json::from_value(spec).unwrap()).unwrap();
    let gate = Arc::new(Semaphore::new(0));
    let new = NewRun::new(name.clone(), graph, json!(null));
    let run = Run::create(Setup::new(calling(&gate)), &store, new).unwrap();
    let handle = run.handle();
    let driving = tokio::spawn(async move { run.drive().await.unwrap() });
    let mutations = json!([{"addVertex": {"name": "extra", "function": {"cel": "1"}}}]);
    let patch = Patch {
        class: PriorityClass::Person,
        requester: "someone".to_owned(),
        mutations: serde_json::from_value(mutations).unwrap(),
    };
    handle.patch(patch).await.unwrap();
    let called = |record: &Record| matches!(record, Record::CallIntent { .. });
    while store.read_only(name).unwrap().records.iter().filter(|record| called(record)).count() < 2 {
        tokio::task::yield_now().await;
    }
    gate.add_permits(2);
    assert_eq!(driving.await.unwrap().unwrap().status, RunStatus::Succeeded);
    store.read_only(name).unwrap().records
}

/// Which journal would have the record if each caller were in a worker of its own.
fn journal_of(record: &Record) -> Option<JournalName> {
    let of = |call: &CallKey| format!("1.{}", call.activation.vertex).parse().unwrap();
    if let Record::CallIntent { call, .. } | Record::CallEnded { call, .. } = record {
        return Some(of(call));
    }
    None
}

/// What tells events apart, whatever the order in which they are told.
fn sorted<'a>(told: impl IntoIterator<Item = &'a Happened>) -> Vec<String> {
    let line = |happened: &Happened| format!("{} {:?}", happened.superstep, happened.what);
    let mut lines: Vec<String> = told.into_iter().map(line).collect();
    lines.sort();
    lines
}

/// The next event, and the place behind it as it is sent.
async fn step(watch: &mut Watch, run: &RunName) -> Option<(Happened, Vec<u8>)> {
    while let Some(seen) = watch.next().await.unwrap() {
        if let Seen::Happened(happened) = seen {
            return Some((happened, watch.cursor().encode(run)));
        }
    }
    None
}

#[tokio::test]
async fn whoever_goes_on_from_a_place_sees_the_rest_once_also_what_was_written_late() {
    let name: RunName = "test".parse().unwrap();
    let records = records(&name).await;
    let store = Store::memory();
    let programs = Arc::new(calling(&open()));
    let watch = |cursor: &[u8]| {
        let from = WatchFrom::Cursor(WatchCursor::decode(&name, cursor).unwrap());
        Watch::new(&store, &name, Arc::clone(&programs), from).unwrap()
    };

    // The log as its leader writes it. What the callers note comes late: a watcher has seen by then what was asked
    // for meanwhile.
    let mut log = store.create(&name, "").unwrap();
    let of_log = records.iter().filter(|record| journal_of(record).is_none()).cloned();
    let (before, behind): (Vec<Record>, Vec<Record>) =
        of_log.partition(|record| !matches!(record, Record::Committed(_) | Record::Ended(_)));
    let (ended, committed): (Vec<Record>, Vec<Record>) =
        behind.into_iter().partition(|record| matches!(record, Record::Ended(_)));
    let taken = before.iter().position(|record| matches!(record, Record::EpochTaken { .. })).unwrap() + 1;
    log.append(before).await.unwrap();
    let mut live = watch(&[]);
    let mut told = Vec::new();
    while !told.iter().any(|(happened, _): &(Happened, _)| matches!(happened.what, Happening::Patched { .. }))
    {
        told.push(step(&mut live, &name).await.unwrap());
    }
    let mut journals = BTreeMap::new();
    for record in &records {
        let Some(journal) = journal_of(record) else { continue };
        let open = || store.journal(&name, &journal).unwrap();
        let noted = journals.entry(journal.clone()).or_insert_with(open);
        noted.append(Position(taken as u64), vec![record.clone()]).await.unwrap();
    }
    log.append(committed).await.unwrap();
    log.append(ended).await.unwrap();
    while let Some(next) = step(&mut live, &name).await {
        told.push(next);
    }
    let everything = sorted(told.iter().map(|(happened, _)| happened));
    let offsets: Vec<u64> = told.iter().map(|(happened, _)| happened.offset).collect();
    assert_eq!(offsets, (1..=told.len() as u64).collect::<Vec<_>>());
    let late = all(&mut watch(&[])).await;
    assert_eq!(sorted(&late), everything);
    let order = |told: &[&Happened]| told.iter().map(|happened| happened.what.clone()).collect::<Vec<_>>();
    let live_order = order(&told.iter().map(|(happened, _)| happened).collect::<Vec<_>>());
    assert_ne!(live_order, order(&late.iter().collect::<Vec<_>>()), "a number would mean different places");

    // From every place of the first one.
    for (at, (happened, cursor)) in told.iter().enumerate() {
        let rest = all(&mut watch(cursor)).await;
        assert_eq!(rest.first().map_or(happened.offset, |next| next.offset - 1), happened.offset);
        assert_eq!(sorted(told[..=at].iter().map(|(happened, _)| happened).chain(&rest)), everything, "{at}");
    }

    // Broken behind each event.
    let (mut broken, mut cursor) = (Vec::new(), Vec::new());
    while let Some((happened, place)) = step(&mut watch(&cursor), &name).await {
        broken.push(happened);
        cursor = place;
    }
    assert_eq!(broken, late);
}

#[tokio::test]
async fn a_place_from_before_a_log_was_compacted_is_none() {
    let stage = Stage::new();
    stage.drive(stage.create(&open()), false).1.await.unwrap().unwrap();
    let mut watch = stage.watch(WatchFrom::Offset(0));
    let first = step(&mut watch, &stage.name).await.unwrap().1;
    let cursor = WatchCursor::decode(&stage.name, &first).unwrap();
    assert_eq!(cursor.offset(), 1);
    let compacted = crate::compact(&stage.store(), &stage.name, &Arc::new(programs(&open())), 2).unwrap();
    assert!(matches!(compacted, crate::Compaction::Compacted { .. }));
    let mut gone = stage.watch(WatchFrom::Cursor(cursor));
    let refused = gone.next().await;
    assert!(matches!(refused, Err(RunError::Compacted { .. })), "{refused:?}");
    let mut watch = stage.watch(WatchFrom::Offset(0));
    let (_, cursor) = step(&mut watch, &stage.name).await.unwrap();
    let rest = all(&mut watch).await;
    let cursor = WatchCursor::decode(&stage.name, &cursor).unwrap();
    assert_eq!(all(&mut stage.watch(WatchFrom::Cursor(cursor))).await, rest);
}

/// Begins a run of that name, which starts at this second and which nobody drives on.
async fn begin(store: &Store<Record>, name: &RunName, started_at: u64) {
    let graph = validate(&serde_json::from_value(spec()).unwrap()).unwrap();
    let mut new = NewRun::new(name.clone(), graph, json!({"n": 0}));
    new.started_at = started_at;
    let log = store.clone();
    let recorded = tokio::task::spawn_blocking(move || crate::record_run(&log, new, "somebody"));
    recorded.await.unwrap().unwrap();
    let (mut log, _) = store.open(name, "somebody").unwrap();
    let taken = Record::EpochTaken { epoch: Epoch(1), owner: "somebody".to_owned() };
    log.append(vec![taken]).await.unwrap();
}

#[tokio::test]
async fn a_place_in_a_run_that_was_removed_is_none_in_another_one_of_its_name() {
    let (store, name) = (Store::memory(), "test".parse().unwrap());
    let watch = |from| Watch::new(&store, &name, programs(&open()), from).unwrap();
    begin(&store, &name, 7).await;
    let (_, cursor) = step(&mut watch(WatchFrom::Offset(0)), &name).await.unwrap();
    let behind = || WatchFrom::Cursor(WatchCursor::decode(&name, &cursor).unwrap());
    store.remove(&name).unwrap();
    begin(&store, &name, 8).await;
    let refused = watch(behind()).next().await;
    assert!(matches!(refused, Err(RunError::Recreated { .. })), "{refused:?}");
    // From the beginning the new one is told.
    assert!(step(&mut watch(WatchFrom::Offset(0)), &name).await.is_some());
}

/// What one who watches on sees at last, who has seen all that there was.
async fn last(watch: &mut Watch) -> RunError {
    loop {
        match watch.next().await {
            Ok(seen) => assert!(seen.is_some(), "it does not end"),
            Err(error) => return error,
        }
    }
}

#[tokio::test(start_paused = true)]
async fn who_watches_hears_that_the_run_was_removed_and_that_another_one_has_its_name() {
    let home = tempfile::tempdir().unwrap();
    for store in [Store::memory(), Store::folder(home.path()).unwrap()] {
        let name: RunName = "test".parse().unwrap();
        let watch = || Watch::new(&store, &name, programs(&open()), WatchFrom::Offset(0)).unwrap();
        begin(&store, &name, 7).await;
        let (mut one, mut other) = (watch(), watch());
        for watch in [&mut one, &mut other] {
            while !matches!(watch.next().await.unwrap(), Some(Seen::Driven(false))) {}
        }
        store.remove(&name).unwrap();
        let gone = last(&mut one).await;
        assert!(matches!(gone, RunError::Store(StoreError::NotFound { .. })), "{gone:?}");
        begin(&store, &name, 8).await;
        let another = last(&mut other).await;
        assert!(matches!(another, RunError::Recreated { .. }), "{another:?}");
    }
}
