//! Watching a run of a cluster, from one worker to the next.

use std::ops::ControlFlow;
use std::time::Duration;

use superstep_proto::v1;
use superstep_proto::v1::runs_client::RunsClient;
use superstep_runtime::{CursorText, RunEnd, Seen};
use tonic::transport::Channel;
use tonic::{Status, Streaming};

use super::{Remote, Tries, may_pass};
use crate::exit::CommandError;
use crate::log;

/// How long one who watches waits for anybody to answer.
const PATIENCE: Duration = Duration::from_secs(300);

/// How a stream of events has ended.
enum Broken {
    /// There are no more, as far as the worker knows.
    Ended,
    /// Whoever watches has seen enough.
    Enough,
    /// The worker is gone, or cannot go on.
    Away(Status),
}

impl Remote {
    /// Lets `see` what happens in a run, with the place behind it where there is one, until the run ends; no end if
    /// `see` has seen enough. When the stream breaks it is taken up where it was, at whatever worker answers.
    ///
    /// # Errors
    /// Nobody answers for long, the cluster refuses, or `see` fails.
    pub(super) async fn follow(
        &mut self,
        mut watched: v1::WatchRequest,
        mut see: impl FnMut(&Seen, Option<&CursorText>) -> Result<ControlFlow<()>, CommandError>,
    ) -> Result<Option<RunEnd>, CommandError> {
        let mut tries = Tries::during(PATIENCE);
        loop {
            let request = watched.clone();
            let watch = async |mut client: RunsClient<Channel>| client.watch(request.clone()).await;
            let events = self.ask_for(&mut tries, watch).await?.into_inner();
            self.learn().await;
            match self.hear(events, &mut watched, &mut tries, &mut see).await? {
                Broken::Enough => return Ok(None),
                Broken::Ended => {
                    if let Some(end) = self.end(&watched.run).await? {
                        return Ok(Some(end));
                    }
                }
                Broken::Away(status) => {
                    let (url, why) = (self.place().url.clone(), status.message().to_owned());
                    let tell = || log::say(&format!("the worker at {url} is lost, and is looked for: {why}"));
                    if !tries.pause(tell).await {
                        return Err(self.error(status).into());
                    }
                    self.turn();
                }
            }
        }
    }

    /// Lets `see` what comes, as long as it does.
    async fn hear(
        &self,
        mut events: Streaming<v1::Event>,
        watched: &mut v1::WatchRequest,
        tries: &mut Tries,
        see: &mut impl FnMut(&Seen, Option<&CursorText>) -> Result<ControlFlow<()>, CommandError>,
    ) -> Result<Broken, CommandError> {
        loop {
            match events.message().await {
                Ok(Some(event)) => {
                    tries.begin_anew();
                    let cursor = Some(event.cursor.clone()).filter(|cursor| !cursor.is_empty());
                    let seen = superstep_wire::seen_of(event).map_err(|source| self.strange(source))?;
                    let place = cursor.as_ref().map(|cursor| CursorText(cursor.to_vec()));
                    if see(&seen, place.as_ref())?.is_break() {
                        return Ok(Broken::Enough);
                    }
                    watched.cursor = cursor.unwrap_or_else(|| std::mem::take(&mut watched.cursor));
                }
                Ok(None) => return Ok(Broken::Ended),
                Err(status) if may_pass(&status) => return Ok(Broken::Away(status)),
                Err(status) => return Err(self.error(status).into()),
            }
        }
    }
}
