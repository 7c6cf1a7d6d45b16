//! The program `router`: a CEL expression chooses the ports.

use serde_json::Value;
use superstep_engine::{Emission, Failure, Outcome, ProgramResult};
use superstep_graph::{Port, RouterProgram, VertexSpec};

use super::{PrepareError, expression, handed_on};
use crate::cel::{Expression, kind};
use crate::program::{Activation, Execution, Program};
use crate::roots::{Bindings, Scope, nearest};

pub(super) struct Router {
    cel: Expression,
    payload: Option<Expression>,
}

impl Router {
    pub(super) fn prepare(vertex: &VertexSpec, router: &RouterProgram) -> Result<Self, PrepareError> {
        let payload = router.payload.as_deref();
        let payload =
            payload.map(|source| expression(vertex, "router.payload", source, Scope::Vertex)).transpose()?;
        Ok(Self { cel: expression(vertex, "router.cel", &router.cel, Scope::Vertex)?, payload })
    }

    fn route(&self, activation: &Activation) -> Result<ProgramResult, Failure> {
        let bindings = Bindings::Vertex(&activation.view);
        let chosen = ports(self.cel.evaluate(bindings)?.value())?;
        let payload = match &self.payload {
            Some(payload) => payload.evaluate(bindings)?,
            None => handed_on(&activation.view),
        };
        let mut emissions: Vec<Emission> = Vec::with_capacity(chosen.len());
        for port in chosen {
            if !activation.ports.contains(&port) {
                return Err(unheard(&port, activation));
            }
            if emissions.iter().all(|emission| emission.port != port) {
                emissions.push(Emission { port, payload: payload.clone() });
            }
        }
        Ok(ProgramResult { emissions, ..ProgramResult::default() })
    }
}

impl Program for Router {
    fn start(&self, activation: Activation) -> Execution {
        Execution::Ready(match self.route(&activation) {
            Ok(result) => Outcome::Done(result),
            Err(failure) => Outcome::Failed(failure),
        })
    }
}

fn ports(chosen: &Value) -> Result<Vec<Port>, Failure> {
    let port = |value: &Value| match value {
        Value::String(name) => Ok(Port::from(name.as_str())),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            Err(Failure::permanent(format!("router: a port is a text, this is {}", kind(value))))
        }
    };
    match chosen {
        Value::Array(items) => items.iter().map(port).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
            Ok(vec![port(chosen)?])
        }
    }
}

fn unheard(port: &Port, activation: &Activation) -> Failure {
    let known = activation.ports.iter().map(Port::as_str);
    let hint = nearest(port.as_str(), known.clone()).unwrap_or_else(|| {
        let all: Vec<&str> = known.collect();
        if all.is_empty() {
            "no edge leaves the vertex".to_owned()
        } else {
            format!("there is {}", all.join(", "))
        }
    });
    Failure::permanent(format!(
        "router: no edge from {:?} listens to port {port:?} ({hint})",
        activation.vertex.name
    ))
}
