//! What a durable append of a small record costs: one line of JSON with the median microseconds of wall and CPU
//! time per append, the bytes stored per append, and the same times for a bare write and sync of as many bytes.
//!
//! `cargo run --release -p superstep-store --example append_cost -- [APPENDS] [FOLDER]`

use std::{env, error::Error, fs, io::Write, path::PathBuf, time::Instant};

use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};
use superstep_store::{Record, RunName, Store};

/// Appends in a round.
const ROUND: u64 = 50;

/// A record of about 60 bytes.
#[derive(Clone, Serialize, Deserialize)]
struct Step {
    superstep: u64,
    text: String,
}

impl Record for Step {
    const FORMAT: u16 = 1;
}

/// Microseconds per repetition, of each round and of all repetitions.
#[derive(Default)]
struct Costs {
    cpu_of_rounds: Vec<f64>,
    walls: Vec<f64>,
}

impl Costs {
    fn round(&mut self, mut work: impl FnMut() -> Result<(), Box<dyn Error>>) -> Result<(), Box<dyn Error>> {
        let cpu = cpu_us();
        for _ in 0..ROUND {
            let before = Instant::now();
            work()?;
            self.walls.push(before.elapsed().as_secs_f64() * 1e6);
        }
        self.cpu_of_rounds.push((cpu_us() - cpu) / ROUND as f64);
        Ok(())
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn cpu_us() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 * 1e6 + time.tv_nsec as f64 / 1e3
}

fn step(superstep: u64) -> Step {
    Step { superstep, text: "x".repeat(57) }
}

/// Microseconds of CPU per append to a log in memory, where the records are there already.
fn append_in_memory(run: &RunName) -> Result<f64, Box<dyn Error>> {
    const TIMES: u64 = 200_000;
    let mut log = Store::memory().create(run, "append_cost")?;
    let batches: Vec<_> = (0..TIMES).map(|number| vec![step(number)]).collect();
    let begin = cpu_us();
    for batch in batches {
        log.append(batch).wait()?;
    }
    Ok((cpu_us() - begin) / TIMES as f64)
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let times: u64 = arguments.next().map_or(Ok(2_000), |text| text.parse())?;
    let parent = arguments.next().map_or_else(env::temp_dir, PathBuf::from);
    let folder = tempfile::tempdir_in(parent)?;
    let run: RunName = "cost".parse()?;

    let memory_cpu = append_in_memory(&run)?;
    let store = Store::folder(folder.path())?;
    let mut log = store.create(&run, "append_cost")?;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;

    let path = folder.path().join("bare");
    let chunk = [b'x'; 88];
    fs::write(&path, vec![0; chunk.len() * usize::try_from(times + ROUND)?])?;
    let mut file = fs::OpenOptions::new().write(true).open(&path)?;
    file.sync_all()?;

    // The two take turns, so that what else the machine does falls on both.
    let (mut durable, mut bare) = (Costs::default(), Costs::default());
    for round in 0..times.div_ceil(ROUND) {
        durable.round(|| Ok(runtime.block_on(log.append(vec![step(round)])).map(drop)?))?;
        bare.round(|| {
            file.write_all(&chunk)?;
            Ok(file.sync_data()?)
        })?;
    }
    drop(log);

    let appends = durable.walls.len() as f64;
    let beside =
        durable.cpu_of_rounds.iter().zip(&bare.cpu_of_rounds).map(|(all, sync)| all - sync).collect();
    let line = serde_json::json!({
        "appends": appends,
        "bytes_per_append": store.runs()?[0].bytes as f64 / appends,
        "syncs_per_append": store.commits() as f64 / appends,
        "wall_us": median(durable.walls),
        "cpu_us": median(durable.cpu_of_rounds),
        "bare_wall_us": median(bare.walls),
        "bare_cpu_us": median(bare.cpu_of_rounds),
        "cpu_us_beside_the_sync": median(beside),
        "memory_cpu_us": memory_cpu,
    });
    writeln!(std::io::stdout(), "{line}")?;
    Ok(())
}
