//! The pure functions that edges are labelled with.

use superstep_graph::ProgramCheck;

use crate::payload::Payload;
use crate::program::Failure;

/// All that the expression of an edge reads.
#[derive(Clone, Copy, Debug)]
pub struct EdgeView<'a> {
    /// The payload of the message.
    pub message: &'a Payload,
    /// The parameters of the graph, an object.
    pub parameters: &'a Payload,
    /// The superstep in which the sender's activation started.
    pub superstep: u64,
}

/// Evaluates the expressions of edges. The implementation is pure: equal arguments give equal
/// results, for ever, and nothing is read but the arguments. It also checks the expressions of
/// vertices and edges that mutations bring.
pub trait Expressions: ProgramCheck {
    /// Whether a message passes an edge.
    ///
    /// # Errors
    /// The expression has no boolean value for this message: a failure of the sender.
    fn when(&self, expression: &str, view: EdgeView<'_>) -> Result<bool, Failure>;

    /// What the receiver gets in place of the payload.
    ///
    /// # Errors
    /// The expression has no value for this message: a failure of the sender.
    fn transform(&self, expression: &str, view: EdgeView<'_>) -> Result<Payload, Failure>;
}
