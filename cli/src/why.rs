//! `superstep why`: what led to an activation, back to the entries.

mod cause;
mod chain;
mod tree;
mod wanted;

use std::io;
use std::sync::Arc;

use serde_json::{Value, json};
use superstep_graph::Port;
use superstep_provision::plan_of;
use superstep_runtime::{Programs, follow};
use superstep_store::RunName;

use crate::args::runs::{WhyArgs, WhyFormat};
use crate::exit::{CommandError, Exit};
use crate::output::{self, OutputFormat};
use crate::recorded::Recorded;
use cause::Causes;
use chain::Chain;
use wanted::Wanted;

/// Shows which activations woke an activation, and which woke those.
///
/// # Errors
/// There is no such run or activation, the log is corrupt, its workers cannot be reached, or stdout cannot be written to.
pub(crate) fn why(args: &WhyArgs) -> Result<Exit, CommandError> {
    let wanted = Wanted::read(&args.activation)
        .ok_or_else(|| CommandError::NoActivationName { text: args.activation.clone() })?;
    let Recorded { name, started, records } = Recorded::read(&args.run, &args.store, &args.connect)?;
    let programs = Arc::new(Programs::new(plan_of(&name, &started)?.not_loaded()));
    let mut causes = Causes::default();
    follow(&name, &records, &programs, |notice, coordinator| causes.add(&notice, coordinator))?;
    let end = wanted.find(&causes).ok_or_else(|| CommandError::NoActivation {
        run: name.clone(),
        text: args.activation.clone(),
        others: wanted.others(&causes),
    })?;
    let chain = Chain::to(&causes, end, args.depth);
    let mut stdout = io::stdout().lock();
    match args.output {
        WhyFormat::Tree => tree::write(&chain, &mut stdout)?,
        WhyFormat::Table => output::write(&rows(&chain), OutputFormat::Table, &mut stdout)?,
        WhyFormat::Json => output::write(&document(&name, &chain), OutputFormat::Json, &mut stdout)?,
        WhyFormat::Yaml => output::write(&document(&name, &chain), OutputFormat::Yaml, &mut stdout)?,
    }
    Ok(Exit::Success)
}

/// A row for each cause of each activation, and one for an activation without a cause.
fn rows(chain: &Chain<'_>) -> Value {
    let mut rows = Vec::new();
    for link in &chain.links {
        let name = link.activation.name();
        if link.activation.is_entry() {
            rows.push(json!({"activation": name, "how": "entry", "by": "-", "port": "-"}));
        }
        rows.extend(link.causes.iter().map(|cause| {
            let port = cause.port.as_ref().map_or("-", Port::as_str);
            let by = chain.causes.name_of(&cause.from);
            json!({"activation": name, "how": cause.how.word(), "by": by, "port": port})
        }));
    }
    rows.into()
}

fn document(run: &RunName, chain: &Chain<'_>) -> Value {
    let links: Vec<Value> = chain
        .links
        .iter()
        .map(|link| {
            let causes = link.causes.iter().map(|cause| {
                let port = cause.port.as_ref().map(Port::as_str);
                json!({"how": cause.how.word(), "by": chain.causes.name_of(&cause.from), "port": port})
            });
            json!({
                "activation": link.activation.name(),
                "entry": link.activation.is_entry(),
                "causes": causes.collect::<Vec<Value>>(),
            })
        })
        .collect();
    json!({"run": run.as_str(), "chain": links, "whole": chain.whole})
}
