//! Measures the runner, and prints one JSON line: the code path of `superstep run` with registered
//! closures and made-up models, JSON payloads, and an observer.
//!
//! `bench --shape SHAPE --n N [--store memory|kept|file] [--measure run|first-event|compilation] [--runs R]
//! [--graph-size V]`, or `bench --smoke` for the smallest run of every shape, which checks that each does its
//! work and prints nothing of speed.
#![expect(clippy::print_stdout, reason = "a measurement is printed")]

mod arguments;
mod measure;
mod shapes;

use arguments::{Arguments, Keeping, Region};
use measure::Measured;
use serde_json::json;
use shapes::Shape;

fn main() {
    let arguments = Arguments::parse(std::env::args().skip(1)).unwrap_or_else(|why| {
        eprintln!("bench: {why}");
        std::process::exit(2)
    });
    if arguments.smoke {
        return smoke();
    }
    let mut measured = measure::runs(&arguments);
    let peak = measured.iter().map(|one| one.peak).max().unwrap_or(0);
    measured.sort_by(|a, b| a.cpu.total_cmp(&b.cpu));
    print(&arguments, &measured[measured.len() / 2], peak);
}

fn print(arguments: &Arguments, median: &Measured, peak: u64) {
    println!(
        "{}",
        json!({
            "peer": "superstep",
            "shape": arguments.shape.name(),
            "n": arguments.n,
            "store": arguments.keeping.name(),
            "measure": arguments.region.name(),
            "supersteps": median.counted.supersteps,
            "activations": median.counted.activations,
            "messages": median.counted.messages,
            "wall_s": median.wall,
            "cpu_s": median.cpu,
            "stored_bytes": median.stored,
            "syncs": median.syncs,
            "grown_bytes": median.grown,
            "late_over_early": median.late_over_early,
            "rss_mb": peak as f64 / f64::from(1 << 20),
        })
    );
}

/// Runs every shape once, as small as it goes, with each keeping, and once for each region.
fn smoke() {
    for shape in Shape::ALL {
        let keepings = Keeping::ALL.map(|keeping| (keeping, Region::Run));
        let regions = [Region::FirstEvent, Region::Compilation].map(|region| (Keeping::Nothing, region));
        for (keeping, region) in keepings.into_iter().chain(regions) {
            let arguments = Arguments {
                shape,
                n: shape.smallest(),
                keeping,
                region,
                smoke: true,
                ..Arguments::default()
            };
            let counted = measure::runs(&arguments)[0].counted;
            println!(
                "{}: {} supersteps, {} activations",
                shape.name(),
                counted.supersteps,
                counted.activations
            );
        }
    }
}
