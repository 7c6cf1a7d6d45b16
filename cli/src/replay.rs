//! `superstep replay`: a run executed again from its log, and compared with it.

use std::collections::BTreeSet;
use std::io::{self, Write};

use serde_json::{Value, json};
use superstep_provision::not_loaded;
use superstep_runtime::{Difference, Replayed, RunError, read_run};
use superstep_store::RunName;

use crate::args::travel::{ReplayArgs, ReplayFormat};
use crate::exit::{CommandError, Exit, count};
use crate::output::{self, OutputFormat};
use crate::run::open_store;

/// Executes a run again, with what its log has in place of the outside.
///
/// # Errors
/// There is no such run or superstep, its log is corrupt, or stdout cannot be written to.
pub(crate) fn replay(args: &ReplayArgs) -> Result<Exit, CommandError> {
    let name: RunName = args.run.parse().map_err(RunError::Store)?;
    let store = open_store(&args.store)?;
    let (started, records) = read_run(&store, &name)?;
    let programs = not_loaded(&name, &started)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let replayed = runtime.block_on(superstep_runtime::replay(&name, &records, &programs, args.from))?;
    if args.from > 0 && replayed.supersteps == 0 && replayed.difference.is_none() {
        return Err(CommandError::NoSuperstep { run: name, superstep: args.from });
    }
    let mut stdout = io::stdout().lock();
    match args.output {
        ReplayFormat::Text => write!(stdout, "{}", text(&replayed))?,
        ReplayFormat::Json => output::write(&document(&name, &replayed), OutputFormat::Json, &mut stdout)?,
        ReplayFormat::Yaml => output::write(&document(&name, &replayed), OutputFormat::Yaml, &mut stdout)?,
    }
    Ok(if replayed.difference.is_none() { Exit::Success } else { Exit::Differs })
}

fn text(replayed: &Replayed) -> String {
    let mut lines = Vec::new();
    match &replayed.difference {
        None => lines.push(format!(
            "identical: {}, {}, {} answered from the log",
            count(number(replayed.supersteps), "superstep"),
            count(number(replayed.activations), "activation"),
            count(number(replayed.calls), "call"),
        )),
        Some(difference) => lines.extend(described(difference)),
    }
    if replayed.overran > 0 {
        let attempts = count(number(replayed.overran), "attempt");
        lines.push(format!("as the log has it: {attempts} that ran out of time"));
    }
    if replayed.kept > 0 {
        let results = count(number(replayed.kept), "result");
        lines.push(format!("as the log has it: {results} kept from before"));
    }
    if !replayed.not_executed.is_empty() {
        let activations = count(replayed.not_executed.len(), "activation");
        let why: BTreeSet<&String> = replayed.not_executed.values().collect();
        let why: Vec<&str> = why.into_iter().map(String::as_str).collect();
        lines.push(format!("not executed: {activations}: {}", why.join("; ")));
    }
    lines.iter().map(|line| format!("{line}\n")).collect()
}

fn described(difference: &Difference) -> Vec<String> {
    let Difference { superstep, activation, field, recorded, again } = difference;
    let of = activation.as_ref().map(|activation| format!(", {activation}")).unwrap_or_default();
    let mut lines = vec![format!("different: superstep {superstep}{of}, {field}")];
    let shown = |value: &Value| if value.is_null() { "nothing".to_owned() } else { value.to_string() };
    if activation.is_some() {
        lines.push(format!("  the log has  {}", shown(recorded)));
    }
    lines.push(format!("  it comes to  {}", shown(again)));
    lines
}

fn document(name: &RunName, replayed: &Replayed) -> Value {
    let difference = replayed.difference.as_ref().map(|difference| {
        json!({
            "superstep": difference.superstep,
            "activation": difference.activation.as_ref().map(ToString::to_string),
            "field": difference.field,
            "recorded": difference.recorded,
            "again": difference.again,
        })
    });
    let absent = |(activation, why): (&superstep_engine::ActivationId, &String)| json!({"activation": activation.to_string(), "why": why});
    json!({
        "run": name.as_str(),
        "identical": replayed.difference.is_none(),
        "supersteps": replayed.supersteps,
        "activations": replayed.activations,
        "calls": replayed.calls,
        "overran": replayed.overran,
        "kept": replayed.kept,
        "notExecuted": replayed.not_executed.iter().map(absent).collect::<Vec<_>>(),
        "difference": difference,
    })
}

fn number(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}
