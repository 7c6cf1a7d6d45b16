//! The part of a watch that the process which drives the run has to tell.

use std::time::Duration;

use superstep_engine::Record;
use superstep_store::{RunName, Store};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::{LOOKING, Seen};
use crate::control::{Connection, Reply, Request};

/// A driver that listens says when the log has grown; this is in case it does not.
const DOUBTING: Duration = Duration::from_secs(2);

/// Why a watch goes on.
#[expect(clippy::large_enum_variant, reason = "there is one at a time")]
pub(super) enum Woken {
    /// The log may have grown.
    Grown,
    /// Something is told.
    Seen(Seen),
}

#[derive(Debug)]
pub(super) struct Live {
    store: Store<Record>,
    run: RunName,
    connection: Option<Connection>,
    /// What was told last of whether the run is driven.
    driven: Option<bool>,
    /// Whether the log was looked at since it was found that nobody drives the run.
    looked: bool,
    /// When the log is looked at again that nobody speaks of. Who waits may be called away and come back, many times.
    looks: Option<Instant>,
}

impl Live {
    pub(super) fn new(store: &Store<Record>, run: &RunName) -> Self {
        let (store, run) = (store.clone(), run.clone());
        Self { store, run, connection: None, driven: None, looked: false, looks: None }
    }

    /// Waits until something is to be told, or the log, of which `known` records are known, may have grown.
    pub(super) async fn wait(&mut self, known: u64) -> Woken {
        match &mut self.connection {
            Some(connection) => match timeout(DOUBTING, connection.next()).await {
                Err(_) | Ok(Ok(Some(Reply::Durable { .. }))) => Woken::Grown,
                Ok(Ok(Some(Reply::Text { activation, text }))) => {
                    Woken::Seen(Seen::Text { activation, text })
                }
                Ok(Ok(Some(Reply::Missed { bytes }))) => Woken::Seen(Seen::Missed { bytes }),
                Ok(Ok(Some(Reply::State(_) | Reply::Recorded | Reply::Ended { .. } | Reply::Refused(_)))) => {
                    self.give_up("it was asked to be watched and replied to something else").await
                }
                Ok(Err(error)) => self.give_up(&error.to_string()).await,
                Ok(Ok(None)) => {
                    self.connection = None;
                    Woken::Grown
                }
            },
            None => self.look_for_driver(known).await,
        }
    }

    /// One who does not speak as he should is not heard, and the log is looked at from time to time.
    async fn give_up(&mut self, why: &str) -> Woken {
        tracing::debug!(run = %self.run, why, "whoever drives the run is not understood");
        self.connection = None;
        sleep(LOOKING).await;
        Woken::Grown
    }

    async fn look_for_driver(&mut self, known: u64) -> Woken {
        if let Some(due) = self.looks {
            sleep_until(due).await;
            self.looks = None;
            return Woken::Grown;
        }
        self.connection = Connection::open(&self.store, &self.run, &Request::Watch { from: known }).await;
        let driven = self.connection.is_some() || self.has_driver();
        // What it wrote last before it went away comes first.
        if !driven && !std::mem::replace(&mut self.looked, true) {
            return Woken::Grown;
        }
        self.looked &= !driven;
        if self.driven.replace(driven) != Some(driven) {
            return Woken::Seen(Seen::Driven(driven));
        }
        if self.connection.is_none() {
            let due = *self.looks.insert(Instant::now() + LOOKING);
            sleep_until(due).await;
            self.looks = None;
        }
        Woken::Grown
    }

    fn has_driver(&self) -> bool {
        self.store.is_open(&self.run).unwrap_or_else(|error| {
            tracing::debug!(run = %self.run, %error, "whether anybody drives the run is not known");
            false
        })
    }
}
