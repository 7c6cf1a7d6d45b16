//! Long payloads, which travel as blobs of their runs.

use std::time::Duration;

use superstep_engine::Record;
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
    #[error("the name of a blob has {bytes} bytes")]
    Name { bytes: usize },
    #[error("a payload has {found} bytes, and was said to have {said}")]
    Length { found: usize, said: u64 },
}

/// Puts the texts of long payloads in their places, once the store has them.
///
/// # Errors
/// It will not have one.
pub(super) async fn fetch(
    batch: &mut v1::Batch,
    run: &RunName,
    store: &Store<Record>,
) -> Result<(), FetchError> {
    let payloads = batch.messages.iter_mut().filter_map(|message| message.payload.as_mut());
    for form in payloads.filter_map(|payload| payload.form.as_mut()) {
        let Form::Blob(blob) = form else { continue };
        let text = fetched(blob, run, store).await?;
        *form = Form::Json(text);
    }
    Ok(())
}

async fn fetched(blob: &v1::Blob, run: &RunName, store: &Store<Record>) -> Result<bytes::Bytes, FetchError> {
    let name: Result<[u8; 32], _> = blob.hash.as_ref().try_into();
    let digest = Digest::from_bytes(name.map_err(|_| FetchError::Name { bytes: blob.hash.len() })?);
    loop {
        let (store, run) = (store.clone(), run.clone());
        let got = blocking(move || store.blobs(&run).and_then(|blobs: Blobs| blobs.get(digest))).await;
        match got {
            Ok(text) if text.len() as u64 == blob.bytes => return Ok(bytes::Bytes::from_owner(text)),
            Ok(text) => return Err(FetchError::Length { found: text.len(), said: blob.bytes }),
            Err(error) if crate::leader::may_pass(&error) => {
                let why = crate::with_causes(&error);
                tracing::debug!(%digest, %why, "a payload cannot be fetched at the moment");
                sleep(PAUSE).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}
