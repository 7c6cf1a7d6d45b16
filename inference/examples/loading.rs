//! How long a model takes to load and to make its first token, and its memory then, as a JSON line on standard output.
//!
//! `cargo run --release -p superstep-inference --example loading -- --model FILE [--converted FOLDER] [--fresh yes]`
#![expect(clippy::print_stdout, reason = "the line on standard output is what the program is for")]

#[path = "shared/process.rs"]
mod process;
#[path = "shared/usage.rs"]
mod usage;

use std::path::PathBuf;
use std::time::Instant;

use process::{Outcome, on_one_thread, options};
use serde_json::json;
use superstep_inference::{ChatMessage, Generator, Kept, LoadOptions, Model, Request, Role, Sampling};
use usage::{cpu_seconds, peak_megabytes};

fn main() -> Outcome<()> {
    let options = options(&["--model", "--converted", "--fresh"])?;
    let model = PathBuf::from(options.get("--model").ok_or("--model FILE is needed")?);
    let converted = options.get("--converted").map(PathBuf::from);
    if let (Some(folder), true) = (&converted, options.contains_key("--fresh"))
        && folder.exists()
    {
        std::fs::remove_dir_all(folder)?;
    }
    on_one_thread(|| {
        let options = LoadOptions { context_length: 2048, converted, ..LoadOptions::default() };
        println!("{}", measured(&model, &options)?);
        Ok(())
    })
}

fn measured(path: &std::path::Path, options: &LoadOptions) -> Outcome<serde_json::Value> {
    let (clock, cpu) = (Instant::now(), cpu_seconds());
    let model = Model::load(path, options)?;
    let (load_s, load_cpu_s) = (clock.elapsed().as_secs_f64(), cpu_seconds() - cpu);
    let description = model.description().clone();
    if let Kept::Failed(reason) = &description.kept {
        return Err(format!("the converted weights cannot be written: {reason}").into());
    }
    let generator = Generator::start(model)?;
    let messages = vec![ChatMessage::new(Role::User, "Tell me of the sea.")];
    let sampling = Sampling { max_tokens: 1, ..Sampling::default() };
    generator.submit(Request { messages, sampling, ..Request::default() })?.completion_blocking()?;
    let first_s = clock.elapsed().as_secs_f64();
    let weights: u64 = description.held.iter().map(|format| format.bytes).sum();
    let peak = peak_megabytes()?;
    Ok(json!({
        "engine": "superstep",
        "kept": description.kept,
        "load_s": load_s,
        "load_cpu_s": load_cpu_s,
        "first_s": first_s,
        "rss_mb": peak,
        "weights_mb": weights as f64 / 1e6,
        "over_weights": peak * 1e6 / weights as f64,
    }))
}
