//! Messages between vertices.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use prost::Message as _;
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
    /// Those of the last sender, port and receiver, beside which the next ones most likely are.
    last: Option<(u32, u32, u32)>,
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

    /// As [`Self::number`], of a name that is most likely the one with the number `guess`.
    fn number_near(&mut self, guess: Option<u32>, name: &str) -> u32 {
        let guess = guess.filter(|guess| self.names.get(*guess as usize).is_some_and(|known| known == name));
        guess.unwrap_or_else(|| self.number(name))
    }

    /// The numbers of a message's sender, port and receiver. What one activation sends stands together, and many of
    /// them send to the same vertices in the same order.
    fn of_message(&mut self, key: &MessageKey, to: &VertexName) -> (u32, u32, u32) {
        let last = self.last;
        let from = self.number_near(last.map(|(from, ..)| from), key.from.as_str());
        let port = self.number_near(last.map(|(_, port, _)| port), key.port.as_str());
        let to = self.number_near(last.map(|(.., to)| to + 1), to.as_str());
        self.last = Some((from, port, to));
        (from, port, to)
    }

    /// The number of a further receiver, which is most likely beside that of the last one.
    fn further(&mut self, to: &VertexName) -> u32 {
        let near = self.last.map(|(.., to)| to + 1);
        let number = self.number_near(near, to.as_str());
        if let Some((.., last)) = &mut self.last {
            *last = number;
        }
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
    let (from, port, to) = names.of_message(&message.key, to);
    Some(v1::Message {
        frame: message.frame.0,
        from,
        incarnation: message.key.incarnation,
        sent: message.key.superstep,
        direct: message.key.direct,
        port,
        to,
        ordinal: message.key.ordinal,
        payload: Some(v1::Payload { form: Some(form) }),
        trail: trail
            .map(|(join, number)| v1::Firing { join: names.number(join.as_str()), number: *number })
            .collect(),
        orphan: message.orphan,
        passive: message.passive,
        traceparent: String::new(),
        also: Vec::new(),
    })
}

/// Whether two messages differ in nothing but their receivers, so that they can travel as one.
#[must_use]
pub fn says_the_same(one: &Routed, other: &Routed) -> bool {
    let trails = match (&one.trail, &other.trail) {
        (None, None) => true,
        (Some(one), Some(other)) => Arc::ptr_eq(one, other),
        (Some(_), None) | (None, Some(_)) => false,
    };
    one.payload.is_same(&other.payload)
        && trails
        && one.frame == other.frame
        && one.key == other.key
        && (one.orphan, one.passive) == (other.orphan, other.passive)
}

/// Lets a message that was packed stand for one that [says the same](says_the_same) as well; false, and nothing is done,
/// if that one names its receiver by a place.
pub fn say_also(packed: &mut v1::Message, message: &Routed, names: &mut Names) -> bool {
    let Target::Absent(to) = &message.to else { return false };
    packed.also.push(names.further(to));
    true
}

