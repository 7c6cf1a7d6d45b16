//! What durable appends to an object store cost: one line of JSON with the median milliseconds of an append that waits
//! for the one before, appends a second of one log and of eight at once, records a second where a thousand wait
//! together, what reading them back takes, and opening a run with journals.
//!
//! `cargo run --release -p superstep-store --example object_cost -- PLACE [APPENDS]`, where PLACE is a URL such as
//! `file:///var/tmp/store` or `s3://bucket/prefix`; the environment says how a service is reached.

use std::{env, error::Error, io::Write, process, thread, time::Instant};

use serde::{Deserialize, Serialize};
use superstep_store::{Log, ObjectPlace, Position, Record, RunName, Store};

/// Runs that are written at once.
const ABREAST: u64 = 8;
/// Appends that wait together.
const TOGETHER: u64 = 1_000;

/// A record of about 60 bytes.
#[derive(Clone, Serialize, Deserialize)]
struct Step {
    superstep: u64,
    text: String,
}

impl Record for Step {
    const FORMAT: u16 = 1;
}

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

fn step(superstep: u64) -> Vec<Step> {
    vec![Step { superstep, text: "x".repeat(57) }]
}

/// The milliseconds of each of `times` appends, one after the other.
fn in_turn(log: &mut dyn Log<Step>, times: u64) -> Outcome<Vec<f64>> {
    let mut walls = Vec::new();
    for number in 0..times {
        let before = Instant::now();
        log.append(step(number)).wait()?;
        walls.push(before.elapsed().as_secs_f64() * 1e3);
    }
    walls.sort_by(f64::total_cmp);
    Ok(walls)
}

/// Appends a second of several runs that are written at once.
fn abreast(store: &Store<Step>, name: &str, times: u64) -> Outcome<f64> {
    let mut logs = Vec::new();
    for number in 0..ABREAST {
        logs.push(store.create(&format!("{name}-{number}").parse()?, "object_cost")?);
    }
    let before = Instant::now();
    thread::scope(|scope| -> Outcome<()> {
        let writers: Vec<_> =
            logs.iter_mut().map(|log| scope.spawn(|| in_turn(log.as_mut(), times).map(drop))).collect();
        writers.into_iter().try_for_each(|writer| writer.join().map_err(|_| "a writer has panicked")?)
    })?;
    Ok((ABREAST * times) as f64 / before.elapsed().as_secs_f64())
}

/// The milliseconds in which a run is opened that has 40 journals of 20 entries each.
fn open_with_journals(store: &Store<Step>, run: &RunName) -> Outcome<f64> {
    drop(store.create(run, "object_cost")?);
    let mut journals = Vec::new();
    for number in 0..40 {
        journals.push(store.journal(run, &format!("1.{number}").parse()?)?);
    }
    for number in 0..20 {
        let appends: Vec<_> =
            journals.iter_mut().map(|journal| journal.append(Position(0), step(number))).collect();
        appends.into_iter().try_for_each(|append| append.wait().map(drop))?;
    }
    let before = Instant::now();
    let (_, contents) = store.open(run, "object_cost")?;
    if contents.records.len() != 800 {
        return Err("records are missing".into());
    }
    Ok(before.elapsed().as_secs_f64() * 1e3)
}

fn main() -> Outcome<()> {
    let mut arguments = env::args().skip(1);
    let place: ObjectPlace = arguments.next().ok_or("the first argument is a place")?.parse()?;
    let times: u64 = arguments.next().map_or(Ok(300), |text| text.parse())?;
    let store = Store::object(&place)?;
    store.probe()?;
    let name = format!("cost-{}", process::id());
    let run: RunName = name.parse()?;
    let mut log = store.create(&run, "object_cost")?;
    let walls = in_turn(log.as_mut(), times)?;

    let (before, objects) = (Instant::now(), store.commits());
    let together: Vec<_> = (0..TOGETHER).map(|number| log.append(step(number))).collect();
    for append in together {
        append.wait()?;
    }
    let (together, grouped) = (TOGETHER as f64 / before.elapsed().as_secs_f64(), store.commits() - objects);

    let before = Instant::now();
    let read = store.follow(&run, Position(0))?.read()?.len();
    let reading = before.elapsed().as_secs_f64() * 1e3;
    let journals = open_with_journals(&store, &format!("{name}-journals").parse()?)?;
    let line = serde_json::json!({
        "append_ms_p50": walls.get(walls.len() / 2),
        "append_ms_p99": walls.get(walls.len() * 99 / 100),
        "appends_per_s": walls.len() as f64 * 1e3 / walls.iter().sum::<f64>(),
        "appends_per_s_of_8_runs": abreast(&store, &name, times)?,
        "appends_per_s_together": together,
        "objects_of_1000_together": grouped,
        "records_read": read,
        "read_ms": reading,
        "open_ms_with_40_journals_of_20": journals,
    });
    writeln!(std::io::stdout(), "{line}")?;
    Ok(())
}
