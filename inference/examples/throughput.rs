//! Tokens per CPU-second of one thread, as a JSON line on standard output.
//!
//! `cargo run --release -p superstep-inference --example throughput -- --model FILE [--repeats N]`
#![expect(clippy::print_stdout, reason = "the line on standard output is what the program is for")]

use std::path::PathBuf;
use std::process::Command;

use rustix::time::{ClockId, clock_gettime};
use serde_json::json;
use superstep_inference::{
    ChatMessage, Completion, Event, Generator, LoadOptions, Model, Request, Role, Sampling,
};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// Pins the process to one thread; the tensor library reads it once at its first use.
const THREADS: [&str; 2] = ["CANDLE_NUM_THREADS", "RAYON_NUM_THREADS"];

fn main() -> Outcome<()> {
    if THREADS.iter().any(|name| std::env::var_os(name).is_none()) {
        let mut child = Command::new(std::env::current_exe()?);
        child.args(std::env::args_os().skip(1)).envs(THREADS.map(|name| (name, "1")));
        let status = child.status()?;
        return if status.success() {
            Ok(())
        } else {
            Err(format!("the measuring process: {status}").into())
        };
    }
    let mut arguments = std::env::args().skip(1);
    let (mut model, mut repeats) = (None, 5);
    while let Some(argument) = arguments.next() {
        let value = arguments.next().ok_or("every option has a value")?;
        match argument.as_str() {
            "--model" => model = Some(PathBuf::from(value)),
            "--repeats" => repeats = value.parse()?,
            other => return Err(format!("unknown option {other}").into()),
        }
    }
    println!("{}", measure(&model.ok_or("--model FILE is needed")?, repeats)?);
    Ok(())
}

fn measure(path: &std::path::Path, repeats: usize) -> Outcome<serde_json::Value> {
    let before = cpu_seconds();
    // Guesses depend on what is written; what is measured is a pass.
    let options = LoadOptions { context_length: 2048, guesses: 0, ..LoadOptions::default() };
    let model = Model::load(path, &options)?;
    let load = cpu_seconds() - before;
    let generator = Generator::start(model)?;
    generate(&generator, &[request("warm-up", 8)])?;
    let (mut reading, mut writing, mut batch) = (Vec::new(), Vec::new(), Vec::new());
    for repeat in 0..repeats {
        let long = "The quick brown fox jumps over the lazy dog. ".repeat(47);
        reading.push(generate(&generator, &[request(&format!("{repeat}: {long}"), 1)])?.reading);
        writing
            .push(generate(&generator, &[request(&format!("{repeat}: Write a long story."), 128)])?.writing);
        let requests: Vec<_> =
            (0..8).map(|index| request(&format!("{repeat}.{index}: Write a long story."), 64)).collect();
        batch.push(generate(&generator, &requests)?.writing);
    }
    Ok(json!({
        "engine": "superstep",
        "pp_tokens_per_cpu_s": median(reading),
        "tg_tokens_per_cpu_s": median(writing),
        "batch8_tokens_per_cpu_s": median(batch),
        "load_cpu_s": load,
        "rss_mb": resident_megabytes()?,
    }))
}

/// Tokens per CPU-second until each request has its first token, and from there to the end.
struct Rates {
    reading: f64,
    writing: f64,
}

fn generate(generator: &Generator, requests: &[Request]) -> Outcome<Rates> {
    let start = cpu_seconds();
    let mut streams = Vec::new();
    for request in requests {
        streams.push(generator.submit(request.clone())?);
    }
    for stream in &mut streams {
        stream.next_blocking();
    }
    let middle = cpu_seconds();
    let mut done: Vec<Completion> = Vec::new();
    for stream in &mut streams {
        while let Some(event) = stream.next_blocking() {
            match event {
                Event::Token { .. } => {}
                Event::Done(completion) => done.push(completion),
                Event::Failed(error) => return Err(error.into()),
            }
        }
    }
    let end = cpu_seconds();
    let read: usize = done.iter().map(|completion| completion.usage.prompt_tokens).sum();
    let written: usize = done.iter().map(|completion| completion.usage.completion_tokens - 1).sum();
    Ok(Rates { reading: read as f64 / (middle - start), writing: written as f64 / (end - middle) })
}

fn request(text: &str, max_tokens: usize) -> Request {
    // A system message of its own keeps a request from finding its beginning in the cache.
    let system = format!("{text:.12} You tell stories without end.");
    Request {
        messages: vec![ChatMessage::new(Role::System, system), ChatMessage::new(Role::User, text)],
        sampling: Sampling { max_tokens, ..Sampling::default() },
        ..Request::default()
    }
}

fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

fn resident_megabytes() -> Outcome<f64> {
    let statm = std::fs::read_to_string("/proc/self/statm")?;
    let pages: f64 = statm.split_whitespace().nth(1).ok_or("statm has two fields")?.parse()?;
    Ok(pages * rustix::param::page_size() as f64 / 1e6)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
