//! Tokens per second of one thread, by its CPU time and by the clock, as a JSON line on standard output.
//!
//! `cargo run --release -p superstep-inference --example throughput -- --model FILE [--repeats N]`
#![expect(clippy::print_stdout, reason = "the line on standard output is what the program is for")]

#[path = "shared/process.rs"]
mod process;
#[path = "shared/usage.rs"]
mod usage;

use std::path::Path;
use std::time::Instant;

use process::{Outcome, on_one_thread, options};
use serde_json::json;
use superstep_inference::{
    ChatMessage, Completion, Event, Generator, LoadOptions, Model, Request, Role, Sampling,
};
use usage::{cpu_seconds, peak_megabytes};

fn main() -> Outcome<()> {
    let options = options(&["--model", "--repeats"])?;
    let model = options.get("--model").ok_or("--model FILE is needed")?;
    let repeats = options.get("--repeats").map_or(Ok(5), |repeats| repeats.parse())?;
    on_one_thread(|| {
        println!("{}", measured(Path::new(model), repeats)?);
        Ok(())
    })
}

fn measured(path: &Path, repeats: usize) -> Outcome<serde_json::Value> {
    // Guesses depend on what is written; what is measured is a pass.
    let options = LoadOptions { context_length: 2048, guesses: 0, ..LoadOptions::default() };
    let model = Model::load(path, &options)?;
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
    let median = |rates: &[Rate], of: fn(&Rate) -> f64| median(rates.iter().map(of).collect());
    let cpu: fn(&Rate) -> f64 = |rate| rate.cpu;
    let clock: fn(&Rate) -> f64 = |rate| rate.clock;
    Ok(json!({
        "engine": "superstep",
        "pp_tokens_per_cpu_s": median(&reading, cpu),
        "tg_tokens_per_cpu_s": median(&writing, cpu),
        "batch8_tokens_per_cpu_s": median(&batch, cpu),
        "pp_tokens_per_s": median(&reading, clock),
        "tg_tokens_per_s": median(&writing, clock),
        "batch8_tokens_per_s": median(&batch, clock),
        "rss_mb": peak_megabytes()?,
    }))
}

/// Tokens per second of CPU time and of the clock.
#[derive(Clone, Copy)]
struct Rate {
    cpu: f64,
    clock: f64,
}

/// Until each request has its first token, and from there to the end.
struct Rates {
    reading: Rate,
    writing: Rate,
}

/// When something happened, by both clocks.
struct Moment(f64, Instant);

impl Moment {
    fn now() -> Self {
        Self(cpu_seconds(), Instant::now())
    }

    fn rate(&self, end: &Self, tokens: usize) -> Rate {
        let clock = (end.1 - self.1).as_secs_f64();
        Rate { cpu: tokens as f64 / (end.0 - self.0), clock: tokens as f64 / clock }
    }
}

fn generate(generator: &Generator, requests: &[Request]) -> Outcome<Rates> {
    let start = Moment::now();
    let mut streams = Vec::new();
    for request in requests {
        streams.push(generator.submit(request.clone())?);
    }
    for stream in &mut streams {
        stream.next_blocking();
    }
    let middle = Moment::now();
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
    let end = Moment::now();
    let read = done.iter().map(|completion| completion.usage.prompt_tokens).sum();
    let written = done.iter().map(|completion| completion.usage.completion_tokens - 1).sum();
    Ok(Rates { reading: start.rate(&middle, read), writing: middle.rate(&end, written) })
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

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
