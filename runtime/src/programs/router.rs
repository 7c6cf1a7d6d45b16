//! The program `router`: a CEL expression chooses the ports, or the engine has chosen one by what edges cost.

use serde_json::Value;
use superstep_engine::{Emission, Failure, Outcome, ProgramResult};
use superstep_graph::{Port, RouterProgram, VertexSpec};

use super::{PrepareError, expression, handed_on};
use crate::cel::{Expression, kind};
use crate::program::{Activation, Execution, Program};
use crate::roots::{Bindings, Scope, nearest};

pub(super) struct Router {
    choice: Choice,
    payload: Option<Expression>,
}

/// What chooses the ports.
enum Choice {
    Cel(Expression),
    /// The route that the view has.
    Costs,
}

impl Router {
    pub(super) fn prepare(vertex: &VertexSpec, router: &RouterProgram) -> Result<Self, PrepareError> {
        let payload = router.payload.as_deref();
        let payload =
            payload.map(|source| expression(vertex, "router.payload", source, Scope::Vertex)).transpose()?;
        let choice = match &router.cel {
            Some(cel) => Choice::Cel(expression(vertex, "router.cel", cel, Scope::Vertex)?),
            None => Choice::Costs,
        };
        Ok(Self { choice, payload })
    }

    fn route(&self, activation: &Activation) -> Result<ProgramResult, Failure> {
        let bindings = Bindings::Vertex(&activation.view);
        let chosen = match &self.choice {
            Choice::Cel(cel) => ports(cel.evaluate(bindings)?.value())?,
            Choice::Costs => vec![chosen(activation)?],
        };
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

fn chosen(activation: &Activation) -> Result<Port, Failure> {
    match activation.view.route.as_deref() {
        Some(Ok(route)) => Ok(route.port.clone()),
        Some(Err(failure)) => Err(failure.clone()),
        None => {
            let name = &activation.vertex.name;
            Err(Failure::permanent(format!("router {name:?} weighs costs, and was shown no route")))
        }
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
