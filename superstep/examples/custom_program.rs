//! A program of one's own: it calls the outside once, keeps a value, and chooses a port.
//!
//! `cargo run -p superstep --example custom_program`

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::sync::Arc;

use futures::FutureExt as _;
use serde_json::json;
use superstep::{
    Activation, CallOutcome, CallRequest, CallTicket, Emission, Execution, Failure, NewRun, Outcome, Payload,
    Program, ProgramResult, Programs, Run, Setup, Store, Usage, ValueChange, validate,
};

/// Rolls a die somewhere outside. The roll is recorded before it is used: a run that is resumed sees the
/// same one.
struct Die;

impl Program for Die {
    fn start(&self, activation: Activation) -> Execution {
        let rolled = async move {
            match roll(&activation).await {
                Ok(roll) => Outcome::Done(result(&activation, roll)),
                Err(failure) => Outcome::Failed(failure),
            }
        };
        Execution::Running(rolled.boxed())
    }
}

async fn roll(activation: &Activation) -> Result<Payload, Failure> {
    let once = Usage { calls: 1, ..Usage::default() };
    let request = CallRequest {
        target: "a die".to_owned(),
        digest: [0; 16],
        // A second roll would be another roll.
        repeatable: false,
        reserve: once,
    };
    let seed = activation.seed;
    let rolled =
        |_: CallTicket| async move { CallOutcome { answer: Ok(json!(seed % 6 + 1).into()), usage: once } };
    activation.calls.perform(request, rolled).await
}

/// The roll goes out on one of two ports, and every roll is kept in the vertex's value.
fn result(activation: &Activation, roll: Payload) -> ProgramResult {
    let is_high = roll.value().as_u64().is_some_and(|roll| roll > 3);
    let port = if is_high { "high" } else { "low" };
    let before = activation.view.value.value().as_array().map_or(0, Vec::len);
    println!("roll {} is {}", before + 1, roll.value());
    ProgramResult {
        emissions: vec![Emission { port: port.into(), payload: roll.clone() }],
        value: ValueChange::Append(roll),
        ..ProgramResult::default()
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let graph = validate(&serde_json::from_value(json!({
        "entry": ["die"],
        "vertices": [
            {"name": "die", "custom": {"name": "die"}},
            {"name": "win", "function": {"cel": "'won with ' + string(message)"}},
        ],
        "edges": [
            {"from": "die", "port": "low", "to": "die"},
            {"from": "die", "port": "high", "to": "win"},
        ],
        "outputs": [{"vertex": "win"}],
    }))?)?;
    let mut programs = Programs::default();
    programs.register("die", Arc::new(Die));
    let new = NewRun::new("dice".parse()?, graph, json!({}));
    let end = Run::create(Setup::new(programs), &Store::memory(), new)?.drive().await?;
    println!("{}", end.expect("a die does not wait for an answer").outputs.value());
    Ok(())
}
