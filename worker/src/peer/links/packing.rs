//! Messages as they travel: in batches of about equal size, long payloads as blobs.

use prost::Message as _;
use superstep_engine::{Payload, Record};
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
    let mut packed = 0;
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
        packed += 1;
        if let Some(message) = superstep_wire::message(message, form, &mut names) {
            bytes += message.encoded_len();
            messages.push(message);
        }
    }
    outgoing.messages.truncate(outgoing.messages.len() - packed);
    Ok((packed > 0).then(|| v1::Batch {
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
    let text = payload.to_json();
    if text.len() <= INLINE {
        return Ok(Form::Json(text.into_owned().into()));
    }
    let (text, run, store) = (text.into_owned(), run.clone(), store.clone());
    let bytes = text.len() as u64;
    let digest = blocking(move || store.blobs(&run)?.put(text.as_bytes())).await?;
    Ok(Form::Blob(v1::Blob { hash: digest.as_bytes().to_vec().into(), bytes }))
}
