//! What is recorded of a run, wherever it is kept.

use std::sync::Arc;

use superstep_engine::{Record, RunStarted};
use superstep_runtime::{RunError, read_run};
use superstep_store::RunName;

use crate::args::cluster::Connect;
use crate::args::runs::Store;
use crate::exit::CommandError;
use crate::remote;
use crate::run::open_store;

/// The log of a run as it was when it was read.
pub(crate) struct Recorded {
    /// The run.
    pub(crate) name: RunName,
    /// What it began with.
    pub(crate) started: Arc<RunStarted>,
    /// All of its records, that one among them.
    pub(crate) records: Vec<Record>,
}

impl Recorded {
    /// Reads the log of a run: at the workers that have it if they are named, else in the store of this machine.
    ///
    /// # Errors
    /// There is no such run, its log is corrupt or of a newer version, or no worker can be reached.
    pub(crate) fn read(run: &str, store: &Store, connect: &Connect) -> Result<Self, CommandError> {
        let name: RunName = run.parse().map_err(RunError::Store)?;
        let Some(url) = &connect.connect else {
            let (started, records) = read_run(&open_store(store)?, &name)?;
            return Ok(Self { name, started, records });
        };
        let records = remote::records(&name, (url, &connect.trust))?;
        match records.first() {
            Some(Record::RunStarted(started)) => Ok(Self { started: Arc::clone(started), name, records }),
            Some(_) | None => Err(RunError::Empty { run: name }.into()),
        }
    }
}