/// A batch as those that hold no message with further receivers, about `most` bytes of messages in each, for those who
/// do not know of them.
pub fn apart(batch: v1::Batch, most: usize) -> Vec<v1::Batch> {
    let mut batches = Vec::new();
    let (mut messages, mut bytes) = (Vec::new(), 0);
    let v1::Batch { run, epoch, superstep, partition, messages: all, names, credit_together } = batch;
    let like = |messages| v1::Batch {
        run: run.clone(),
        epoch,
        superstep,
        partition,
        messages,
        names: names.clone(),
        credit_together,
    };
    for mut message in all {
        let also = std::mem::take(&mut message.also);
        let further = also.into_iter().map(|to| v1::Message { to, ..message.clone() }).collect::<Vec<_>>();
        for message in std::iter::once(message).chain(further) {
            bytes += message.encoded_len();
            messages.push(message);
            if bytes >= most {
                bytes = 0;
                batches.push(like(std::mem::take(&mut messages)));
            }
        }
    }
    if !messages.is_empty() {
        batches.push(like(messages));
    }
    batches
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

/// The places of the messages of a batch whose payloads are blobs, with their frames and receivers. A message that has
/// several receivers is there for each of them.
pub fn blobs_in(batch: &v1::Batch) -> impl Iterator<Item = (usize, FrameId, VertexName)> {
    let is_blob = |payload: &v1::Payload| matches!(payload.form, Some(Form::Blob(_)));
    let messages = batch.messages.iter().enumerate();
    let blobs = messages.filter(move |(_, message)| message.payload.as_ref().is_some_and(is_blob));
    blobs.flat_map(move |(at, message)| {
        let receivers = std::iter::once(&message.to).chain(&message.also);
        receivers.map(move |to| {
            let to = batch.names.get(*to as usize).map(String::as_str).unwrap_or_default();
            (at, FrameId(message.frame), VertexName::from(to))
        })
    })
}

/// The messages of a batch. Payloads that are blobs are kept elsewhere.
///
/// # Errors
/// A payload is not there, or no JSON, or a name is none of the batch.
pub fn messages_of(batch: v1::Batch) -> Result<Vec<Routed>, WireError> {
    let vertices = vec![None; batch.names.len()];
    let mut known = Known { names: &batch.names, vertices, last: None, said: None };
    let count = batch.messages.iter().map(|message| 1 + message.also.len()).sum();
    let mut messages = Vec::with_capacity(count);
    for mut message in batch.messages {
        let also = std::mem::take(&mut message.also);
        let said = message_of(message, &mut known)?;
        for to in also {
            messages.push(Routed {
                frame: said.frame,
                to: Target::Absent(known.vertex(to)?),
                key: said.key.clone(),
                payload: said.payload.clone(),
                trail: said.trail.clone(),
                orphan: said.orphan,
                passive: said.passive,
                via: None,
            });
        }
        messages.push(said);
    }
    Ok(messages)
}

/// The names of a batch as the engine has them, each made once.
struct Known<'a> {
    names: &'a [String],
    vertices: Vec<Option<VertexName>>,
    last: Option<(u32, Port)>,
    /// What the last message said, as text and as payload: one activation often says the same to many.
    said: Option<(Bytes, Payload)>,
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

    fn said_by(&mut self, payload: Option<v1::Payload>) -> Result<Payload, WireError> {
        let text = match payload.and_then(|payload| payload.form) {
            Some(Form::Blob(blob)) => return Ok(Payload::kept(reference_of(&blob)?)),
            Some(Form::Json(text)) => text,
            None => return payload_of(None),
        };
        if let Some((_, payload)) = self.said.as_ref().filter(|(said, _)| *said == text) {
            return Ok(payload.clone());
        }
        let payload = payload_of(Some(v1::Payload { form: Some(Form::Json(text.clone())) }))?;
        self.said = Some((text, payload.clone()));
        Ok(payload)
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
        payload: names.said_by(message.payload)?,
        trail: (!trail.is_empty()).then(|| Arc::new(trail)),
        orphan: message.orphan,
        passive: message.passive,
        via: None,
    })
}

#[cfg(test)]
mod tests {
    use superstep_engine::Target;

    use super::*;

    fn routed(from: &str, to: &str, port: &str, text: &str) -> Routed {
        let key = MessageKey {
            from: from.into(),
            incarnation: 1,
            superstep: 7,
            direct: false,
            port: port.into(),
            ordinal: 3,
        };
        Routed {
            frame: FrameId(2),
            to: Target::Absent(to.into()),
            key,
            payload: Payload::from_json(text).expect("it is JSON"),
            trail: Some(Arc::new(vec![("join".into(), 4)])),
            orphan: true,
            passive: false,
            via: None,
        }
    }

    #[test]
    fn a_batch_says_what_its_messages_say_and_each_name_once() {
        let sent = [
            routed("a", "x", "out", "[1,2]"),
            routed("a", "y", "out", "[1,2]"),
            routed("a", "z", "error", "\"other\""),
            routed("b", "x", "out", "[1,2]"),
            routed("b", "y", "out", "[1,2]"),
            routed("x", "a", "out", "null"),
            routed("x", "x", "out", "[1,2]"),
        ];
        let mut names = Names::default();
        let pack = |routed: &Routed| message(routed, json(&routed.payload), &mut names).expect("it leaves");
        let messages: Vec<v1::Message> = sent.iter().map(pack).collect();
        let names: Vec<String> = names.into();
        assert_eq!(names, ["a", "out", "x", "join", "y", "error", "z", "b"]);
        let batch = v1::Batch { messages, names, ..v1::Batch::default() };
        let came = messages_of(batch).expect("they mean something");
        for (sent, came) in sent.iter().zip(&came) {
            assert_eq!((sent.frame, &sent.to, &sent.key), (came.frame, &came.to, &came.key));
            assert_eq!((&sent.payload, &sent.trail, sent.orphan), (&came.payload, &came.trail, came.orphan));
        }
        assert_eq!(came.len(), sent.len());
        assert!(came[0].payload.is_same(&came[1].payload) && !came[1].payload.is_same(&came[2].payload));
    }

