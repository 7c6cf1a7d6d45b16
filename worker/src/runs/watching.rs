//! What happens in a run, told to whoever watches.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::{BoxStream, try_unfold};
use futures::{Stream, StreamExt as _};
use superstep_proto::v1;
use superstep_runtime::{Seen, Watch, WatchCursor, WatchFrom, read_run};
use superstep_store::RunName;
use tokio::time::timeout;
use tonic::Status;

use super::written::{self, Written};
use super::{RunsService, status_of};
use crate::blocking::blocking;
use crate::with_causes;

/// How long the texts are waited for that are still on the way when the log has ended.
const LAST_TEXTS: Duration = Duration::from_millis(100);

/// Events as they go out.
pub(super) type Events = Pin<Box<dyn Stream<Item = Result<v1::Event, Status>> + Send>>;

/// The events of a run behind a cursor. Every worker tells the same, for the log is the source; the texts of models
/// come from the worker that leads the run.
pub(super) async fn watch(
    service: &RunsService,
    run: RunName,
    request: v1::WatchRequest,
) -> Result<Events, Status> {
    if request.only_texts {
        return Ok(written::here(service, &run).await?.map(Ok).boxed());
    }
    let cursor = WatchCursor::decode(&run, &request.cursor);
    let from = WatchFrom::Cursor(cursor.map_err(|error| Status::invalid_argument(with_causes(&error)))?);
    let (store, provisions, name) = (service.store.clone(), Arc::clone(&service.provisions), run.clone());
    let watch = blocking(move || {
        let (started, _) = read_run(&store, &name).map_err(|error| status_of(&error))?;
        let programs = provisions
            .not_loaded(&name, &started)
            .map_err(|error| Status::failed_precondition(with_causes(&*error)))?;
        Watch::new(&store, &name, programs, from).map_err(|error| status_of(&error))
    })
    .await?;
    let texts = request.texts.then(|| Written::new(service.clone(), run.clone()).into_stream());
    let telling = Telling { run, watch, texts };
    Ok(try_unfold(
        telling,
        |mut telling| async move { Ok(telling.next().await?.map(|event| (event, telling))) },
    )
    .boxed())
}

/// What one who watches is told.
struct Telling {
    run: RunName,
    watch: Watch,
    /// What models write, if he wants to hear it.
    texts: Option<BoxStream<'static, v1::Event>>,
}

impl Telling {
    /// What comes next; none after the end of the run.
    async fn next(&mut self) -> Result<Option<v1::Event>, Status> {
        loop {
            let seen = tokio::select! {
                seen = self.watch.next() => seen.map_err(|error| status_of(&error))?,
                text = next_of(self.texts.as_mut()) => return Ok(Some(text)),
            };
            let Some(seen) = seen else { return Ok(self.last_text().await) };
            if let Some(event) = superstep_wire::event(&seen) {
                return Ok(Some(self.with_cursor(event, &seen)));
            }
        }
    }

    /// A text that was on its way when the log ended.
    async fn last_text(&mut self) -> Option<v1::Event> {
        let texts = self.texts.as_mut()?;
        timeout(LAST_TEXTS, texts.next()).await.ok().flatten()
    }

    fn with_cursor(&self, event: v1::Event, seen: &Seen) -> v1::Event {
        match seen {
            Seen::Happened(_) => v1::Event { cursor: self.watch.cursor().encode(&self.run).into(), ..event },
            Seen::Text { .. } | Seen::Missed { .. } | Seen::Driven(_) => event,
        }
    }
}

/// The next text; never, if there is none.
async fn next_of(texts: Option<&mut BoxStream<'static, v1::Event>>) -> v1::Event {
    if let Some(texts) = texts
        && let Some(text) = texts.next().await
    {
        return text;
    }
    std::future::pending().await
}
