//! The expressions of edges, compiled once.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use superstep_engine::{EdgeView, Expressions, Failure, Payload};
use superstep_graph::{EdgeSpec, ProgramCheck, VertexSpec};

use crate::cel::Expression;
use crate::programs::Programs;
use crate::roots::{Bindings, Scope};

/// How many compiled expressions are kept; past it all are let go and compiled again when needed.
const KEPT: usize = 10_000;

/// Evaluates the expressions of edges by CEL, and checks vertices and edges that mutations bring.
#[derive(Debug)]
pub struct EdgeExpressions {
    programs: Arc<Programs>,
    compiled: RwLock<HashMap<Box<str>, Arc<Expression>>>,
}

impl EdgeExpressions {
    /// Expressions for runs whose vertices are executed by `programs`.
    pub fn new(programs: Arc<Programs>) -> Self {
        Self { programs, compiled: RwLock::default() }
    }

    fn get(&self, source: &str) -> Result<Arc<Expression>, Failure> {
        // A panic while the lock is held leaves the map as it was.
        let compiled = self.compiled.read().unwrap_or_else(PoisonError::into_inner).get(source).cloned();
        if let Some(expression) = compiled {
            return Ok(expression);
        }
        let expression = Expression::compile(source, Scope::Edge)
            .map_err(|error| Failure::permanent(format!("edge expression: {error}")))?;
        let expression = Arc::new(expression);
        let mut compiled = self.compiled.write().unwrap_or_else(PoisonError::into_inner);
        if compiled.len() >= KEPT {
            compiled.clear();
        }
        compiled.insert(source.into(), Arc::clone(&expression));
        Ok(expression)
    }
}

impl Expressions for EdgeExpressions {
    fn when(&self, expression: &str, view: EdgeView<'_>) -> Result<bool, Failure> {
        self.get(expression)?.evaluate_bool(Bindings::Edge(view))
    }

    fn transform(&self, expression: &str, view: EdgeView<'_>) -> Result<Payload, Failure> {
        self.get(expression)?.evaluate(Bindings::Edge(view))
    }
}

impl ProgramCheck for EdgeExpressions {
    fn check_vertex(&self, vertex: &VertexSpec) -> Result<(), String> {
        self.programs.check(vertex).map_err(|error| error.to_string())
    }

    fn check_edge(&self, edge: &EdgeSpec) -> Result<(), String> {
        for (field, source) in [("when", &edge.when), ("transform", &edge.transform)] {
            if let Some(source) = source {
                Expression::compile(source, Scope::Edge).map_err(|error| format!("{field}: {error}"))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::models::Models;

    fn expressions() -> EdgeExpressions {
        EdgeExpressions::new(Arc::new(Programs::new(Models::default())))
    }

    #[test]
    fn conditions_and_transformations_read_the_payload() {
        let expressions = expressions();
        let message = Payload::from(json!({"grade": 2.5, "kinds": ["a", "b"]}));
        let parameters = Payload::from(json!({"least": 2}));
        let view = EdgeView { message: &message, parameters: &parameters, superstep: 7 };
        for (source, passes) in [
            ("message.grade < 3", Some(true)),
            ("message.grade >= 3 || superstep == 7", Some(true)),
            ("'c' in message.kinds", Some(false)),
            ("message.grade > parameters.least", Some(true)),
            ("message.grade", None),
            ("message.absent == 1", None),
            ("from.judge == 1", None),
        ] {
            assert_eq!(expressions.when(source, view).ok(), passes, "{source}");
        }
        let transformed = expressions.transform("{'n': message.kinds.size(), 's': superstep}", view).unwrap();
        assert_eq!(transformed.value(), &json!({"n": 2, "s": 7}));
    }

    #[test]
    fn what_mutations_bring_is_checked() {
        let expressions = expressions();
        let edge = |when: &str| EdgeSpec {
            from: "a".into(),
            to: "b".into(),
            port: superstep_graph::Port::default(),
            delivery: superstep_graph::Delivery::Active,
            retain: false,
            cost: None,
            when: Some(when.to_owned()),
            transform: None,
        };
        assert_eq!(expressions.check_edge(&edge("message == 1")), Ok(()));
        assert!(expressions.check_edge(&edge("massage == 1")).unwrap_err().contains("\"message\""));
        let vertex = |value| serde_json::from_value::<VertexSpec>(value).unwrap();
        assert_eq!(expressions.check_vertex(&vertex(json!({"name": "a", "function": {"cel": "1"}}))), Ok(()));
        assert!(expressions.check_vertex(&vertex(json!({"name": "a", "function": {"cel": "1 +"}}))).is_err());
        let unknown = json!({"name": "a", "prompt": {"model": "large", "template": "x"}});
        assert!(expressions.check_vertex(&vertex(unknown)).unwrap_err().contains("large"));
    }
}
