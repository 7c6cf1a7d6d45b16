//! What the models of a run write, had from the worker that leads the run, whichever is asked.

use std::future::ready;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::{BoxStream, unfold};
use superstep_proto::v1;
use superstep_runtime::{RunEvent, Seen};
use superstep_store::RunName;
use tonic::{Request, Status};

use super::{HANDED_ON, RunsService};
use crate::leader::Ask;

/// How long one who does not lead the run, or cannot be reached, is left alone.
const PAUSE: Duration = Duration::from_millis(500);

/// The texts of a run that this worker leads, from now on.
pub(super) async fn here(
    service: &RunsService,
    run: &RunName,
) -> Result<BoxStream<'static, v1::Event>, Status> {
    let leader = service.leader().ok_or_else(|| Status::unavailable("this worker does not lead"))?;
    let texts = service.ask(&leader, run, Ask::Texts).await;
    let texts = texts.ok_or_else(|| Status::unavailable("the run is not led here"))?;
    let event = |told| async move {
        let seen = match told {
            RunEvent::Text { activation, text } => Seen::Text { activation, text },
            RunEvent::Missed { bytes, .. } => Seen::Missed { bytes },
            // The log tells it.
            RunEvent::Notice(_) => return None,
        };
        superstep_wire::event(&seen)
    };
    Ok(texts.filter_map(event).boxed())
}

/// The texts of a run, from one leader to the next. None of them is durable: what is written while nobody can be
/// reached is not heard.
pub(super) struct Written {
    service: RunsService,
    run: RunName,
    /// Whether somebody was asked before.
    asked: bool,
}

impl Written {
    pub(super) fn new(service: RunsService, run: RunName) -> Self {
        Self { service, run, asked: false }
    }

    /// As a stream that does not end.
    pub(super) fn into_stream(self) -> BoxStream<'static, v1::Event> {
        let next = |mut written: Self| async move { Some((written.attach().await, written)) };
        unfold(self, next).flatten().boxed()
    }

    /// What one leader tells, as long as it does.
    async fn attach(&mut self) -> BoxStream<'static, v1::Event> {
        loop {
            if std::mem::replace(&mut self.asked, true) {
                tokio::time::sleep(PAUSE).await;
            }
            let texts = if self.service.leader().is_some() {
                here(&self.service, &self.run).await
            } else {
                self.there().await
            };
            match texts {
                Ok(texts) => return texts,
                Err(status) => tracing::debug!(run = %self.run, %status, "nobody tells what models write"),
            }
        }
    }

    async fn there(&self) -> Result<BoxStream<'static, v1::Event>, Status> {
        let mut client = self.service.client_of_leader()?;
        let (run, texts, only_texts) = (self.run.to_string(), true, true);
        let mut request =
            Request::new(v1::WatchRequest { run, texts, only_texts, ..v1::WatchRequest::default() });
        request.metadata_mut().insert(HANDED_ON, tonic::metadata::MetadataValue::from_static("1"));
        let events = client.watch(request).await?.into_inner();
        // It breaks with the leader, and another one is asked.
        Ok(events.take_while(|event| ready(event.is_ok())).filter_map(|event| ready(event.ok())).boxed())
    }
}
