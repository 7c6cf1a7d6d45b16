//! What a result has beside its payload: the `effects` of a vertex.

use std::sync::Arc;

use futures::FutureExt as _;
use serde::Deserialize;
use serde_json::Value;
use superstep_engine::{Direct, Failure, Outcome, Payload, ProgramResult, ValueChange, View};
use superstep_graph::{Mutation, VertexName, VertexSpec};

use super::{PrepareError, expression};
use crate::cel::{Expression, kind};
use crate::program::{Activation, Execution, Program};
use crate::roots::{Bindings, Scope};

/// The effects of a vertex, compiled.
#[derive(Clone, Debug)]
pub struct EffectExpressions {
    value: Option<Expression>,
    append: Option<Expression>,
    mutations: Option<Expression>,
    sends: Option<Expression>,
    contribute: Vec<(VertexName, Expression)>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Send {
    to: VertexName,
    payload: Value,
}

impl EffectExpressions {
    /// Compiles the effects of `vertex`; none if it has none.
    ///
    /// # Errors
    /// An expression does not compile.
    pub fn compile(vertex: &VertexSpec) -> Result<Option<Self>, PrepareError> {
        let effects = &vertex.effects;
        let compile = |field: &str, source: &Option<String>| {
            let source = source.as_deref();
            source
                .map(|source| expression(vertex, &format!("effects.{field}"), source, Scope::Effects))
                .transpose()
        };
        let contribute = effects.contribute.iter().map(|(name, source)| {
            let field = format!("effects.contribute.{name}");
            Ok((name.clone(), expression(vertex, &field, source, Scope::Effects)?))
        });
        let compiled = Self {
            value: compile("value", &effects.value)?,
            append: compile("append", &effects.append)?,
            mutations: compile("mutations", &effects.mutations)?,
            sends: compile("sends", &effects.sends)?,
            contribute: contribute.collect::<Result<_, _>>()?,
        };
        Ok((*effects != superstep_graph::Effects::default()).then_some(compiled))
    }

    /// Adds the effects to `result`, whose output they read as `output`; null if it has none.
    ///
    /// # Errors
    /// An effect has no value or not the right one; then none of the result takes effect.
    pub fn apply(&self, view: &View, result: &mut ProgramResult) -> Result<(), Failure> {
        let output = result.as_output().cloned().unwrap_or_else(Payload::null);
        let bindings = Bindings::Effects { view, output: &output };
        if let Some(value) = &self.value {
            result.value = ValueChange::Set(value.evaluate(bindings)?);
        }
        if let Some(append) = &self.append {
            result.value = ValueChange::Append(append.evaluate(bindings)?);
        }
        if let Some(mutations) = &self.mutations {
            result.mutations.extend(items::<Mutation>("mutations", mutations, bindings)?);
        }
        if let Some(sends) = &self.sends {
            let sends = items::<Send>("sends", sends, bindings)?;
            result
                .direct
                .extend(sends.into_iter().map(|send| Direct { to: send.to, payload: send.payload.into() }));
        }
        for (name, contribution) in &self.contribute {
            let contribution = contribution.evaluate(bindings)?;
            if !contribution.value().is_null() {
                result.contributions.push((name.clone(), contribution));
            }
        }
        Ok(())
    }
}

fn items<T: for<'de> Deserialize<'de>>(
    field: &str,
    expression: &Expression,
    bindings: Bindings<'_>,
) -> Result<Vec<T>, Failure> {
    let list = expression.evaluate(bindings)?;
    let Value::Array(items) = list.value() else {
        let message = format!("effects.{field}: a list is expected, this is {}", kind(list.value()));
        return Err(Failure::permanent(message));
    };
    let item = |(index, item)| {
        T::deserialize(item)
            .map_err(|error| Failure::permanent(format!("effects.{field}, item {index}: {error}")))
    };
    items.iter().enumerate().map(item).collect()
}

/// A program whose results get effects.
pub(super) struct WithEffects {
    program: Arc<dyn Program>,
    effects: Arc<EffectExpressions>,
}

impl WithEffects {
    pub(super) fn new(program: Arc<dyn Program>, effects: EffectExpressions) -> Self {
        Self { program, effects: Arc::new(effects) }
    }
}

impl Program for WithEffects {
    fn start(&self, activation: Activation) -> Execution {
        let view = activation.view.clone();
        match self.program.start(activation) {
            Execution::Ready(outcome) => Execution::Ready(finish(&self.effects, &view, outcome)),
            Execution::Running(future) => {
                let effects = Arc::clone(&self.effects);
                Execution::Running(future.map(move |outcome| finish(&effects, &view, outcome)).boxed())
            }
        }
    }
}

fn finish(effects: &EffectExpressions, view: &View, outcome: Outcome) -> Outcome {
    match outcome {
        Outcome::Done(mut result) => match effects.apply(view, &mut result) {
            Ok(()) => Outcome::Done(result),
            Err(failure) => Outcome::Failed(failure),
        },
        Outcome::Suspended(question) => Outcome::Suspended(question),
        Outcome::Failed(failure) => Outcome::Failed(failure),
    }
}
