//! What a replayed run is asked: what its programs saw, what their calls gave, and what it leaves behind.

use std::sync::Arc;

use super::Solo;
use crate::call::CallRequest;
use crate::ids::{ActivationId, Timestamp};
use crate::misfit::Misfit;
use crate::partition::{Again, Partition, Recall};
use crate::program::Outcome;
use crate::record::{CallKey, Carried, Commit, Completion};

impl Solo {
    /// Commits anew what a commit of the log lists, with the further changes that `requester` has asked
    /// for; the record that this makes. The records before that commit, and the changes, have been replayed.
    ///
    /// # Errors
    /// The commit does not fit what comes before it.
    pub(crate) fn commit_again(&mut self, commit: &Commit, requester: &str) -> Result<Arc<Commit>, Misfit> {
        let now = Timestamp::default();
        self.take_completions(commit, now)?;
        let made = self.coordinator.commit_again(commit, requester, now)?;
        self.settle(now);
        Ok(made)
    }

    /// The activation, without element, whose end a commit lists. The records before the commit have been
    /// replayed, and the commit has not.
    pub fn in_flight(&self, completion: &Completion) -> Option<ActivationId> {
        let home = self.coordinator.config().homes.of(&completion.vertex);
        self.partitions[home.0 as usize].in_flight(completion.frame, &completion.vertex)
    }

    /// The present attempt of an activation, or an element of one, that is in flight: what its program saw,
    /// so that it can be run again beside a replay. None if nothing of that name is in flight.
    pub fn again(&mut self, activation: &ActivationId) -> Option<Again> {
        self.owner(activation).again(activation)
    }

    /// What the log has of a call that the program of [`Self::again`] asks for. Calls are to be asked for in
    /// the order in which the program does; `ended` is how the attempt ended by the log.
    pub fn recall(&mut self, activation: &ActivationId, request: &CallRequest, ended: &Outcome) -> Recall {
        self.owner(activation).recall(activation, request, ended)
    }

    /// The calls of the present attempt of an activation that the log has, and that nobody has
    /// [recalled](Self::recall) since [`Self::again`].
    pub fn unasked(&mut self, activation: &ActivationId) -> Vec<CallKey> {
        self.owner(activation).unasked(activation)
    }

    /// What another run takes over that continues this one.
    pub fn carried(&self) -> Carried {
        if let Some(remains) = &self.coordinator.config().remains {
            return remains.carried.clone();
        }
        Carried {
            run: self.coordinator.config().started.run.clone(),
            values: self.partitions.iter().flat_map(Partition::values).collect(),
            aggregates: self.coordinator.persistent_aggregates(),
        }
    }
}
