//! The program `function`: the value of a CEL expression.

use superstep_graph::{FunctionProgram, VertexSpec};

use super::{PrepareError, expression};
use crate::cel::Expression;
use crate::program::{Activation, Execution, Program};
use crate::roots::{Bindings, Scope};

pub(super) struct Function {
    cel: Expression,
}

impl Function {
    pub(super) fn prepare(vertex: &VertexSpec, function: &FunctionProgram) -> Result<Self, PrepareError> {
        Ok(Self { cel: expression(vertex, "function.cel", &function.cel, Scope::Vertex)? })
    }
}

impl Program for Function {
    fn start(&self, activation: Activation) -> Execution {
        Execution::of(self.cel.evaluate(Bindings::Vertex(&activation.view)))
    }
}
