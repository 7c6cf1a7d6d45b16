//! Expressions for graphs that have none.

use superstep_engine::{EdgeView, Expressions, Failure, Payload};
use superstep_graph::{EdgeSpec, ProgramCheck, VertexSpec};

/// Expressions that nobody uses.
pub(crate) struct Nothing;

impl ProgramCheck for Nothing {
    fn check_vertex(&self, _: &VertexSpec) -> Result<(), String> {
        Ok(())
    }
    fn check_edge(&self, _: &EdgeSpec) -> Result<(), String> {
        Ok(())
    }
}

impl Expressions for Nothing {
    fn when(&self, _: &str, _: EdgeView<'_>) -> Result<bool, Failure> {
        Ok(true)
    }
    fn transform(&self, _: &str, view: EdgeView<'_>) -> Result<Payload, Failure> {
        Ok(view.message.clone())
    }
}
