//! Messages as they travel: in batches of about equal size, long payloads as blobs.

use prost::Message as _;
use superstep_engine::{MessageKey, Payload, Record, Reference, Routed};
use superstep_proto::v1;
use superstep_proto::v1::payload::Form;
use superstep_store::{RunName, Store, StoreError};
use superstep_wire::Names;

use super::Outgoing;
use crate::blocking::blocking;
use crate::limits::{BATCH, FURTHER, INLINE};

/// Packs the next batch of messages; none if there are no more. Messages that are packed are let go. What one activation
/// says to several travels `together`, as one message, unless it is a blob: one receiver may have that whole, and another
/// one by its name.
///
/// # Errors
/// A long payload cannot be kept as a blob at the moment. Nothing is let go then.
pub(super) async fn pack(
    outgoing: &mut Outgoing,
    together: bool,
    store: &Store<Record>,
) -> Result<Option<v1::Batch>, StoreError> {
    let (mut names, mut messages, mut bytes): (_, Vec<v1::Message>, _) = (Names::default(), Vec::new(), 0);
    let mut count = 0;
    let mut last: Option<(&Routed, Form)> = None;
    for message in outgoing.messages.iter().rev() {
        if bytes + names.bytes() >= BATCH {
            break;
        }
        if together
            && let (Some((like, Form::Json(_))), Some(packed)) = (&last, messages.last_mut())
            && superstep_wire::says_the_same(like, message)
            && superstep_wire::say_also(packed, message, &mut names)
        {
            bytes += FURTHER;
            count += 1;
            continue;
        }
        let form = match last.take().filter(|(like, _)| like.payload.is_same(&message.payload)) {
            Some((_, form)) => form,
            None => form(&message.payload, &outgoing.run, store).await?,
        };
        count += 1;
        // One that names no receiver does not travel, and none may join it.
        let Some(mut packed) = superstep_wire::message(message, form.clone(), &mut names) else { continue };
        last = Some((message, form));
        if let Some(contexts) = &mut outgoing.contexts {
            let MessageKey { from, superstep, .. } = &message.key;
            packed.traceparent = contexts.of(message.frame, from, *superstep);
        }
        bytes += packed.encoded_len();
        messages.push(packed);
    }
    outgoing.messages.truncate(outgoing.messages.len() - count);
    Ok((count > 0).then(|| v1::Batch {
        run: outgoing.run.to_string(),
        epoch: outgoing.epoch,
        superstep: outgoing.superstep,
        partition: outgoing.partition,
        messages,
        names: names.into(),
        credit_together: false,
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

    use superstep_engine::{FrameId, RunStarted, Target};
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

    fn outgoing(messages: Vec<Routed>, contexts: Option<MessageContexts>) -> Outgoing {
        let (leader, _inbox) = mpsc::unbounded_channel();
        let run = "traced".parse().unwrap();
        Outgoing { run, epoch: 1, superstep: 4, partition: 0, messages, leader, contexts }
    }

    async fn packed(contexts: Option<MessageContexts>) -> Vec<String> {
        let messages = vec![message(0, "a", 1), message(0, "b", 1), message(0, "b", 1), message(2, "b", 3)];
        let batch = pack(&mut outgoing(messages, contexts), false, &Store::memory()).await.unwrap().unwrap();
        batch.messages.into_iter().map(|message| message.traceparent).collect()
    }

    /// Messages of one sender to so many, the last two of which say something else.
    fn fan(receivers: usize, said: &Payload) -> Vec<Routed> {
        let like = Routed { payload: said.clone(), ..message(0, "a", 1) };
        let other = Routed { payload: Payload::from_json("\"other\"").unwrap(), ..like.clone() };
        let said = |at| if at + 2 < receivers { &like } else { &other };
        let to = |at: usize| Target::Absent(format!("v{at}").as_str().into());
        (0..receivers).map(|at| Routed { to: to(at), ..said(at).clone() }).collect()
    }

    #[tokio::test]
    async fn what_one_says_to_many_is_packed_once_for_who_knows_it() {
        let said = Payload::from_json("\"said\"").unwrap();
        for (together, packed) in [(true, vec![1, 9]), (false, vec![0; 12])] {
            let mut outgoing = outgoing(fan(12, &said), None);
            let batch = pack(&mut outgoing, together, &Store::memory()).await.unwrap().unwrap();
            assert!(outgoing.messages.is_empty());
            assert_eq!(batch.messages.iter().map(|message| message.also.len()).collect::<Vec<_>>(), packed);
            assert_eq!(superstep_wire::messages_of(batch).unwrap().len(), 12);
            assert!(pack(&mut outgoing, together, &Store::memory()).await.unwrap().is_none());
        }
    }

    #[tokio::test]
    async fn a_blob_goes_to_each_receiver_by_itself_and_many_receivers_in_several_batches() {
        let kept = Payload::kept(Reference { digest: [7; 32], bytes: 1 << 20 });
        let batch = pack(&mut outgoing(fan(5, &kept), None), true, &Store::memory()).await.unwrap().unwrap();
        assert_eq!(batch.messages.iter().map(|message| message.also.len()).collect::<Vec<_>>(), [1, 0, 0, 0]);
        let many = 2 * BATCH / FURTHER;
        let mut outgoing = outgoing(fan(many, &Payload::null()), None);
        let (mut batches, mut came) = (0, 0);
        while let Some(batch) = pack(&mut outgoing, true, &Store::memory()).await.unwrap() {
            assert!(batch.encoded_len() <= 2 * BATCH, "{}", batch.encoded_len());
            batches += 1;
            came += superstep_wire::messages_of(batch).unwrap().len();
        }
        assert_eq!(came, many);
        assert!(batches > 1);
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
