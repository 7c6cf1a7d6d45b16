//! How many requests are worked on, and how many may wait.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// The longest time after which a refused request is told to come again.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Lets as many requests to the model as it works on at the same time, in the order in which they came.
pub(crate) struct Gate {
    places: Arc<Semaphore>,
    all: usize,
    /// The most that wait.
    queue: usize,
    waiting: watch::Sender<usize>,
    /// How long a place is held, about.
    held: Mutex<Option<Duration>>,
}

/// As many wait as may. Another request may be let in after this time.
#[derive(Debug)]
pub(crate) struct Full(pub(crate) Duration);

/// A request that was let in.
pub(crate) enum Ticket {
    /// It has its place.
    Placed(Place),
    /// It waits for one.
    Queued(Waiting),
}

/// Counts one request that waits.
pub(crate) struct Waiting(Arc<Gate>);

/// A request that is worked on. Dropping it makes room for the next.
pub(crate) struct Place {
    gate: Arc<Gate>,
    since: Instant,
    _permit: OwnedSemaphorePermit,
}

impl Gate {
    /// A gate to `places` places, before which `queue` requests may wait.
    pub(crate) fn new(places: usize, queue: usize) -> Self {
        Self {
            places: Arc::new(Semaphore::new(places)),
            all: places,
            queue,
            waiting: watch::Sender::new(0),
            held: Mutex::new(None),
        }
    }

    /// Lets one request in.
    pub(crate) fn admit(self: &Arc<Self>) -> Result<Ticket, Full> {
        // The semaphore is fair: it gives nothing away while somebody waits.
        if let Ok(permit) = Arc::clone(&self.places).try_acquire_owned() {
            return Ok(Ticket::Placed(Place::new(self, permit)));
        }
        let has_room = self.waiting.send_if_modified(|waiting| {
            let has_room = *waiting < self.queue;
            *waiting += usize::from(has_room);
            has_room
        });
        if has_room { Ok(Ticket::Queued(Waiting(Arc::clone(self)))) } else { Err(Full(self.pause())) }
    }

    /// Requests that wait.
    pub(crate) fn waiting(&self) -> usize {
        *self.waiting.borrow()
    }

    /// Requests that are worked on.
    pub(crate) fn running(&self) -> usize {
        self.all - self.places.available_permits()
    }

    /// The requests that can be worked on at the same time.
    pub(crate) fn places(&self) -> usize {
        self.all
    }

    /// Waits until somebody waits for a place.
    pub(crate) async fn is_wanted(&self) {
        let mut waiting = self.waiting.subscribe();
        // The sender lives as long as the gate, so this cannot fail.
        let _waiting = waiting.wait_for(|waiting| *waiting > 0).await;
    }

    /// How long it takes until the queue has moved on by one.
    #[expect(clippy::cast_precision_loss, reason = "no queue is as long as that")]
    fn pause(&self) -> Duration {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner).unwrap_or_default();
        held.div_f64(self.all.max(1) as f64).clamp(Duration::from_secs(1), LONGEST_PAUSE)
    }

    fn note(&self, time: Duration) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        *held = Some(held.map_or(time, |held| (held * 7 + time) / 8));
    }
}

impl Ticket {
    /// Waits for a place. Dropping the future gives the ticket back.
    pub(crate) async fn place(self) -> Place {
        match self {
            Self::Placed(place) => place,
            Self::Queued(waiting) => {
                let places = Arc::clone(&waiting.0.places);
                let permit = places.acquire_owned().await.expect("nobody closes the semaphore");
                Place::new(&waiting.0, permit)
            }
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.waiting.send_modify(|waiting| *waiting -= 1);
    }
}

impl Place {
    fn new(gate: &Arc<Gate>, permit: OwnedSemaphorePermit) -> Self {
        Self { gate: Arc::clone(gate), since: Instant::now(), _permit: permit }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.gate.note(self.since.elapsed());
    }
}
