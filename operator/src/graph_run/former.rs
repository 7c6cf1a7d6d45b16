//! The run that another one begins with.

use superstep_api::GraphRunObject;
use superstep_proto::v1;

/// What a run begins with. Runs are named as their workers know them.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Former {
    /// Nothing.
    None,
    /// The values that another one has left.
    Continues(String),
    /// A part of another one.
    Forks(v1::ForkFrom),
}

impl Former {
    /// What `run` begins with; `named` gives the name that workers know the run of an object by.
    ///
    /// # Errors
    /// There is no object of the name that is given.
    pub(super) fn of(run: &GraphRunObject, named: impl Fn(&str) -> Option<String>) -> Result<Self, &str> {
        let Some(name) = former(run) else { return Ok(Self::None) };
        let stored = named(name).ok_or(name)?;
        Ok(match &run.spec.fork_from {
            Some(from) => Self::Forks(v1::ForkFrom { run: stored, superstep: from.superstep }),
            None => Self::Continues(stored),
        })
    }
}

/// The object of the run that a run begins with.
pub(crate) fn former(run: &GraphRunObject) -> Option<&str> {
    let forked = run.spec.fork_from.as_ref().map(|from| from.name.as_str());
    forked.or(run.spec.continue_from.as_ref().map(|from| from.name.as_str()))
}
