//! The end of a superstep in the model: what was sent, changed, and failed (rules 3, 18, 21 and 22).

use std::collections::BTreeMap;

use serde_json::json;
use superstep_engine::{
    EdgeView, Expressions, Failure, FailureClass, FrameId, MessageStatus, Notice, Payload, ProgramResult,
    RunStatus, Usage, ValueChange,
};
use superstep_graph::{EdgeSpec, OnFailure, Port, VertexName, VertexSpec};

use super::frame::{Message, Place};
use super::rules::Rules;
use super::{Begun, Ended, Run};
use crate::words::Words;

/// What an activation sends, and what it does not get rid of.
#[derive(Debug, Default)]
struct Sent {
    messages: Vec<Message>,
    unsent: Vec<(Message, MessageStatus)>,
}

impl Run<'_> {
    /// Commits what has completed; how the run ends, if it does with this commit.
    pub(super) fn commit(&mut self) -> Option<RunStatus> {
        self.open_frames();
        let done = std::mem::take(&mut self.done);
        let completed = done.len() as u64;
        let mut contributions: BTreeMap<FrameId, Vec<(VertexName, Payload)>> = BTreeMap::new();
        let mut ends = None;
        for (place, (begun, end)) in done {
            let activation = begun.id.clone();
            let (failure, fatal) = self.commit_one(&place, begun, end, &mut contributions);
            let Some(failure) = failure.filter(|_| fatal) else { continue };
            if place.0 == FrameId::ROOT {
                ends.get_or_insert(RunStatus::Failed { activation, failure });
            } else if let Some(frame) = self.frames.get_mut(&place.0) {
                let message = format!("vertex {:?} of the sub-graph failed: {}", place.1, failure.message);
                frame.failed.get_or_insert(Failure::new(FailureClass::Frame, message));
            }
        }
        for (id, frame) in &mut self.frames {
            frame.aggregate(contributions.get(id).map(Vec::as_slice).unwrap_or_default());
        }
        let (superstep, revision) = (self.superstep, self.revision);
        self.notices.push(Notice::Committed { superstep, completed, revision });
        if ends.is_some() {
            self.superstep += 1;
        }
        ends
    }

    fn commit_one(
        &mut self,
        place: &Place,
        begun: Begun,
        end: Ended,
        contributions: &mut BTreeMap<FrameId, Vec<(VertexName, Payload)>>,
    ) -> (Option<Failure>, bool) {
        let Some(frame) = self.frames.get_mut(&place.0) else { return (None, false) };
        let Some(vertex) = frame.rules.vertex(&place.1) else { return (None, false) };
        let routed = end.and_then(|result| Ok((route(frame.rules, vertex, &begun, &result)?, result)));
        let (sent, output, failure, taken) = match routed {
            Ok((sent, result)) => {
                let output = result.as_output().cloned();
                if let Some(output) = &output {
                    frame.collect(&place.1, output);
                }
                change(&mut frame.state(&place.1).value, &result.value);
                contributions.entry(place.0).or_default().extend(result.contributions);
                (sent, output, None, true)
            }
            Err(failure) => {
                let sent = route_failure(frame.rules, vertex, &begun, &failure);
                let taken = !sent.messages.is_empty();
                (sent, None, Some(failure), taken)
            }
        };
        for (message, status) in sent.unsent {
            self.settle(place.0, &message, status, None);
        }
        self.sent.extend(sent.messages.into_iter().map(|message| (place.0, message)));
        let (activation, told) = (begun.id, failure.clone());
        self.notices.push(Notice::Completed { activation, output, failure: told, usage: Usage::default() });
        (failure, !taken && vertex.on_failure == OnFailure::FailRun)
    }
}

fn change(value: &mut Payload, change: &ValueChange) {
    match change {
        ValueChange::Keep => {}
        ValueChange::Set(new) => *value = new.clone(),
        ValueChange::Append(item) => {
            let before = value.value().as_array().cloned().unwrap_or_default();
            let items = before.into_iter().chain([item.value().clone()]).collect::<Vec<_>>();
            *value = Payload::from(serde_json::Value::from(items));
        }
    }
}

/// Rules 4 and 7.
///
/// # Errors
/// The condition of an edge has no value.
fn route(
    rules: Rules<'_>,
    vertex: &VertexSpec,
    begun: &Begun,
    result: &ProgramResult,
) -> Result<Sent, Failure> {
    let mut sent = Sent::default();
    for (ordinal, emission) in result.emissions.iter().enumerate() {
        along(rules, begun, &emission.port, &emission.payload, (ordinal, &mut sent))?;
    }
    for (ordinal, direct) in result.direct.iter().enumerate() {
        let message =
            Message { direct: true, to: direct.to.clone(), ..message(begun, ordinal, &direct.payload) };
        if Rules::sends(vertex, &direct.to) {
            sent.messages.push(message);
        } else {
            sent.unsent.push((message, MessageStatus::Refused));
        }
    }
    Ok(sent)
}

/// Sends a payload along all edges that listen to a port.
fn along(
    rules: Rules<'_>,
    begun: &Begun,
    port: &Port,
    payload: &Payload,
    (ordinal, sent): (usize, &mut Sent),
) -> Result<(), Failure> {
    let own = |edge: &&EdgeSpec| edge.from == begun.id.vertex && edge.port == *port;
    for edge in rules.0.edges.iter().filter(own) {
        let parameters = Payload::null();
        let view = EdgeView { message: payload, parameters: &parameters, superstep: begun.id.superstep };
        let passes = edge.when.as_deref().map_or(Ok(true), |when| Words.when(when, view))?;
        let transformed =
            edge.transform.as_deref().map(|transform| Words.transform(transform, view)).transpose()?;
        let payload = transformed.as_ref().unwrap_or(payload);
        let (port, to) = (port.clone(), edge.to.clone());
        let message = Message { port, to, ..message(begun, ordinal, payload) };
        if passes {
            sent.messages.push(message);
        } else {
            sent.unsent.push((message, MessageStatus::Filtered));
        }
    }
    Ok(())
}

fn route_failure(rules: Rules<'_>, vertex: &VertexSpec, begun: &Begun, failure: &Failure) -> Sent {
    let class = format!("{:?}", failure.class);
    let payload = json!({"vertex": vertex.name.as_str(), "class": class, "message": failure.message});
    let mut sent = Sent::default();
    let port = Port::from(Port::ERROR);
    match along(rules, begun, &port, &Payload::from(payload), (0, &mut sent)) {
        Ok(()) => sent,
        Err(_) => Sent::default(),
    }
}

/// A message of an activation to nobody yet.
fn message(begun: &Begun, ordinal: usize, payload: &Payload) -> Message {
    Message {
        from: begun.id.vertex.clone(),
        sent: begun.id.superstep,
        direct: false,
        port: Port::default(),
        to: begun.id.vertex.clone(),
        ordinal,
        payload: payload.clone(),
        trail: begun.trail.clone(),
    }
}
