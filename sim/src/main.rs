//! The command `superstep-sim`: runs seeds, shapes with a crash at every point, and planted mistakes.

mod arguments;
mod report;

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use superstep_sim::{
    Case, Counters, SHAPES, Scenario, Seed, Trial, all, crashes, run_seed, run_with, search, shape,
};

use arguments::{Asked, USAGE, parse};
use report::{checks, keep, say, table};

/// The seeds, searches and events of a long run.
const NIGHTLY: u64 = 100_000;

/// So many runs that broke a rule are made small and kept.
const MOST_KEPT: u64 = 3;

fn main() -> anyhow::Result<ExitCode> {
    let asked = parse(std::env::args().skip(1))?;
    if !asked.wants_something() {
        say(USAGE);
        return Ok(ExitCode::from(2));
    }
    let mut broken = 0;
    if let Some(seed) = asked.seed {
        broken += one(seed);
    }
    if let Some(path) = &asked.case {
        broken += u64::from(replay(path)?);
    }
    if let Some(name) = &asked.shape {
        let scenario = shape(name)
            .ok_or_else(|| anyhow::anyhow!("no shape is named {name:?}; there are {}", SHAPES.join(", ")))?;
        broken += exhaust(&[(name, scenario)], asked.sample);
    }
    if asked.shapes {
        let shapes: Vec<(&str, Scenario)> =
            SHAPES.iter().filter_map(|name| shape(name).map(|scenario| (*name, scenario))).collect();
        broken += exhaust(&shapes, asked.sample);
    }
    if let Some(count) = asked.seeds {
        broken += many(&asked, count);
    }
    if asked.defects {
        broken += defects(&asked);
    }
    Ok(if broken == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn one(seed: Seed) -> u64 {
    let (scenario, faults) = seed.unfold();
    let verdict = run_seed(seed, None, true);
    for (name, graph) in &scenario.library {
        say(&format!("graph {name}: {}", serde_json::to_string_pretty(graph).unwrap_or_default()));
    }
    say(&format!("{faults:?}\nexact: {}, nonce: {}", scenario.is_exact(), scenario.nonce));
    verdict.lines.iter().for_each(|line| say(line));
    let Some(violation) = verdict.violation else { return 0 };
    say(&format!("seed {seed}: {violation}"));
    1
}

fn replay(path: &str) -> anyhow::Result<bool> {
    let case = Case::read(path.as_ref())?;
    let verdict = run_with(&case.scenario, &case.faults, None, true);
    verdict.lines.iter().for_each(|line| say(line));
    say(&format!("{}: {}", case.origin, verdict.violation.as_deref().unwrap_or("no rule is broken")));
    Ok(verdict.violation.is_some())
}

/// Crashes at every point of each shape.
fn exhaust(shapes: &[(&str, Scenario)], sample: Option<u64>) -> u64 {
    let begin = Instant::now();
    let total = Mutex::new((Counters::default(), 0));
    for (name, scenario) in shapes {
        let crashes = crashes(scenario, sample);
        let next = AtomicUsize::new(0);
        on_all_cores(|| {
            let mut trial = Trial::new(scenario);
            while let Some(faults) = crashes.runs.get(next.fetch_add(1, Ordering::Relaxed)) {
                let verdict = trial.run(faults, false);
                let mut total = total.lock().expect("no thread panics while it holds the lock");
                total.0.add(&verdict.counters);
                if let Some(violation) = verdict.violation {
                    total.1 += 1;
                    say(&format!("{name}, {faults:?}: {violation}"));
                }
            }
        });
        say(&format!("{name:>16}  {} of {} crashes", crashes.runs.len(), crashes.points));
    }
    let (counters, broken) = *total.lock().expect("all threads have ended");
    if broken == 0 {
        checks(&counters);
    }
    say(&format!("{broken} runs with a crash broke a rule, in {:.1} s", begin.elapsed().as_secs_f64()));
    broken
}

/// Runs `count` seeds on all cores, one of each family after the other.
fn many(asked: &Asked, count: u64) -> u64 {
    let begin = Instant::now();
    let next = AtomicU64::new(asked.from);
    let total = Mutex::new((Counters::default(), 0, 0));
    on_all_cores(|| {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= asked.from + count {
                return;
            }
            let seed = Seed::in_turn(index);
            let mut verdict = run_seed(seed, None, false);
            let twice = asked.twice || index.is_multiple_of(10);
            if twice && run_seed(seed, None, false).trace != verdict.trace {
                verdict.violation = Some("the same seed did not come to the same twice".to_owned());
            }
            let mut total = total.lock().expect("no thread panics while it holds the lock");
            total.0.add(&verdict.counters);
            total.2 += u64::from(twice);
            if let Some(violation) = &verdict.violation {
                total.1 += 1;
                let many = total.1 > MOST_KEPT;
                drop(total);
                report::tell(seed, violation);
                if !many {
                    keep(seed, None, violation);
                }
            }
        }
    });
    let (counters, broken, twice) = *total.lock().expect("all threads have ended");
    table(&counters);
    if broken == 0 {
        checks(&counters);
        say(&format!("0 of {twice} seeds that were run twice came to something else"));
    }
    let seconds = begin.elapsed().as_secs_f64();
    say(&format!("{broken} of {count} seeds broke a rule, in {seconds:.1} s"));
    broken
}

/// Looks for every mistake that this build can plant.
fn defects(asked: &Asked) -> u64 {
    let (searches, most) = (asked.searches, asked.most);
    let planted = all();
    let next = AtomicUsize::new(0);
    let found = AtomicU64::new(0);
    on_all_cores(|| {
        while let Some(planted) = planted.get(next.fetch_add(1, Ordering::Relaxed)) {
            match search(*planted, searches, most) {
                Some(how) => {
                    found.fetch_add(1, Ordering::Relaxed);
                    let what = how.violation.lines().take(2).collect::<Vec<_>>().join(" ");
                    let what: String = what.chars().take(110).collect();
                    say(&format!("{planted}: seed {}, median of {} seeds; {what}", how.seed, how.median()));
                    if asked.keep {
                        keep(how.seed, Some(*planted), &how.violation);
                    }
                }
                None => say(&format!("{planted}: NOT FOUND")),
            }
        }
    });
    let found = found.into_inner();
    say(&format!("{found} of {} planted mistakes found, each {searches} times", planted.len()));
    planted.len() as u64 - found
}

fn on_all_cores(work: impl Fn() + Sync) {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(&work);
        }
    });
}
