//! `superstep suspend`.

use superstep_provision::not_loaded;
use superstep_runtime::{Reach, Reached, RunError, read_run};
use superstep_store::RunName;

use crate::args::reach::SuspendArgs;
use crate::exit::{CommandError, Exit};
use crate::run::open_store;
use crate::{log, remote, shell};

/// Lets a run stand still at its next barrier, or go on, whoever drives it.
///
/// # Errors
/// There is no such run, it has ended, or the process that drives it cannot be reached.
pub(crate) fn suspend(args: &SuspendArgs) -> Result<Exit, CommandError> {
    if let Some(url) = &args.connect.connect {
        return remote::suspend(args, url);
    }
    let name: RunName = args.run.parse().map_err(RunError::Store)?;
    let store = open_store(&args.store)?;
    let (started, _) = read_run(&store, &name)?;
    let programs = not_loaded(&name, &started)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let reach = Reach::new(&store, &name, programs, "superstep suspend");
    let reached = runtime.block_on(reach.suspend(!args.off))?;
    tell(&name, !args.off);
    if reached == Reached::Log {
        let store = shell::store(args.store.folder.as_deref());
        log::say(&format!("no process drives it; go on with: superstep resume {name}{store}"));
    }
    Ok(Exit::Success)
}

/// Says what a run does from here on.
pub(crate) fn tell(name: &RunName, suspended: bool) {
    let does = if suspended { "stands still from its next barrier on" } else { "goes on" };
    log::say(&format!("run {name} {does}"));
}
