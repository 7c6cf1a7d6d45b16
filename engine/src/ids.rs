//! Numbers that are not to be mixed up.

use std::fmt;

use serde::{Deserialize, Serialize};
use superstep_graph::{VertexIx, VertexName};

/// A point in time, in microseconds of the driver's clock. The engine only compares and adds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// The point `millis` milliseconds later.
    #[must_use]
    pub fn after_millis(self, millis: u64) -> Self {
        Self(self.0.saturating_add(millis.saturating_mul(1_000)))
    }
}

/// The term of a leader; each resumption of a run takes a higher one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Epoch(pub u64);

/// An open sub-graph; 0 is the run's own graph. Numbers follow the order of opening.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FrameId(pub u32);

impl FrameId {
    /// The run's own graph.
    pub const ROOT: Self = Self(0);
}

/// The vertices of one worker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PartitionId(pub u32);

/// A vertex of a frame, under the frame's present revision.
pub type Place = (FrameId, VertexIx);

/// Marks an append until it is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Token(pub u64);

/// One execution of one vertex, or of one element of its forEach. The name is the same in every
/// replay of the run.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ActivationId {
    /// The frame.
    pub frame: FrameId,
    /// The vertex.
    pub vertex: VertexName,
    /// How often a vertex of this name was removed before.
    pub incarnation: u32,
    /// The superstep in which it started.
    pub superstep: u64,
    /// The element, in a forEach.
    pub element: Option<u32>,
}

impl fmt::Display for ActivationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.frame != FrameId::ROOT {
            write!(f, "{}/", self.frame.0)?;
        }
        write!(f, "{}@{}", self.vertex, self.superstep)?;
        if self.incarnation > 0 {
            write!(f, ".{}", self.incarnation)?;
        }
        self.element.map_or(Ok(()), |element| write!(f, "[{element}]"))
    }
}

/// A question of an activation to the outside. The name is the same in every replay of the run, and a
/// call in doubt that comes up again after another crash is the same question as long as nobody has
/// answered it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct QuestionId {
    /// The activation that asks.
    pub activation: ActivationId,
    /// Which of its questions, from 0.
    pub number: u32,
}

impl fmt::Display for QuestionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.activation)?;
        if self.number > 0 { write!(f, "?{}", self.number) } else { Ok(()) }
    }
}

/// A handle on one run of an activation's program, for the driver: another attempt, and the run that
/// goes on after an answer, have others. A handle outlives its run harmlessly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ActivationKey {
    /// The partition that has the activation.
    pub partition: PartitionId,
    /// The activation's place in the partition's memory.
    pub flight: u32,
    /// How often that place was used before.
    pub generation: u32,
    /// The element, in a forEach.
    pub element: u32,
    /// How often the element's program was started before.
    pub run: u32,
}
