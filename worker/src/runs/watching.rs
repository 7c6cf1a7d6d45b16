//! What happens in a run, told to whoever watches.

use std::pin::Pin;
use std::sync::Arc;

use futures::{Stream, StreamExt as _};
use superstep_proto::v1;
use superstep_runtime::{Seen, Watch, WatchFrom, read_run};
use superstep_store::RunName;
use tonic::Status;

use super::{RunsService, status_of};
use crate::blocking::blocking;
use crate::with_causes;

/// Events as they go out.
pub(super) type Events = Pin<Box<dyn Stream<Item = Result<v1::Event, Status>> + Send>>;

/// The events of a run behind a cursor. Every worker tells the same, for the log is the source.
pub(super) async fn watch(
    service: &RunsService,
    run: RunName,
    request: v1::WatchRequest,
) -> Result<Events, Status> {
    let offset = offset_of(&request.cursor)?;
    let (store, provisions) = (service.store.clone(), Arc::clone(&service.provisions));
    let watch = blocking(move || {
        let (started, _) = read_run(&store, &run).map_err(|error| status_of(&error))?;
        let programs = provisions
            .not_loaded(&run, &started)
            .map_err(|error| Status::failed_precondition(with_causes(&*error)))?;
        Watch::new(&store, &run, programs, WatchFrom::Offset(offset)).map_err(|error| status_of(&error))
    })
    .await?;
    let texts = request.texts;
    let events = watch.into_stream().filter_map(move |seen| async move {
        match seen {
            Ok(Seen::Text { .. } | Seen::Missed { .. }) if !texts => None,
            Ok(seen) => superstep_wire::event(&seen).map(|event| Ok(with_cursor(event))),
            Err(error) => Some(Err(status_of(&error))),
        }
    });
    Ok(Box::pin(events))
}

fn with_cursor(event: v1::Event) -> v1::Event {
    let cursor = if event.offset == 0 { Vec::new() } else { event.offset.to_be_bytes().to_vec() };
    v1::Event { cursor: cursor.into(), ..event }
}

fn offset_of(cursor: &[u8]) -> Result<u64, Status> {
    if cursor.is_empty() {
        return Ok(0);
    }
    let bytes =
        cursor.try_into().map_err(|_| Status::invalid_argument("the cursor is none of this server"))?;
    Ok(u64::from_be_bytes(bytes))
}
