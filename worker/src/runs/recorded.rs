//! All that is recorded of a run, told as fast as whoever asks reads it.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::BoxStream;
use superstep_engine::Record;
use superstep_proto::v1;
use superstep_runtime::read_run;
use superstep_store::RunName;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::{PATIENCE, RunsService, status_of};
use crate::blocking::blocking;
use crate::limits::{RECORDS, TELLINGS};

/// How long whoever has asked may leave unread what is told.
const UNREAD: Duration = Duration::from_secs(30);
/// How many messages wait to be read.
const AHEAD: usize = 1;

/// Messages as they go out.
pub(super) type Recorded = BoxStream<'static, Result<v1::RecordsResponse, Status>>;

/// Tells all that is recorded of a run.
pub(super) async fn records(service: &RunsService, run: RunName) -> Result<Recorded, Status> {
    let place = timeout(PATIENCE, Arc::clone(&service.tellings).acquire_owned()).await.map_err(|_| {
        let why = "what is recorded of runs is told to as many at once as it may be";
        Status::resource_exhausted(format!("{why}, which is {TELLINGS}: ask again, or ask another worker"))
    })?;
    let place = place.expect("nobody closes the semaphore");
    let store = service.store.clone();
    let read = blocking(move || read_run(&store, &run).map_err(|error| status_of(&error)));
    let (_, records) = read.await?;
    let format = <Record as superstep_store::Record>::FORMAT;
    Ok(tell(superstep_wire::records(records, format, RECORDS), place))
}

/// Tells messages, each of which is made on a thread that may take its time, and gives the place back with the last.
fn tell(
    mut messages: impl Iterator<Item = v1::RecordsResponse> + Send + 'static,
    place: OwnedSemaphorePermit,
) -> Recorded {
    let (out, told) = mpsc::channel(AHEAD + 1);
    // Who has not read all is told so however full the channel is: a stream that just ends is complete.
    let end = out.clone().try_reserve_owned().expect("nothing was sent");
    tokio::spawn(async move {
        let _place = place;
        loop {
            let (next, rest) = blocking(move || (messages.next(), messages)).await;
            messages = rest;
            let Some(message) = next else { return };
            match timeout(UNREAD, out.send(Ok(message))).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return tracing::debug!("whoever asked for records is gone"),
                Err(_) => {
                    let why = format!("what is told was not read for {} s", UNREAD.as_secs());
                    end.send(Err(Status::deadline_exceeded(why)));
                    return;
                }
            }
        }
    });
    ReceiverStream::new(told).boxed()
}

#[cfg(test)]
mod tests {
    use tokio::sync::Semaphore;
    use tonic::Code;

    use super::*;

    /// So many messages, told by the only place there is.
    async fn telling(messages: u32, places: &Arc<Semaphore>) -> Recorded {
        let place = Arc::clone(places).acquire_owned().await.unwrap();
        let message = |format| v1::RecordsResponse { format, ..v1::RecordsResponse::default() };
        tell((0..messages).map(message), place)
    }

    #[tokio::test]
    async fn all_is_told_to_who_reads_and_the_place_given_back() {
        let places = Arc::new(Semaphore::new(1));
        let told: Vec<_> = telling(50, &places).await.map(|message| message.unwrap().format).collect().await;
        assert_eq!(told, (0..50).collect::<Vec<_>>());
        drop(places.acquire().await.unwrap());
        // Who goes away gives it back, too.
        drop(telling(50, &places).await);
        drop(places.acquire().await.unwrap());
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_read_loses_the_place_and_hears_that_there_was_more() {
        let places = Arc::new(Semaphore::new(1));
        let unread = telling(50, &places).await;
        drop(places.acquire().await.unwrap());
        let told: Vec<_> = unread.collect().await;
        let (last, before) = told.split_last().unwrap();
        assert_eq!(last.as_ref().unwrap_err().code(), Code::DeadlineExceeded);
        assert_eq!(before.iter().map(|message| message.as_ref().unwrap().format).collect::<Vec<_>>(), [0]);
    }
}
