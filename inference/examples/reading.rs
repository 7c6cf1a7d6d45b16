//! How far this engine and another say the same of texts that both are given, as a JSON line on standard output.
//!
//! The file has what the other one said: `{"margin": …, "sequences": [{"tokens": […], "first": …, "best": […], "margins":
//! […], "logprobs": […]}]}`. From the position `first` on it has, for each position, the token that is likeliest to come
//! next and by how much it leads; for each but the last, the log-probability of the token that does come.
//!
//! `cargo run --release -p superstep-inference --features testing --example reading -- --model FILE --said FILE`
#![expect(clippy::print_stdout, reason = "the line on standard output is what the program is for")]

#[path = "shared/process.rs"]
mod process;

use std::path::Path;

use process::{Outcome, on_one_thread, options};
use serde::Deserialize;
use serde_json::json;
use superstep_inference::testing::{Said, said};
use superstep_inference::{LoadOptions, Model};

/// What the other engine said.
#[derive(Deserialize)]
struct Others {
    /// Positions count where it leads by more.
    margin: f32,
    sequences: Vec<Sequence>,
}

/// Of one text.
#[derive(Deserialize)]
struct Sequence {
    /// The text as the other engine was given it, where it has split it itself.
    text: Option<String>,
    tokens: Vec<u32>,
    first: usize,
    best: Vec<u32>,
    margins: Vec<f32>,
    logprobs: Vec<f64>,
}

/// What was counted.
#[derive(Default)]
struct Count {
    /// Texts that were split by both, and those that were split alike.
    split: usize,
    split_alike: usize,
    /// Positions, those where the other engine is sure, and those where both say the same.
    positions: usize,
    sure: usize,
    agreeing: usize,
    /// The largest lead of the other engine where it was not followed.
    worst: f32,
    /// Tokens that were told the probabilities of, and minus the sum of their logarithms.
    told: usize,
    surprise: f64,
    others_surprise: f64,
}

fn main() -> Outcome<()> {
    let options = options(&["--model", "--said"])?;
    let model = options.get("--model").ok_or("--model FILE is needed")?;
    let others = std::fs::read(options.get("--said").ok_or("--said FILE is needed")?)?;
    let others: Others = serde_json::from_slice(&others)?;
    on_one_thread(|| {
        let count = counted(Path::new(model), &others)?;
        let perplexity = |surprise: f64| (surprise / count.told as f64).exp();
        let line = json!({
            "texts": others.sequences.len(),
            "split": count.split,
            "split_alike": count.split_alike,
            "positions": count.positions,
            "sure": count.sure,
            "agreeing": count.agreeing,
            "worst": count.worst,
            "tokens": count.told,
            "perplexity": perplexity(count.surprise),
            "others_perplexity": perplexity(count.others_surprise),
        });
        println!("{line}");
        Ok(())
    })
}

fn counted(path: &Path, others: &Others) -> Outcome<Count> {
    let longest = others.sequences.iter().map(|sequence| sequence.tokens.len()).max().unwrap_or(1);
    let options = LoadOptions { context_length: longest, max_concurrent: 1, ..LoadOptions::default() };
    let model = Model::load(path, &options)?;
    let mut count = Count::default();
    for sequence in &others.sequences {
        if let Some(text) = &sequence.text {
            count.split += 1;
            let own = model.tokenize(text)?;
            count.split_alike += usize::from(sequence.tokens.starts_with(&own));
        }
        let own = said(&model, &sequence.tokens)?;
        let own = own.get(sequence.first..).ok_or("the first position is in the text")?;
        if own.len() != sequence.best.len() || own.len() != sequence.margins.len() {
            return Err("something is said of each position from the first on".into());
        }
        for ((own, best), margin) in own.iter().zip(&sequence.best).zip(&sequence.margins) {
            count.positions += 1;
            if *margin > others.margin {
                count.sure += 1;
                if own.best == *best {
                    count.agreeing += 1;
                } else {
                    count.worst = count.worst.max(*margin);
                }
            }
        }
        let told = own.iter().filter_map(|said: &Said| said.logprob).zip(&sequence.logprobs);
        for (own, other) in told {
            count.told += 1;
            count.surprise -= own;
            count.others_surprise -= other;
        }
    }
    Ok(count)
}
