//! One activation in the model: what its program comes to, and what a group makes of its elements.

use std::collections::BTreeMap;

use serde_json::Value;
use superstep_engine::{
    ActivationId, CallKey, CallOutcome, CallRequest, Emission, Failure, Outcome, Payload, ProgramResult,
    Received, View,
};
use superstep_graph::{Combiner, OnFailure, Port, VertexSpec};

use super::frame::Message;
use crate::behaviour::{Seen, Step, step};
use crate::model::ModelServer;

pub(super) type Ended = Result<ProgramResult, Failure>;

/// Runs a program until it has an end (rules 18 and 29). A call that gave something is not made again.
pub(super) fn run(
    model: &mut ModelServer,
    activation: &ActivationId,
    vertex: &VertexSpec,
    view: &View,
) -> Ended {
    let mut given: BTreeMap<([u8; 16], u32), CallOutcome> = BTreeMap::new();
    let mut attempts = 0;
    loop {
        let seen = Seen { activation, vertex, view, attempts, resumption: None };
        let mut asked: BTreeMap<[u8; 16], u32> = BTreeMap::new();
        let mut answers = Vec::new();
        let outcome = loop {
            let requests = match step(seen, &answers) {
                Step::End(outcome) => break outcome,
                Step::Call(requests) => requests,
            };
            for request in requests {
                let next = asked.entry(request.digest).or_default();
                let occurrence = std::mem::replace(next, *next + 1);
                let call = CallKey {
                    activation: activation.clone(),
                    digest: request.digest,
                    occurrence,
                    attempt: attempts,
                };
                answers.push(call_once(model, &mut given, call, &request));
            }
        };
        match outcome {
            Outcome::Done(result) => return Ok(result),
            Outcome::Failed(failure)
                if failure.class.is_retryable() && attempts + 1 < vertex.retry.max_attempts =>
            {
                attempts += 1;
            }
            Outcome::Failed(failure) => return Err(failure),
            Outcome::Suspended(_) => return Err(Failure::permanent("the model asks nobody")),
        }
    }
}

fn call_once(
    model: &mut ModelServer,
    given: &mut BTreeMap<([u8; 16], u32), CallOutcome>,
    call: CallKey,
    request: &CallRequest,
) -> CallOutcome {
    let known = (call.digest, call.occurrence);
    if let Some(outcome) = given.get(&known) {
        return outcome.clone();
    }
    let outcome = model.execute(&call.idempotency_key(crate::scenario::RUN), request);
    if outcome.answer.is_ok() {
        given.insert(known, outcome.clone());
    }
    outcome
}

/// What the elements of a group give together (rule 17).
pub(super) fn together(vertex: &VertexSpec, ends: Vec<Ended>) -> Ended {
    let mut whole = ProgramResult::default();
    let mut default = Vec::new();
    let mut others: BTreeMap<Port, Vec<Payload>> = BTreeMap::new();
    let mut used_default = false;
    for end in ends {
        let result = match end {
            Ok(result) => result,
            Err(_) if vertex.on_failure == OnFailure::Ignore => {
                default.push(Payload::null());
                continue;
            }
            Err(failure) => return Err(failure),
        };
        let mut own = Payload::null();
        for Emission { port, payload } in result.emissions {
            if port == Port::default() {
                used_default = true;
                if own.is_null() {
                    own = payload;
                }
            } else {
                others.entry(port).or_default().push(payload);
            }
        }
        default.push(own);
        whole.direct.extend(result.direct);
        whole.contributions.extend(result.contributions);
    }
    if used_default || others.is_empty() {
        whole.emissions.push(Emission { port: Port::default(), payload: Payload::list(&default) });
    }
    for (port, list) in others {
        whole.emissions.push(Emission { port, payload: Payload::list(&list) });
    }
    Ok(whole)
}

/// What was drained, parted into what becomes one message each (rule 21): with a combiner all that comes
/// from one sender over edges, and all that comes from it directly.
pub(super) fn parted(combiner: Option<Combiner>, drained: &[Message]) -> Vec<Vec<&Message>> {
    let mut parts: Vec<Vec<&Message>> = Vec::new();
    for message in drained {
        let same = |part: &&mut Vec<&Message>| {
            combiner.is_some() && part[0].from == message.from && part[0].direct == message.direct
        };
        match parts.iter_mut().find(same) {
            Some(part) => part.push(message),
            None => parts.push(vec![message]),
        }
    }
    parts
}

/// What an activation receives of the parts of what it drained.
///
/// # Errors
/// A combiner of numbers was given something else.
pub(super) fn received(
    combiner: Option<Combiner>,
    parts: &[Vec<&Message>],
) -> Result<Vec<Received>, Failure> {
    let one = |part: &Vec<&Message>| {
        let payload = match combiner {
            Some(combiner) => fold(combiner, part)?,
            None => part[0].payload.clone(),
        };
        Ok(Received { from: part[0].from.clone(), port: part[0].port.clone(), payload })
    };
    parts.iter().map(one).collect()
}

fn fold(combiner: Combiner, group: &[&Message]) -> Result<Payload, Failure> {
    let payloads = || group.iter().map(|message| &message.payload);
    let numbers = || -> Result<Vec<i64>, Failure> {
        payloads()
            .map(|payload| {
                let wrong =
                    || Failure::permanent(format!("a combiner of numbers was given {}", payload.value()));
                payload.value().as_i64().ok_or_else(wrong)
            })
            .collect()
    };
    let number = |value: Option<i64>| Payload::from(Value::from(value.unwrap_or(0)));
    Ok(match combiner {
        Combiner::First => group[0].payload.clone(),
        Combiner::Last => group[group.len() - 1].payload.clone(),
        Combiner::Append => Payload::list(payloads()),
        Combiner::Sum => number(Some(numbers()?.into_iter().sum())),
        Combiner::Min => number(numbers()?.into_iter().min()),
        Combiner::Max => number(numbers()?.into_iter().max()),
    })
}

/// The elements of a group: the items of all lists, one list after the other (rule 17).
///
/// # Errors
/// Something else than a list was received, or nothing.
pub(super) fn elements(received: &[Received]) -> Result<Vec<Payload>, Failure> {
    let wrong = |what: &str| Failure::permanent(format!("a forEach takes lists, and was given {what}"));
    if received.is_empty() {
        return Err(wrong("nothing"));
    }
    let mut items = Vec::new();
    for message in received {
        match message.payload.value() {
            Value::Array(list) => items.extend(list.iter().cloned().map(Payload::from)),
            Value::Null => return Err(wrong("null")),
            Value::Bool(_) => return Err(wrong("a boolean")),
            Value::Number(_) => return Err(wrong("a number")),
            Value::String(_) => return Err(wrong("a string")),
            Value::Object(_) => return Err(wrong("an object")),
        }
    }
    Ok(items)
}
