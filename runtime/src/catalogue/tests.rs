use std::fs;
use std::path::Path;

use serde_json::json;
use superstep_engine::{Epoch, Payload, Totals};
use superstep_graph::validate;

use super::*;
use crate::{NewRun, record_run};

fn begin(store: &Store<Record>, name: &RunName) {
    let spec = json!({"entry": ["one"], "vertices": [{"name": "one", "function": {"cel": "1"}}]});
    let graph = validate(&serde_json::from_value(spec).unwrap()).unwrap();
    record_run(store, NewRun::new(name.clone(), graph, json!(null)), "somebody").unwrap();
}

/// A run that has ended, on workers or in one process.
fn ended(store: &Store<Record>, name: &RunName, on_workers: bool) {
    begin(store, name);
    let mut records = vec![Record::EpochTaken { epoch: Epoch(1), owner: "somebody".to_owned() }];
    records.extend(on_workers.then(|| Record::Placed(Vec::new())));
    records.push(Record::Ended(RunStatus::Succeeded));
    let (mut log, _) = store.open(name, "somebody").unwrap();
    log.append(records).wait().unwrap();
}

/// Makes the log of a run a minute old.
fn age(home: &Path, run: &RunName) {
    for file in fs::read_dir(home.join("runs").join(run.as_str())).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "log") {
            let log = fs::File::options().append(true).open(path).unwrap();
            log.set_modified(SystemTime::now() - Duration::from_secs(60)).unwrap();
        }
    }
}

fn listed(store: &Store<Record>, name: &RunName) -> bool {
    let runs = list_runs(store).unwrap();
    let run = runs.iter().find(|run| run.name == *name).unwrap();
    assert_eq!(run.phase, RunPhase::Ended(RunStatus::Succeeded));
    run.left
}

#[test]
fn a_run_of_workers_is_left_until_its_end_is_noted() {
    let home = tempfile::tempdir().unwrap();
    let store = Store::folder(home.path()).unwrap();
    let (cluster, alone) = ("cluster".parse().unwrap(), "alone".parse().unwrap());
    ended(&store, &cluster, true);
    ended(&store, &alone, false);
    assert!(!listed(&store, &cluster), "its leader may be about to note it");
    age(home.path(), &cluster);
    age(home.path(), &alone);
    for _ in 0..2 {
        assert!(listed(&store, &cluster) && is_left(&store, &cluster));
        assert!(!listed(&store, &alone) && !is_left(&store, &alone));
    }
    let end = RunEnd { status: RunStatus::Succeeded, outputs: Payload::null(), totals: Totals::default() };
    let started = read_run(&store, &cluster).unwrap().0;
    note_end(&store, &cluster, (&started.root, started.started_at), None, &end);
    assert!(!listed(&store, &cluster) && !is_left(&store, &cluster));
    // A note that does not speak of the log as it is is made again, and says that of the end all the same.
    age(home.path(), &cluster);
    assert!(!listed(&store, &cluster) && !is_left(&store, &cluster));
}

#[test]
fn who_sees_to_an_end_late_says_nothing_of_another_run_that_has_the_name() {
    let home = tempfile::tempdir().unwrap();
    let store = Store::folder(home.path()).unwrap();
    let (seen_to, another) = ("seen-to".parse().unwrap(), "another".parse().unwrap());
    for run in [&seen_to, &another] {
        ended(&store, run, true);
        age(home.path(), run);
        assert!(listed(&store, run));
    }
    note_seen_to(&store, &seen_to);
    assert!(!listed(&store, &seen_to) && !is_left(&store, &seen_to));
    // Before its end was seen to, it is removed, and one begins that has its name.
    store.remove(&another).unwrap();
    begin(&store, &another);
    note_seen_to(&store, &another);
    let runs = list_runs(&store).unwrap();
    let found = runs.iter().find(|run| run.name == another).unwrap();
    assert_eq!((&found.phase, found.left), (&RunPhase::Unfinished, false));
}
