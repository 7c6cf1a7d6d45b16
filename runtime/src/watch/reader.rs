//! Reading on in the log of the run that is watched, and in that of no other one of its name.

use std::time::SystemTime;

use superstep_engine::{Record, RunStarted};
use superstep_store::{Follower, Position, RunName, Store, StoreError, Told};

use crate::runner::{RunError, read_run};

/// What tells a run from those that had its name before it was begun and have it after it was removed: its graph, and
/// the second in which it started. Two of one graph and one second are taken for one.
pub(super) type Identity = [u8; 8];

/// The identity of the run of these records, which are the first ones of its log.
pub(super) fn identity_of(records: &[Record]) -> Option<Identity> {
    if let Some(Record::RunStarted(started)) = records.first() { Some(identity(started)) } else { None }
}

fn identity(started: &RunStarted) -> Identity {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&started.started_at.to_le_bytes()).update(started.root.as_bytes());
    *hasher.finalize().as_bytes().first_chunk().expect("a hash is longer than that")
}

/// Reads on in the log of one run.
#[derive(Debug)]
pub(super) struct Reader {
    store: Store<Record>,
    run: RunName,
    follower: Follower<Record>,
    /// Which run it is, once something of it was read.
    identity: Option<Identity>,
    /// When the log that has its name was begun, as far as that is known.
    begun: Option<SystemTime>,
}

impl Reader {
    /// One who begins with the first record.
    pub(super) fn new(store: &Store<Record>, run: &RunName) -> Result<Self, StoreError> {
        let (store, run) = (store.clone(), run.clone());
        let begun = begun(&store, &run)?;
        let follower = store.follow(&run, Position(0))?;
        Ok(Self { store, run, follower, identity: None, begun })
    }

    /// What has come since the last time. If that is nothing, one who `doubts` looks whether it is still the same run:
    /// a log that is gone, or was begun anew and is shorter, has nothing more to tell.
    pub(super) fn read(&mut self, doubts: bool) -> Result<Told<Record>, RunError> {
        match self.follower.read_placed() {
            Ok(told) => {
                if self.identity.is_none() {
                    self.identity = identity_of(&told.records);
                }
                if told.records.is_empty() && doubts {
                    self.doubt()?;
                }
                Ok(told)
            }
            // The log of another one looks damaged to who stands in that of this one.
            Err(error) => {
                self.demand_same()?;
                Err(error.into())
            }
        }
    }

    fn doubt(&mut self) -> Result<(), RunError> {
        let begun = begun(&self.store, &self.run)?;
        if begun.is_some() && begun != self.begun {
            self.demand_same()?;
            self.begun = begun;
        }
        Ok(())
    }

    fn demand_same(&self) -> Result<(), RunError> {
        let Some(identity) = self.identity else { return Ok(()) };
        match read_run(&self.store, &self.run) {
            Ok((started, _)) if self::identity(&started) != identity => {
                Err(RunError::Recreated { run: self.run.clone() })
            }
            Ok(_) => Ok(()),
            Err(error @ RunError::Store(StoreError::NotFound { .. })) => Err(error),
            Err(error) => {
                tracing::debug!(run = %self.run, %error, "whether the run is still the same is not known");
                Ok(())
            }
        }
    }
}

/// When the log of a run was begun; none if that is not known at the moment.
fn begun(store: &Store<Record>, run: &RunName) -> Result<Option<SystemTime>, StoreError> {
    match store.entry(run) {
        Ok(entry) => Ok(Some(entry.created)),
        Err(error @ StoreError::NotFound { .. }) => Err(error),
        Err(error) => {
            tracing::debug!(%run, %error, "when the log was begun is not known");
            Ok(None)
        }
    }
}
