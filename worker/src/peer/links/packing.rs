//! Messages as they travel: in batches of about equal size, long payloads as blobs.

use prost::Message as _;
use superstep_engine::{MessageKey, Payload, Record, Reference};
use superstep_proto::v1;
use superstep_proto::v1::payload::Form;
use superstep_store::{RunName, Store, StoreError};
use superstep_wire::Names;

use super::Outgoing;
use crate::blocking::blocking;
use crate::limits::{BATCH, INLINE};

/// Packs the next batch of messages; none if there are no more. Messages that are packed are let go.
///
/// # Errors
/// A long payload cannot be kept as a blob at the moment. Nothing is let go then.
pub(super) async fn pack(
    outgoing: &mut Outgoing,
    store: &Store<Record>,
) -> Result<Option<v1::Batch>, StoreError> {
    let (mut names, mut messages, mut bytes) = (Names::default(), Vec::new(), 0);
    let mut count = 0;
    let mut last: Option<(&Payload, Form)> = None;
    for message in outgoing.messages.iter().rev() {
        if bytes + names.bytes() >= BATCH {
            break;
        }
        let form = match last.take().filter(|(payload, _)| payload.is_same(&message.payload)) {
            Some((_, form)) => form,
            None => form(&message.payload, &outgoing.run, store).await?,
        };
        last = Some((&message.payload, form.clone()));
        count += 1;
        if let Some(mut packed) = superstep_wire::message(message, form, &mut names) {
            if let Some(contexts) = &mut outgoing.contexts {
                let MessageKey { from, superstep, .. } = &message.key;
                packed.traceparent = contexts.of(message.frame, from, *superstep);
            }
            bytes += packed.encoded_len();
            messages.push(packed);
        }
    }
    outgoing.messages.truncate(outgoing.messages.len() - count);
    Ok((count > 0).then(|| v1::Batch {
        run: outgoing.run.to_string(),
        epoch: outgoing.epoch,
        superstep: outgoing.superstep,
        partition: outgoing.partition,
        messages,
        names: names.into(),
    }))
}

/// What a payload travels as. One that is long is a blob of its run, which it is already if the log has it as it is.
async fn form(payload: &Payload, run: &RunName, store: &Store<Record>) -> Result<Form, StoreError> {
    if let Some(reference) = payload.reference() {
        return Ok(Form::Blob(superstep_wire::blob(&reference)));
    }
    let text = payload.to_json();
    if text.len() <= INLINE {
        return Ok(Form::Json(text.into_owned().into()));
    }
    let (text, run, store) = (text.into_owned(), run.clone(), store.clone());
    let bytes = text.len() as u64;
    let digest = blocking(move || store.blobs(&run)?.put(text.as_bytes())).await?;
    Ok(Form::Blob(superstep_wire::blob(&Reference { digest: *digest.as_bytes(), bytes })))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use superstep_engine::{FrameId, Routed, RunStarted, Target};
    use superstep_graph::Port;
    use superstep_telemetry::MessageContexts;
    use tokio::sync::mpsc;

    use super::*;

    fn message(frame: u32, from: &str, sent: u64) -> Routed {
        let key = MessageKey {
            from: from.into(),
            incarnation: 0,
            superstep: sent,
            direct: false,
            port: Port::default(),
            ordinal: 0,
        };
        let (to, payload) = (Target::Absent("there".into()), Payload::null());
        let (trail, orphan, passive, via) = (None, false, false, None);
        Routed { frame: FrameId(frame), to, key, payload, trail, orphan, passive, via }
    }

    async fn packed(contexts: Option<MessageContexts>) -> Vec<String> {
        let messages = vec![message(0, "a", 1), message(0, "b", 1), message(0, "b", 1), message(2, "b", 3)];
        let (leader, _inbox) = mpsc::unbounded_channel();
        let run = "traced".parse().unwrap();
        let mut outgoing = Outgoing { run, epoch: 1, superstep: 4, partition: 0, messages, leader, contexts };
        let batch = pack(&mut outgoing, &Store::memory()).await.unwrap().unwrap();
        batch.messages.into_iter().map(|message| message.traceparent).collect()
    }

    #[tokio::test]
    async fn messages_travel_with_the_contexts_of_who_sent_them() {
        let started = RunStarted {
            run: "traced".to_owned(),
            root: "main".to_owned(),
            graphs: BTreeMap::new(),
            input: Payload::null(),
            attachment: Payload::null(),
            started_at: 7,
        };
        let mut contexts = MessageContexts::of_run(&started);
        let expected: Vec<String> = [(2, "b", 3), (0, "b", 1), (0, "b", 1), (0, "a", 1)]
            .into_iter()
            .map(|(frame, from, sent)| contexts.of(FrameId(frame), &from.into(), sent))
            .collect();
        assert_eq!(packed(Some(MessageContexts::of_run(&started))).await, expected);
        assert_eq!(expected.iter().collect::<std::collections::BTreeSet<_>>().len(), 3);
        assert_eq!(packed(None).await, [""; 4]);
    }
}
