//! Messages between vertices.

use std::collections::HashMap;
use std::sync::Arc;

use superstep_engine::{FrameId, MessageKey, Payload, Reference, Routed, Target};
use superstep_graph::{Port, VertexName};
use superstep_proto::v1;
use superstep_proto::v1::payload::Form;

use crate::WireError;
use crate::names::payload_of;

/// The names in a batch of messages, each once.
#[derive(Default)]
pub struct Names {
    names: Vec<String>,
    numbers: HashMap<String, u32>,
    bytes: usize,
}

impl Names {
    fn number(&mut self, name: &str) -> u32 {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        let number = u32::try_from(self.names.len()).expect("a batch has far fewer names");
        self.bytes += name.len();
        self.names.push(name.to_owned());
        self.numbers.insert(name.to_owned(), number);
        number
    }

    /// How many bytes they have.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

impl From<Names> for Vec<String> {
    fn from(names: Names) -> Self {
        names.names
    }
}

/// A message that leaves its partition, in a batch with these names; none if it names its receiver by a place, which
/// only one that stays does. `form` is what its payload travels as: its text, or the blob that has that.
#[must_use]
pub fn message(message: &Routed, form: Form, names: &mut Names) -> Option<v1::Message> {
    let Target::Absent(to) = &message.to else { return None };
    let trail = message.trail.iter().flat_map(|trail| trail.iter());
    Some(v1::Message {
        frame: message.frame.0,
        from: names.number(message.key.from.as_str()),
        incarnation: message.key.incarnation,
        sent: message.key.superstep,
        direct: message.key.direct,
        port: names.number(message.key.port.as_str()),
        to: names.number(to.as_str()),
        ordinal: message.key.ordinal,
        payload: Some(v1::Payload { form: Some(form) }),
        trail: trail
            .map(|(join, number)| v1::Firing { join: names.number(join.as_str()), number: *number })
            .collect(),
        orphan: message.orphan,
        passive: message.passive,
        traceparent: String::new(),
    })
}

/// A payload as its text.
pub(crate) fn json(payload: &Payload) -> Form {
    Form::Json(payload.to_json().into_owned().into())
}

/// A payload that is kept elsewhere.
#[must_use]
pub fn blob(reference: &Reference) -> v1::Blob {
    v1::Blob { hash: reference.digest.to_vec().into(), bytes: reference.bytes }
}

/// # Errors
/// Its hash is none.
pub fn reference_of(blob: &v1::Blob) -> Result<Reference, WireError> {
    let digest = blob.hash.as_ref().try_into().map_err(|_| WireError::Value {
        what: "the hash of a blob",
        value: format!("{} bytes", blob.hash.len()),
    })?;
    Ok(Reference { digest, bytes: blob.bytes })
}

/// The places of the messages of a batch whose payloads are blobs, with their frames and receivers.
pub fn blobs_in(batch: &v1::Batch) -> impl Iterator<Item = (usize, FrameId, VertexName)> {
    let is_blob = |payload: &v1::Payload| matches!(payload.form, Some(Form::Blob(_)));
    let messages = batch.messages.iter().enumerate();
    messages.filter(move |(_, message)| message.payload.as_ref().is_some_and(is_blob)).map(|(at, message)| {
        let to = batch.names.get(message.to as usize).map(String::as_str).unwrap_or_default();
        (at, FrameId(message.frame), VertexName::from(to))
    })
}

/// The messages of a batch. Payloads that are blobs are kept elsewhere.
///
/// # Errors
/// A payload is not there, or no JSON, or a name is none of the batch.
pub fn messages_of(batch: v1::Batch) -> Result<Vec<Routed>, WireError> {
    let known = Known { names: &batch.names, vertices: vec![None; batch.names.len()], last: None };
    let mut known = known;
    batch.messages.into_iter().map(|message| message_of(message, &mut known)).collect()
}

/// The names of a batch as the engine has them, each made once.
struct Known<'a> {
    names: &'a [String],
    vertices: Vec<Option<VertexName>>,
    last: Option<(u32, Port)>,
}

impl Known<'_> {
    fn name(&self, number: u32) -> Result<&str, WireError> {
        let name = self.names.get(number as usize).map(String::as_str);
        name.ok_or_else(|| WireError::Value { what: "the number of a name", value: number.to_string() })
    }

    fn vertex(&mut self, number: u32) -> Result<VertexName, WireError> {
        if let Some(Some(known)) = self.vertices.get(number as usize) {
            return Ok(known.clone());
        }
        let name = VertexName::from(self.name(number)?);
        self.vertices[number as usize] = Some(name.clone());
        Ok(name)
    }

    fn port(&mut self, number: u32) -> Result<Port, WireError> {
        if let Some((_, port)) = self.last.as_ref().filter(|(known, _)| *known == number) {
            return Ok(port.clone());
        }
        let port = Port::from(self.name(number)?);
        self.last = Some((number, port.clone()));
        Ok(port)
    }
}

fn said_by(payload: Option<v1::Payload>) -> Result<Payload, WireError> {
    match payload {
        Some(v1::Payload { form: Some(Form::Blob(blob)) }) => Ok(Payload::kept(reference_of(&blob)?)),
        payload => payload_of(payload),
    }
}

fn message_of(message: v1::Message, names: &mut Known<'_>) -> Result<Routed, WireError> {
    let mut trail = Vec::with_capacity(message.trail.len());
    for firing in message.trail {
        trail.push((names.vertex(firing.join)?, firing.number));
    }
    Ok(Routed {
        frame: FrameId(message.frame),
        to: Target::Absent(names.vertex(message.to)?),
        key: MessageKey {
            from: names.vertex(message.from)?,
            incarnation: message.incarnation,
            superstep: message.sent,
            direct: message.direct,
            port: names.port(message.port)?,
            ordinal: message.ordinal,
        },
        payload: said_by(message.payload)?,
        trail: (!trail.is_empty()).then(|| Arc::new(trail)),
        orphan: message.orphan,
        passive: message.passive,
        via: None,
    })
}
