//! Measures groups of worker processes beside bare gRPC, and prints one JSON line.
//!
//! `cluster --shape SHAPE [--n N] [--store DIR]`, where SHAPE is one of
//! - `round-trip`: a message and its answer over one bare stream between two processes;
//! - `packed`: 100-byte messages in bare batches of 1 MiB from one process to another;
//! - `typed`: typed messages of 16 bytes, each with its receiver, between two processes that each have a share of an
//!   execution, both ways at once;
//! - `barrier`: supersteps of six vertices that do nothing, each of which sends to the next one, on three workers;
//! - `slow`: the same with one call of a model that takes 200 ms in each superstep;
//! - `messages`: 100-byte messages between vertices of two workers;
//! - `calls`: vertices that each call a model that takes 200 ms, on four workers;
//! - `algorithm`: a graph algorithm in each of eight vertices, on `--workers` workers of one core each.
#![expect(clippy::print_stdout, reason = "a measurement is printed")]

mod bare;
mod graphs;
mod group;
mod ticks;
mod typed;

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use clap::Parser;
use group::Group;
use serde_json::{Value, json};

#[derive(Parser)]
struct Arguments {
    /// What is measured.
    #[arg(long)]
    shape: Option<String>,
    /// How much of it; each shape has its own number.
    #[arg(long)]
    n: Option<usize>,
    #[arg(long)]
    workers: Option<usize>,
    /// Where runs are kept; by default in memory that looks like a disk.
    #[arg(long, default_value = "/dev/shm")]
    store: PathBuf,
    /// Serves as the worker of this name of the group in a folder.
    #[arg(long, requires = "folder")]
    worker: Option<String>,
    #[arg(long)]
    folder: Option<PathBuf>,
    #[arg(long = "label")]
    labels: Vec<String>,
    /// Answers bare messages.
    #[arg(long)]
    bare: bool,
    /// Has a share of an execution whose other one is at this address.
    #[arg(long)]
    share: Option<String>,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Runtime::new()?;
    if let (Some(name), Some(folder)) = (&arguments.worker, &arguments.folder) {
        return runtime.block_on(group::work(name, folder, &arguments.labels));
    }
    if arguments.bare {
        return runtime.block_on(bare::serve());
    }
    if let Some(other) = &arguments.share {
        return runtime
            .block_on(typed::second(other, arguments.n.context("how many supersteps is missing")?));
    }
    let measured = runtime.block_on(measure(&arguments))?;
    println!("{measured}");
    Ok(())
}

async fn measure(arguments: &Arguments) -> Result<Value> {
    let n = |usual: usize| arguments.n.unwrap_or(usual);
    let shape = arguments.shape.as_deref().context("a shape is missing")?;
    match shape {
        "round-trip" => bare::round_trip(n(10_000)).await,
        "packed" => bare::packed(n(1_000)).await,
        "typed" => typed::first(n(100)).await,
        "barrier" => supersteps(arguments, n(500), "0s").await,
        "slow" => supersteps(arguments, n(10), "200ms").await,
        "messages" => messages(arguments, n(20)).await,
        "calls" => calls(arguments, n(1_000)).await,
        "algorithm" => algorithm(arguments, n(16)).await,
        other => bail!("there is no shape {other:?}"),
    }
}

/// Supersteps of vertices that do nothing, or of one that waits for a model.
async fn supersteps(arguments: &Arguments, n: usize, latency: &str) -> Result<Value> {
    let group = Group::start(&arguments.store, arguments.workers.unwrap_or(3), false).await?;
    let measured = group.run(&graphs::ring(n, latency), &Value::Null).await?;
    let each = measured.seconds / n as f64;
    Ok(json!({
        "shape": "supersteps",
        "superstep_us": each * 1e6,
        "superstep_p50_us": measured.superstep.context("no vertex has told supersteps apart")?,
        "cpu_us": measured.cpu / n as f64 * 1e6,
    }))
}

async fn messages(arguments: &Arguments, n: usize) -> Result<Value> {
    const WIDTH: usize = 100;
    let group = Group::start(&arguments.store, 2, false).await?;
    let measured = group.run(&graphs::flood(WIDTH, n), &json!("x".repeat(98))).await?;
    let messages = (WIDTH * WIDTH * n) as f64;
    Ok(json!({
        "shape": "messages",
        "million_per_s": messages / measured.seconds / 1e6,
        "cpu_us": measured.cpu / messages * 1e6,
    }))
}

async fn calls(arguments: &Arguments, n: usize) -> Result<Value> {
    let group = Group::start(&arguments.store, arguments.workers.unwrap_or(4), false).await?;
    let measured = group.run(&graphs::calls(n), &Value::Null).await?;
    Ok(json!({
        "shape": "calls",
        "wall_s": measured.seconds,
        "over_ideal": measured.seconds / 0.2,
        "cpu_us": measured.cpu / n as f64 * 1e6,
    }))
}

async fn algorithm(arguments: &Arguments, scale: usize) -> Result<Value> {
    let group = Group::start(&arguments.store, arguments.workers.unwrap_or(1), true).await?;
    let measured = group.run(&graphs::algorithms(scale), &Value::Null).await?;
    Ok(json!({ "shape": "algorithm", "wall_s": measured.seconds, "cpu_s": measured.cpu }))
}
