//! Long payloads, which travel as blobs of their runs.

use std::time::Duration;

use superstep_engine::{Record, Reference};
use superstep_proto::v1;
use superstep_proto::v1::payload::Form;
use superstep_store::{Blobs, Digest, RunName, Store, StoreError};
use tokio::time::sleep;

use crate::blocking::blocking;

/// How long the store is left alone before it is asked again.
const PAUSE: Duration = Duration::from_secs(1);

/// A blob cannot be had.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    #[error("a payload is not where it was said to be")]
    Store(#[from] StoreError),
    #[error("a payload has {found} bytes, and was said to have {said}")]
    Length { found: usize, said: u64 },
    #[error("a payload is no text")]
    Text,
    #[error("a payload is no JSON")]
    Json(#[source] serde_json::Error),
    #[error("a payload has no name")]
    Name(#[from] superstep_wire::WireError),
}

/// Puts the texts of those long payloads in their places that go to receivers which take them whole, once the store has
/// them.
///
/// # Errors
/// It will not have one, or there is none of that name.
pub(super) async fn fetch_whole(
    batch: &mut v1::Batch,
    whole: &[usize],
    run: &RunName,
    store: &Store<Record>,
) -> Result<(), FetchError> {
    for at in whole {
        let payload = batch.messages.get_mut(*at).and_then(|message| message.payload.as_mut());
        let Some(form) = payload.and_then(|payload| payload.form.as_mut()) else { continue };
        let Form::Blob(blob) = form else { continue };
        let text = fetched(superstep_wire::reference_of(blob)?, run, store).await?;
        *form = Form::Json(text);
    }
    Ok(())
}

/// The text of a payload that is kept in the store, once that has it.
///
/// # Errors
/// It will not have it.
pub(super) async fn fetched(
    reference: Reference,
    run: &RunName,
    store: &Store<Record>,
) -> Result<bytes::Bytes, FetchError> {
    let digest = Digest::from_bytes(reference.digest);
    loop {
        let (store, run) = (store.clone(), run.clone());
        let got = blocking(move || store.blobs(&run).and_then(|blobs: Blobs| blobs.get(digest))).await;
        match got {
            Ok(text) if text.len() as u64 == reference.bytes => return Ok(bytes::Bytes::from_owner(text)),
            Ok(text) => return Err(FetchError::Length { found: text.len(), said: reference.bytes }),
            Err(error) if crate::leader::may_pass(&error) => {
                let why = crate::with_causes(&error);
                tracing::debug!(%digest, %why, "a payload cannot be fetched at the moment");
                sleep(PAUSE).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}
