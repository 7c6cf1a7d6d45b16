//! Results that are on their way.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use superstep_store::Digest;
use tokio::sync::watch;

/// Who works at what. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Flights(Arc<Mutex<HashMap<Digest, watch::Receiver<()>>>>);

/// What to do about a result.
pub(super) enum Part {
    /// To work, holding this until the result is kept, or there is none.
    Lead(Leading),
    /// To wait for who works.
    Follow(Waiting),
}

/// Held by who works; others go on when it is dropped.
pub(super) struct Leading {
    flights: Flights,
    key: Digest,
    _told: watch::Sender<()>,
}

/// Waits for who works.
pub(super) struct Waiting(watch::Receiver<()>);

impl Flights {
    /// The part of one more who wants the result of `key`.
    pub(super) fn join(&self, key: Digest) -> Part {
        let mut flights = self.lock();
        if let Some(told) = flights.get(&key) {
            return Part::Follow(Waiting(told.clone()));
        }
        let (told, telling) = watch::channel(());
        flights.insert(key, telling);
        Part::Lead(Leading { flights: self.clone(), key, _told: told })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Digest, watch::Receiver<()>>> {
        // Every change is one call on the map, so a panic elsewhere leaves it whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    /// Comes back when who works has ended.
    pub(super) async fn end(mut self) {
        // Nothing is ever sent: that the sender is gone is the message.
        while self.0.changed().await.is_ok() {}
    }
}

impl Drop for Leading {
    fn drop(&mut self) {
        self.flights.lock().remove(&self.key);
    }
}
