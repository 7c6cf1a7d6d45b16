//! A run inside another program: observed, detached in the middle, resumed from its log, and another one
//! cancelled.
//!
//! `cargo run -p superstep --example embedded`

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use superstep::{
    ActivationId, GraphSpec, NewRun, Notice, Observer, Programs, Run, RunEnd, RunName, Setup, Store,
    schemars::JsonSchema, validate,
};

/// What travels round the loop.
#[derive(serde::Deserialize, serde::Serialize, JsonSchema)]
struct Count {
    n: u32,
}

/// Prints what happens.
struct Printer;

impl Observer for Printer {
    fn notice(&self, notice: &Notice) {
        if let Notice::Committed { superstep, .. } = notice {
            println!("  superstep {superstep} is durable");
        }
        if let Notice::Ended { status, .. } = notice {
            println!("  it ended: {status:?}");
        }
    }

    fn text(&self, activation: &ActivationId, text: &str) {
        println!("  {activation} writes: {text}");
    }
}

fn graph() -> anyhow::Result<GraphSpec> {
    Ok(serde_json::from_value(json!({
        "entry": ["count"],
        "vertices": [
            {"name": "count", "custom": {"name": "count"}},
            {"name": "done", "function": {"cel": "message.n"}},
        ],
        "edges": [
            {"from": "count", "to": "count", "when": "message.n < 8"},
            {"from": "count", "to": "done", "when": "message.n >= 8"},
        ],
        "outputs": [{"vertex": "done"}],
    }))?)
}

fn setup() -> anyhow::Result<Setup> {
    let mut programs = Programs::default();
    programs.register_closure("count", |count: Count| async move {
        tokio::time::sleep(Duration::from_millis(20)).await;
        Ok::<_, String>(Count { n: count.n + 1 })
    })?;
    Ok(Setup::new(programs).observed_by(Arc::new(Printer)))
}

async fn resume(store: &Store<superstep::Record>, name: &RunName) -> anyhow::Result<Option<RunEnd>> {
    Ok(Run::resume(setup()?, store, name)?.drive().await?)
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let store = Store::folder(folder.path())?;
    let name: RunName = "counted".parse()?;

    println!("a run is begun, and left after a moment");
    let new = NewRun::new(name.clone(), validate(&graph()?)?, json!({"n": 0}));
    let run = Run::create(setup()?, &store, new)?;
    let handle = run.handle();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(70)).await;
        handle.detach();
    });
    anyhow::ensure!(run.drive().await?.is_none(), "it was detached");

    println!("it goes on from its log: what is done is not done again");
    let end = resume(&store, &name).await?.expect("nobody detaches it a second time");
    println!("its result: {}", end.outputs.value());
    anyhow::ensure!(end.outputs.value() == &json!({"done": 8}));

    println!("another one is cancelled");
    let new = NewRun::new("cancelled".parse()?, validate(&graph()?)?, json!({"n": 0}));
    let run = Run::create(setup()?, &store, new)?;
    run.handle().cancel();
    run.drive().await?;
    Ok(())
}
