//! Object stores that fail, lie and race.

mod away;
mod damage;
mod faulty;
mod format;
mod journals;
mod probing;
mod writers;

use std::sync::Arc;

use object_store::{ObjectStore, path::Path};
use serde::{Deserialize, Serialize};

use self::faulty::Faulty;
use super::{ObjectRuns, bucket::Bucket, log::ObjectLog};
use crate::{Append, AppendError, JournalName, Log, Position, Record, RunName, Store};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Note(String);

impl Record for Note {
    const FORMAT: u16 = 1;
}

fn note(text: impl ToString) -> Vec<Note> {
    vec![Note(text.to_string())]
}

fn run() -> RunName {
    "run".parse().unwrap()
}

fn journal(name: &str) -> JournalName {
    name.parse().unwrap()
}

/// The runs of one process over objects that others have, too.
fn over(objects: &Arc<Faulty>) -> ObjectRuns {
    let objects: Arc<dyn ObjectStore> = Arc::<Faulty>::clone(objects);
    ObjectRuns::of(Bucket::new(objects, Path::from("a/root"), "test://bucket/a/root")).unwrap()
}

fn store_over(objects: &Arc<Faulty>) -> Store<Note> {
    Store::of_objects(over(objects))
}

fn append(log: &mut dyn Log<Note>, text: impl ToString) -> Append {
    log.append(note(text))
}

/// Objects with one run, and its log.
fn begun() -> (Arc<Faulty>, ObjectRuns, ObjectLog) {
    let objects = Arc::new(Faulty::new());
    let runs = over(&objects);
    let log = runs.create::<Note>(&run()).unwrap();
    (objects, runs, log)
}

fn texts(records: &[Note]) -> Vec<&str> {
    records.iter().map(|record| record.0.as_str()).collect()
}
