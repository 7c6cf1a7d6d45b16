//! `superstep cancel`.

use superstep_engine::RunStatus;
use superstep_provision::not_loaded;
use superstep_runtime::{Reach, RunError, read_run, tell};
use superstep_store::RunName;

use crate::args::reach::CancelArgs;
use crate::exit::{CommandError, Exit};
use crate::progress::status_text;
use crate::run::open_store;
use crate::{log, output};

/// Ends a run, whoever drives it, and writes what it had given.
///
/// # Errors
/// There is no such run, its log is corrupt, or the process that drives it cannot be reached.
pub(crate) fn cancel(args: &CancelArgs) -> Result<Exit, CommandError> {
    let name: RunName = args.run.parse().map_err(RunError::Store)?;
    let store = open_store(&args.store)?;
    let (started, _) = read_run(&store, &name)?;
    let programs = not_loaded(&name, &started)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let reach = Reach::new(&store, &name, programs.clone(), "superstep cancel");
    let status = runtime.block_on(reach.cancel())?;
    let (_, records) = read_run(&store, &name)?;
    let (outputs, _) = tell(&name, &records, &programs, drop)?;
    output::result(outputs.value(), args.output)?;
    match status {
        RunStatus::Cancelled => log::say(&format!("run {name} is cancelled")),
        RunStatus::Succeeded | RunStatus::Failed { .. } | RunStatus::LimitReached(_) => {
            let text = status_text(&status);
            log::say(&format!("run {name} had ended before: {text}"));
        }
    }
    Ok(Exit::Success)
}
