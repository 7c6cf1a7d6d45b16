//! Sentences per second of one thread, by its CPU time and by the clock, as a JSON line on standard output.
//!
//! `cargo run --release -p superstep-inference --example sentences -- --model FOLDER --texts FILE [--vectors FILE]`
#![expect(clippy::print_stdout, reason = "the line on standard output is what the program is for")]

#[path = "shared/process.rs"]
mod process;
#[path = "shared/usage.rs"]
mod usage;

use std::path::Path;
use std::time::Instant;

use process::{Outcome, on_one_thread, options};
use serde_json::json;
use superstep_inference::{Embedder, EmbedderOptions};
use usage::{cpu_seconds, peak_megabytes};

/// Texts of a batch.
const BATCH: usize = 8;

fn main() -> Outcome<()> {
    let options = options(&["--model", "--texts", "--vectors"])?;
    let model = options.get("--model").ok_or("--model FOLDER is needed")?;
    let texts = std::fs::read_to_string(options.get("--texts").ok_or("--texts FILE is needed")?)?;
    let texts: Vec<&str> = texts.lines().collect();
    on_one_thread(|| {
        let start = cpu_seconds();
        let embedder = Embedder::load(Path::new(model), &EmbedderOptions::default())?;
        let load_cpu_s = cpu_seconds() - start;
        if let Some(path) = options.get("--vectors") {
            let mut vectors = Vec::new();
            for text in &texts {
                vectors.extend(embedder.embed(&[text])?);
            }
            std::fs::write(path, serde_json::to_vec(&vectors)?)?;
        }
        embedder.embed(&texts[..BATCH.min(texts.len())])?;
        let (one_per_cpu_s, one_per_s) = rates(&embedder, &texts, 1)?;
        let (batch_per_cpu_s, batch_per_s) = rates(&embedder, &texts, BATCH)?;
        let line = json!({
            "engine": "superstep",
            "one_per_cpu_s": one_per_cpu_s,
            "one_per_s": one_per_s,
            "batch_per_cpu_s": batch_per_cpu_s,
            "batch_per_s": batch_per_s,
            "load_cpu_s": load_cpu_s,
            "rss_mb": peak_megabytes()?,
        });
        println!("{line}");
        Ok(())
    })
}

/// Texts per second of CPU time and of the clock, once through all of them.
fn rates(embedder: &Embedder, texts: &[&str], batch: usize) -> Outcome<(f64, f64)> {
    let (clock, cpu) = (Instant::now(), cpu_seconds());
    for texts in texts.chunks(batch) {
        embedder.embed(texts)?;
    }
    let count = texts.len() as f64;
    Ok((count / (cpu_seconds() - cpu), count / clock.elapsed().as_secs_f64()))
}
