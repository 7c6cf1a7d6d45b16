//! Stores of earlier builds: what they have written is read, and gone on with.
//!
//! Each folder of `earlier` is what a release has left behind, by its version. `REWRITE=1` makes that of the present version where
//! there is none, and changes none that is there.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use rustix::process::Signal;
use serde_json::{Value, json};
use superstep_engine::{CallKey, Record};

use crate::command::{Home, undisturbed};
use crate::compaction::COUNTER;
use crate::interrupt::{driven, has_committed};

const PLACE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/earlier");
/// Where a home has its runs.
const RUNS: &str = ".local/state/superstep/runs";
/// What a run has beside its log and its blobs: it may be lost, or belongs to a process.
const PASSING: [&str; 3] = ["lock", "note", "control"];
const STORY: [&str; 9] = [
    "run",
    "-f",
    "tests/graphs/story.yaml",
    "--graph",
    "story",
    "--input",
    "{\"n\": 3}",
    "--run-id",
    "story",
];
/// The runs of a store, and how each of them stands.
const STANDING: [(&str, &str); 12] = [
    ("story", "succeeded"),
    ("changes", "succeeded"),
    ("failing", "failed: bad: the model is on fire"),
    ("limited", "limit reached: limits.supersteps"),
    ("first", "succeeded"),
    ("measured", "succeeded"),
    ("later", "succeeded"),
    ("counted", "succeeded"),
    ("short", "succeeded"),
    ("calls", "interrupted"),
    ("open", "interrupted"),
    ("held", "interrupted"),
];

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name();
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to.join(name));
        } else if !PASSING.iter().any(|passing| name == *passing) {
            fs::copy(entry.path(), to.join(name)).unwrap();
        }
    }
}

/// Runs that together have every kind of record which a run of one machine has.
fn make(place: &Path) {
    let home = Home::new();
    home.run(STORY).with(0);
    home.line("run -f tests/graphs/changes.yaml --run-id changes").with(0);
    home.line("run -f tests/graphs/failing.yaml --run-id failing").with(1);
    home.line("run -f tests/graphs/limited.yaml --run-id limited").with(3);
    // The second one knows what the first has cost.
    home.line("run -f tests/graphs/paths.yaml --run-id first").with(0);
    home.line("run -f tests/graphs/paths.yaml --run-id measured").with(0);
    let on = "vertex.judge.router.cel=message < 3 ? 'again' : 'good'";
    home.run(["fork", "story", "--from", "4", "--set", on, "--run-id", "later"]).with(0);
    let graph = home.file("counter.yaml", COUNTER);
    home.line(&format!("run -f {graph} --run-id begun")).with(0);
    home.line(&format!("run -f {graph} --continue-from begun --run-id counted")).with(0);
    let graph = home.file("short.yaml", &format!("{COUNTER}  retention: {{supersteps: 3}}\n"));
    home.line(&format!("run -f {graph} --run-id short")).with(0);
    let running = driven(&home, "60ms", has_committed);
    running.signal(Signal::INT);
    running.end().with(4);
    for name in ["open", "held"] {
        let input = "{\"customer\": \"Ada\"}";
        home.run(["run", "-f", "tests/graphs/approve.yaml", "--input", input, "--run-id", name]).with(4);
        home.line(&format!("answer {name} 5 --vertex amount")).with(0);
    }
    home.line("suspend held").with(0);
    fs::remove_dir_all(home.path().join(RUNS).join("begun")).unwrap();
    copy(&home.path().join(RUNS), place);
}

/// A home whose runs another build has made.
fn home_of(place: &Path) -> Home {
    let home = Home::new();
    copy(place, &home.path().join(RUNS));
    home
}

/// The stores that there are.
static STORES: LazyLock<Vec<PathBuf>> = LazyLock::new(|| {
    let own = Path::new(PLACE).join(env!("CARGO_PKG_VERSION"));
    if std::env::var_os("REWRITE").is_some() && !own.exists() {
        make(&own);
    }
    let entries = fs::read_dir(PLACE).expect("REWRITE=1 makes the first store");
    let mut stores: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    stores.sort();
    assert!(!stores.is_empty(), "REWRITE=1 makes the first store");
    stores
});

