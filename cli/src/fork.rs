//! `superstep fork`: a run that begins with a part of another one.

mod set;

use std::io;
use std::time::SystemTime;

use serde_json::json;
use superstep_engine::Fork;
use superstep_graph::Mutation;
use superstep_provision::not_loaded;
use superstep_runtime::{RunError, graph_before, read_run};
use superstep_store::RunName;

use crate::args::travel::ForkArgs;
use crate::exit::{CommandError, Exit};
use crate::run::{GoingOn, go_on, name_of_new, open_store};
use crate::{log, output, patch, shell};

pub(crate) use set::SetError;

/// Makes a run of what another one had committed before a superstep, with changes, and drives it.
///
/// # Errors
/// There is no such run or superstep, a change is refused, or the store or a model cannot be used.
pub(crate) fn fork(args: &ForkArgs) -> Result<Exit, CommandError> {
    let of: RunName = args.run.parse().map_err(RunError::Store)?;
    let store = open_store(&args.store)?;
    let (started, records) = read_run(&store, &of)?;
    let programs = not_loaded(&of, &started)?;
    let graph = graph_before(&of, &records, &programs, args.from)?;
    let mut mutations: Vec<Mutation> = Vec::new();
    if let Some(file) = &args.patch {
        let patches = patch::read(std::slice::from_ref(file), &of, &started.root)?;
        mutations.extend(patches.into_iter().flat_map(|patch| patch.mutations));
    }
    for setting in &args.set {
        mutations.push(set::mutation(setting, &graph, &programs)?);
    }
    let name = name_of_new(args.run_id.as_deref(), &started.root)?;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let started_at = now.map_or(0, |since| since.as_secs());
    let plan = Fork { run: name.to_string(), superstep: args.from, mutations, started_at };
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let made = superstep_runtime::fork(&store, (&of, records.as_slice()), &programs, "superstep fork", &plan);
    runtime.block_on(made)?;
    log::say(&format!("run {name} is a fork of {of} at superstep {}", args.from));
    if args.no_run {
        let store = shell::store(args.store.folder.as_deref());
        log::say(&format!("go on with: superstep resume {name}{store}"));
        output::write(&json!({"run": name.as_str()}), args.output, &mut io::stdout().lock())?;
        return Ok(Exit::Success);
    }
    go_on(
        &name,
        &store,
        &GoingOn {
            kept_in: &args.store,
            output: args.output,
            progress: args.progress,
            no_input: args.no_input,
            trace: &args.trace,
        },
    )
}