    fn packed_together(sent: &[Routed]) -> v1::Batch {
        let mut names = Names::default();
        let mut messages: Vec<v1::Message> = Vec::new();
        for (at, routed) in sent.iter().enumerate() {
            let near = at.checked_sub(1).is_some_and(|before| says_the_same(&sent[before], routed));
            match messages.last_mut().filter(|_| near) {
                Some(packed) => assert!(say_also(packed, routed, &mut names)),
                None => messages.extend(message(routed, json(&routed.payload), &mut names)),
            }
        }
        v1::Batch { run: "r".to_owned(), messages, names: names.into(), ..v1::Batch::default() }
    }

    fn identities(messages: Vec<Routed>) -> Vec<(FrameId, Target, MessageKey, Payload, bool, bool)> {
        let mut all: Vec<_> = messages
            .into_iter()
            .map(|it| (it.frame, it.to, it.key, it.payload, it.orphan, it.passive))
            .collect();
        all.sort_by(|one, other| (&one.1, &one.2).cmp(&(&other.1, &other.2)));
        all
    }

    /// What one vertex says to three, another one to one of them, and the first one something else to two.
    fn fans() -> Vec<Routed> {
        let to = |of: &Routed, to: &str| Routed { to: Target::Absent(to.into()), ..of.clone() };
        let (one, two, three) =
            (routed("a", "x", "out", "[1]"), routed("b", "x", "out", "2"), routed("a", "x", "error", "3"));
        vec![one.clone(), to(&one, "y"), to(&one, "z"), two, three.clone(), to(&three, "y")]
    }

    #[test]
    fn what_one_says_to_several_travels_once_and_comes_to_each() {
        let batch = packed_together(&fans());
        assert_eq!(batch.messages.iter().map(|message| message.also.len()).collect::<Vec<_>>(), [2, 0, 1]);
        let came = messages_of(batch).expect("they mean something");
        assert!(came.iter().all(|message| message.trail.is_some()));
        assert_eq!(identities(came), identities(fans()));
    }

    #[test]
    fn what_differs_in_more_than_the_receiver_does_not_travel_as_one() {
        let one = routed("a", "x", "out", "[1]");
        let like = |change: fn(&mut Routed)| {
            let mut other = one.clone();
            change(&mut other);
            says_the_same(&one, &other)
        };
        assert!(like(|other| other.to = Target::Absent("y".into())));
        assert!(!like(|other| other.frame = FrameId(3)));
        assert!(!like(|other| other.key.ordinal += 1));
        assert!(!like(|other| other.key.incarnation += 1));
        assert!(!like(|other| other.key.superstep += 1));
        assert!(!like(|other| other.key.direct = true));
        assert!(!like(|other| other.key.port = "error".into()));
        assert!(!like(|other| other.orphan = false));
        assert!(!like(|other| other.passive = true));
        assert!(!like(|other| other.trail = None));
        // Equal, and not one and the same: comparing texts would cost more than they do.
        assert!(!like(|other| other.payload = Payload::from_json("[1]").expect("it is JSON")));
    }

    #[test]
    fn a_batch_is_taken_apart_for_who_knows_of_one_receiver_only() {
        let together = packed_together(&fans());
        for (most, batches) in [(1, 6), (usize::MAX, 1)] {
            let apart = apart(together.clone(), most);
            assert_eq!(apart.len(), batches, "{most}");
            let messages = apart.iter().flat_map(|batch| &batch.messages);
            assert!(messages.clone().all(|message| message.also.is_empty()));
            assert_eq!(messages.count(), 6);
            let came = apart.into_iter().flat_map(|batch| messages_of(batch).expect("they mean something"));
            assert_eq!(identities(came.collect()), identities(fans()));
        }
    }

    #[test]
    fn a_further_receiver_whose_name_is_none_means_nothing() {
        let mut batch = packed_together(&fans());
        batch.messages[0].also.push(99);
        assert!(messages_of(batch).is_err());
    }

    #[test]
    fn a_message_without_a_payload_or_with_a_name_that_is_none_means_nothing() {
        let mut names = Names::default();
        let routed = routed("a", "x", "out", "1");
        let good = message(&routed, json(&routed.payload), &mut names).expect("it leaves");
        let names: Vec<String> = names.into();
        let empty = v1::Message { payload: None, ..good.clone() };
        let no_json = v1::Payload { form: Some(Form::Json("nul".into())) };
        let no_json = v1::Message { payload: Some(no_json), ..good.clone() };
        let nobody = v1::Message { from: 9, ..good.clone() };
        for bad in [empty, no_json, nobody] {
            let batch =
                v1::Batch { messages: vec![good.clone(), bad], names: names.clone(), ..v1::Batch::default() };
            assert!(messages_of(batch).is_err());
        }
    }
}