#[test]
fn runs_of_earlier_builds_are_listed_shown_and_executed_again() {
    for place in &*STORES {
        let home = home_of(place);
        let rows = home.line("runs --output json").with(0).json();
        let mut standing: Vec<(String, String)> = Vec::new();
        for row in rows.as_array().unwrap() {
            let of = |member: &str| row[member].as_str().unwrap().to_owned();
            standing.push((of("run"), of("status")));
        }
        standing.sort();
        let mut expected = STANDING.map(|(run, status)| (run.to_owned(), status.to_owned())).to_vec();
        expected.sort();
        assert_eq!(standing, expected, "{}", place.display());
        for (run, _) in STANDING {
            let told = home.line(&format!("inspect {run} --output json")).with(0).json();
            assert!(!told["supersteps"].as_array().unwrap().is_empty(), "{}: {told}", place.display());
        }
        let origin =
            |run: &str| home.line(&format!("inspect {run} --output json")).with(0).json()["origin"].clone();
        assert_eq!(origin("later"), "fork of story at superstep 4");
        assert_eq!(origin("counted"), "continues begun");
        for run in ["story", "changes", "failing", "limited", "first", "measured", "later", "counted"] {
            home.line(&format!("replay {run}")).with(0);
        }
    }
}

/// The calls of a log that were answered.
fn answered(records: &[Record]) -> Vec<&CallKey> {
    fn key(record: &Record) -> Option<&CallKey> {
        let Record::CallEnded { call, outcome } = record else { return None };
        outcome.answer.is_ok().then_some(call)
    }

    records.iter().filter_map(key).collect()
}

#[test]
fn runs_of_earlier_builds_are_gone_on_with() {
    let expected = undisturbed();
    for place in &*STORES {
        let home = home_of(place);
        let before = home.records("calls");
        assert_eq!(home.line("resume calls").with(0).json(), expected, "{}", place.display());
        let after = home.records("calls");
        assert!(after.starts_with(&before), "{}: a record is gone", place.display());
        let done = answered(&before);
        let again = after[before.len()..]
            .iter()
            .filter(|record| matches!(record, Record::CallIntent { call, .. } if done.contains(&call)));
        assert!(!done.is_empty() && again.count() == 0, "{}: a call is made again", place.display());
        home.line("suspend held --off").with(0);
        for run in ["open", "held"] {
            home.line(&format!("answer {run} yes --vertex approve")).with(0);
            assert_eq!(home.line(&format!("resume {run}")).with(0).json(), json!({"refund": 5}), "{run}");
        }
        ["calls", "open", "held"].iter().for_each(|run| drop(home.line(&format!("replay {run}")).with(0)));
        let forked = home.line("fork story --from 5 --run-id again").with(0).json();
        assert_eq!(forked["each"], json!([4, 31]));
        let graph = home.file("counter.yaml", COUNTER);
        let next = home.line(&format!("run -f {graph} --continue-from counted --run-id next")).with(0).json();
        assert_eq!(next["count"][0], json!(41));
        let short: Value = home.line("resume short").with(0).json();
        assert_eq!(short["count"].as_array().unwrap().len(), 20);
    }
}

#[test]
fn stores_of_earlier_builds_name_no_folder_of_who_made_them() {
    let here = env!("CARGO_MANIFEST_DIR").as_bytes();
    for place in &*STORES {
        for run in fs::read_dir(place).unwrap() {
            for file in fs::read_dir(run.unwrap().path()).unwrap() {
                let path = file.unwrap().path();
                let bytes = if path.is_file() { fs::read(&path).unwrap() } else { Vec::new() };
                assert!(!bytes.windows(here.len()).any(|part| part == here), "{}", path.display());
            }
        }
    }
}
