//! `superstep cancel`.

use superstep_engine::{Payload, RunStatus};
use superstep_provision::not_loaded;
use superstep_runtime::{Reach, RunError, read_run};
use superstep_store::RunName;

use crate::args::reach::CancelArgs;
use crate::exit::{CommandError, Exit};
use crate::output::OutputFormat;
use crate::progress::status_text;
use crate::run::open_store;
use crate::{log, output, remote};

/// Ends a run, whoever drives it, and writes what it had given.
///
/// # Errors
/// There is no such run, its log is corrupt, or the process that drives it cannot be reached.
pub(crate) fn cancel(args: &CancelArgs) -> Result<Exit, CommandError> {
    if let Some(url) = &args.connect.connect {
        return remote::cancel(args, url);
    }
    let name: RunName = args.run.parse().map_err(RunError::Store)?;
    let store = open_store(&args.store)?;
    let (started, _) = read_run(&store, &name)?;
    let programs = not_loaded(&name, &started)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let reach = Reach::new(&store, &name, programs.clone(), "superstep cancel");
    let status = runtime.block_on(reach.cancel())?;
    let (_, records) = read_run(&store, &name)?;
    let (outputs, _) = superstep_runtime::tell(&name, &records, &programs, drop)?;
    tell(&name, &status, &outputs, args.output)
}

/// Writes what a run had given, and says how it ended.
///
/// # Errors
/// Stdout cannot be written to.
pub(crate) fn tell(
    name: &RunName,
    status: &RunStatus,
    outputs: &Payload,
    format: OutputFormat,
) -> Result<Exit, CommandError> {
    output::result(outputs.value(), format)?;
    match status {
        RunStatus::Cancelled => log::say(&format!("run {name} is cancelled")),
        RunStatus::Succeeded | RunStatus::Failed { .. } | RunStatus::LimitReached(_) => {
            let text = status_text(status);
            log::say(&format!("run {name} had ended before: {text}"));
        }
    }
    Ok(Exit::Success)
}
