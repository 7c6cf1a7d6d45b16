//! Why a record does not fit the records before it.

use superstep_graph::VertexName;

use crate::ids::{ActivationId, Epoch, FrameId};

/// Why a record of a log does not fit the state to which the records before it lead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misfit {
    /// A call has ended that was never about to be made.
    #[error("the call of {0} ended without an intent")]
    NoIntent(ActivationId),
    /// The run is gone through with other costs than those of its log.
    #[error("the run was configured with other costs than it began with")]
    OtherCosts,
    /// The run is gone through with something else than what it took over from another one.
    #[error("the run does not begin with what it continues of {0:?}")]
    OtherOrigin(String),
    /// Older records are gone, and the run is gone through as if they were not.
    #[error("older records are gone, which the run does not begin with")]
    Compacted,
    /// It tells of records as if they were gone.
    #[error("it tells of records that are not gone")]
    NotCompacted,
    /// A term is not higher than those before it.
    #[error("epoch {} follows epoch {}", epoch.0, before.0)]
    Epoch {
        /// The term.
        epoch: Epoch,
        /// The one before it.
        before: Epoch,
    },
    /// A commit that was made again is another one.
    #[error("superstep {superstep} comes to other {part} than the log has")]
    OtherCommit {
        /// The superstep.
        superstep: u64,
        /// What is different.
        part: &'static str,
    },
    /// A superstep is committed that is not there to be committed.
    #[error("superstep {superstep} is committed while superstep {present} is {phase}")]
    OutOfTurn {
        /// Which is committed.
        superstep: u64,
        /// Which the run has come to.
        present: u64,
        /// How far that one has come.
        phase: String,
    },
    /// A commit lists what has not ended.
    #[error("superstep {0} lists activations that have not ended")]
    NotEnded(u64),
    /// A commit judges changes that nobody has asked for.
    #[error("the patch {0:?} was not asked for")]
    NotAsked(String),
    /// A commit lists what has not started.
    #[error("vertex {vertex:?} of frame {} is not in flight", frame.0)]
    NotInFlight {
        /// The vertex.
        vertex: VertexName,
        /// Its frame.
        frame: FrameId,
    },
    /// A commit says of an activation that its end follows from the state, which it does not.
    #[error("vertex {0:?} should have ended by itself")]
    NotDerived(VertexName),
    /// A commit has other elements than the activation.
    #[error("vertex {vertex:?} has {elements} elements, not {recorded}")]
    Elements {
        /// The vertex.
        vertex: VertexName,
        /// How many it has.
        elements: u32,
        /// How many the commit has.
        recorded: usize,
    },
}
