//! The command `superstep-sim`: runs seeds, or one shape with a crash at every write.

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use superstep_sim::{Counters, Faults, SHAPES, Scenario, Seed, Side, Verdict, run, run_seed, shape};

const USAGE: &str = "superstep-sim: runs the engine in a simulated world under faults

  superstep-sim --seeds N [--from S]   N seeds, from seed S on (default 0)
  superstep-sim --seed S               one seed, with all that happens in it
  superstep-sim --shape NAME           a shape, with a crash on both sides of every durable write
";

/// What the command line asks for.
#[derive(Debug, Default)]
struct Asked {
    seeds: Option<u64>,
    from: u64,
    seed: Option<Seed>,
    shape: Option<String>,
}

fn main() -> anyhow::Result<ExitCode> {
    let asked = parse(std::env::args().skip(1))?;
    let broken = if let Some(seed) = asked.seed {
        one(seed)
    } else if let Some(name) = asked.shape {
        let scenario = shape(&name)
            .ok_or_else(|| anyhow::anyhow!("no shape is named {name:?}; there are {}", SHAPES.join(", ")))?;
        exhaust(&name, &scenario)
    } else if let Some(count) = asked.seeds {
        many(std::env::var("FAM").is_ok(), asked.from, count)
    } else {
        say(USAGE);
        return Ok(ExitCode::from(2));
    };
    Ok(if broken == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn parse(mut words: impl Iterator<Item = String>) -> anyhow::Result<Asked> {
    let mut asked = Asked::default();
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| anyhow::anyhow!("{word} wants a value"));
        match word.as_str() {
            "--seeds" => asked.seeds = Some(value()?.parse()?),
            "--from" => asked.from = value()?.parse()?,
            "--seed" => asked.seed = Some(value()?.parse()?),
            "--shape" => asked.shape = Some(value()?),
            other => anyhow::bail!("{other:?} is unknown\n\n{USAGE}"),
        }
    }
    Ok(asked)
}

fn one(seed: Seed) -> u64 {
    let (scenario, faults) = seed.unfold();
    let verdict = run_seed(seed, None, true);
    for (name, graph) in &scenario.library {
        say(&format!("graph {name}: {}", serde_json::to_string_pretty(graph).unwrap_or_default()));
    }
    say(&format!("{faults:?}\nexact: {}, nonce: {}", scenario.is_exact(), scenario.nonce));
    verdict.lines.iter().for_each(|line| say(line));
    report(&format!("seed {seed}"), &verdict)
}

fn report(name: &str, verdict: &Verdict) -> u64 {
    let Some(violation) = &verdict.violation else { return 0 };
    say(&format!("{name}: {violation}"));
    1
}

/// Crashes on both sides of every durable write of a shape.
fn exhaust(name: &str, scenario: &Scenario) -> u64 {
    let mut broken = 0;
    let mut total = Counters::default();
    for partitions in 1..=3 {
        let calm = Faults { partitions, latency: partitions > 1, ..Faults::none(u64::from(partitions)) };
        let writes = run(scenario, &calm, false).writes;
        for write in 0..writes {
            for side in [Side::Before, Side::After] {
                let faults = Faults { crash_at: Some((write, side)), ..calm.clone() };
                let verdict = run(scenario, &faults, false);
                total.add(&verdict.counters);
                let at = format!("{name}, {partitions} partitions, crash {side:?} write {write}");
                broken += report(&at, &verdict);
            }
        }
    }
    table(&total);
    broken
}

/// Runs `count` seeds on all cores.
fn many(family: bool, from: u64, count: u64) -> u64 {
    let begin = Instant::now();
    let next = AtomicU64::new(from);
    let total = Mutex::new((Counters::default(), 0));
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= from + count {
                        return;
                    }
                    let seed = if family { Seed::strange(number) } else { Seed::usual(number) };
                    let mut verdict = run_seed(seed, None, false);
                    if number.is_multiple_of(10) && run_seed(seed, None, false).trace != verdict.trace {
                        verdict.violation = Some("the same seed did not come to the same twice".to_owned());
                    }
                    let mut total = total.lock().expect("no thread panics while it holds the lock");
                    total.0.add(&verdict.counters);
                    if report(&format!("seed {seed}"), &verdict) > 0 {
                        total.1 += 1;
                        say(&format!("  superstep-sim --seed {seed} shows all that happens in it"));
                    }
                }
            });
        }
    });
    let (counters, broken) = *total.lock().expect("all threads have ended");
    table(&counters);
    let seconds = begin.elapsed().as_secs_f64();
    say(&format!("{broken} of {count} seeds broke a rule, in {seconds:.1} s on {cores} threads"));
    broken
}

fn table(counters: &Counters) {
    for (name, count) in counters.rows() {
        say(&format!("{:>22} {count}", name.replace('_', " ")));
    }
}

#[expect(clippy::print_stdout, reason = "a command speaks on its standard output")]
fn say(line: &str) {
    println!("{line}");
}
