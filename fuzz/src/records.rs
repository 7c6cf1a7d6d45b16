//! Logs of runs, damaged.

use std::path::PathBuf;
use std::sync::{Arc, LazyLock};

use superstep_engine::{Payload, Record};
use superstep_graph::{ValidatedGraph, validate};
use superstep_runtime::{Models, NewRun, Programs, Run, Setup, tell};
use superstep_store::{RunName, Store};
use tempfile::TempDir;

use super::edits::damaged;

/// A run that was driven to its end, with the log that it left, and a folder in which that is damaged.
struct Bench {
    folder: TempDir,
    log: Vec<u8>,
    records: Vec<Record>,
    name: RunName,
    programs: Arc<Programs>,
}

static BENCH: LazyLock<Bench> = LazyLock::new(Bench::new);

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("there is a place for files that go again");
        let store = Store::folder(folder.path()).expect("a store can be made");
        let name: RunName = "run".parse().expect("it is a name");
        let programs = Arc::new(Programs::new(Models::default()));
        let new = NewRun::new(name.clone(), graph(), Payload::null());
        let run = Run::create(Setup::new(Arc::clone(&programs)), &store, new).expect("the run begins");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        let end = runtime.expect("there is a runtime").block_on(run.drive());
        end.expect("the log takes records");
        let records = store.read_only(&name).expect("the log is whole").records;
        drop(store);
        let log = std::fs::read(path(&folder)).expect("the log is a file");
        // A folder allocates ahead of its log.
        let end = log.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        Self { folder, log: log[..end].to_vec(), records, name, programs }
    }
}

fn path(folder: &TempDir) -> PathBuf {
    folder.path().join("runs/run/0000000000000000.log")
}

fn graph() -> ValidatedGraph {
    let spec = serde_json::json!({
        "entry": ["a", "b"],
        "vertices": [
            {"name": "a", "function": {"cel": "superstep"}, "effects": {"append": "output", "contribute": {"sum": "1"}}},
            {"name": "b", "function": {"cel": "'a long text of b, ' + string(superstep)"}},
            {"name": "c", "join": {"mode": "All"}, "function": {"cel": "messages.map(m, m.payload)"}},
        ],
        "edges": [
            {"from": "a", "to": "a", "when": "superstep < 3"},
            {"from": "a", "to": "c"},
            {"from": "b", "to": "c"},
        ],
        "aggregators": [{"name": "sum", "fold": "Sum", "persistent": true}],
    });
    validate(&serde_json::from_value(spec).expect("it is a graph")).expect("it is valid")
}

/// By its first byte: opens a damaged log, which is refused or is a part of the good one from its beginning; or
/// replays records that were left out, repeated or exchanged, which leads to an error or to a state.
pub fn records(data: &[u8]) {
    match data.split_first() {
        Some((0..128, rest)) => open(rest),
        Some((128.., rest)) => replay(rest),
        None => {}
    }
}

fn open(data: &[u8]) {
    let bench = &*BENCH;
    std::fs::write(path(&bench.folder), damaged(&bench.log, data)).expect("the file can be written");
    let store: Store<Record> = Store::folder(bench.folder.path()).expect("a store can be made");
    let looked = store.read_only(&bench.name);
    if let Ok((log, contents)) = store.open(&bench.name, "fuzz") {
        drop(log);
        let looked = looked.expect("what can be opened can be looked at");
        assert!(bench.records.starts_with(&looked.records), "what was looked at is no beginning of the log");
        assert!(bench.records.starts_with(&contents.records), "what was opened is no beginning of the log");
    }
}

fn replay(data: &[u8]) {
    let bench = &*BENCH;
    let mut records = bench.records.clone();
    let (edits, _) = data.as_chunks::<3>();
    for [kind, one, two] in edits.iter().take(32) {
        if records.is_empty() {
            break;
        }
        let (one, two) = (usize::from(*one) % records.len(), usize::from(*two) % records.len());
        match kind % 4 {
            0 => drop(records.remove(one)),
            1 => records.insert(two, records[one].clone()),
            2 => records.swap(one, two),
            _ => records.truncate(one + 1),
        }
    }
    drop(tell(&bench.name, &records, &bench.programs, |_| {}));
}
