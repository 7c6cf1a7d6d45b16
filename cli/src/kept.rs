//! Where kept results are.

use std::time::SystemTime;

use superstep_runtime::RunError;
use superstep_store::{Results, Swept};

use crate::args::runs::Store as StoreArgs;
use crate::exit::CommandError;

/// The kept results of a store.
///
/// # Errors
/// Nobody says where the store is.
pub(crate) fn results(store: &StoreArgs) -> Result<Results, CommandError> {
    let folder = store.folder(&|name| std::env::var(name).ok()).ok_or(CommandError::NoStore)?;
    Ok(Results::folder(&folder))
}

/// Removes the results that nobody wants any more.
///
/// # Errors
/// Nobody says where the store is, or the disk refuses.
pub(crate) fn sweep(store: &StoreArgs, now: SystemTime) -> Result<Swept, CommandError> {
    let now = now.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    Ok(results(store)?.sweep(now).map_err(RunError::from)?)
}
