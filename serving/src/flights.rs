//! All work that is on its way, and the answers of what has a key.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures::future::join_all;
use superstep_engine::Failure;
use superstep_runtime::{Model, ModelAnswer, ModelRequest, OnText};
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::watch::{Receiver, Sender};

use crate::counts::Counts;
use crate::flight::Progress;
use crate::gate::{Full, Gate, Ticket};

/// The most answers that are kept for those who ask again.
const MOST_KEPT: usize = 1024;
/// The most bytes of them.
const MOST_BYTES: usize = 32 << 20;
/// So long a flight with a key goes on without listeners, if nobody wants its place: who lost the connection may be
/// about to ask again.
const LINGER: Duration = Duration::from_secs(30);

/// What a request is known by when it comes again: its key, and all that decides the answer.
pub(crate) type FlightKey = [u8; 32];

/// What the model is asked, once for each answer.
pub(crate) struct Order {
    pub(crate) model: Arc<dyn Model>,
    pub(crate) requests: Vec<ModelRequest>,
    /// The room that it takes, given back at its end.
    pub(crate) room: OwnedSemaphorePermit,
}

/// All work that is on its way.
pub(crate) struct Flights {
    gate: Arc<Gate>,
    counts: Arc<Counts>,
    known: Mutex<Known>,
    /// Told of failures that may pass: the model may have died.
    doubt: Box<dyn Fn() + Send + Sync>,
}

/// Flights with a key.
#[derive(Default)]
struct Known {
    flights: HashMap<FlightKey, Arc<Sender<Progress>>>,
    /// Those that have ended, the oldest first, with their bytes.
    ended: VecDeque<(FlightKey, usize)>,
    bytes: usize,
}

impl Flights {
    pub(crate) fn new(gate: Arc<Gate>, counts: Arc<Counts>, doubt: Box<dyn Fn() + Send + Sync>) -> Self {
        Self { gate, counts, known: Mutex::default(), doubt }
    }

    /// Boards the flight that is known by `key`, or begins one. What it gives is a listener: without any, the
    /// flight ends.
    ///
    /// # Errors
    /// As many wait as may.
    pub(crate) fn board(
        self: &Arc<Self>,
        key: Option<FlightKey>,
        order: Order,
    ) -> Result<Receiver<Progress>, Full> {
        let mut known = self.known();
        if let Some(flight) = key.and_then(|key| known.flights.get(&key)) {
            self.counts.joined.add(1);
            return Ok(flight.subscribe());
        }
        let tickets = order.requests.iter().map(|_| self.gate.admit()).collect::<Result<Vec<_>, Full>>();
        let tickets = tickets.inspect_err(|_| self.counts.turned_away.add(1))?;
        let (sender, receiver) = tokio::sync::watch::channel(Progress::new(tickets.len()));
        let sender = Arc::new(sender);
        if let Some(key) = key {
            known.flights.insert(key, Arc::clone(&sender));
        }
        drop(known);
        tokio::spawn(Arc::clone(self).fly(key, sender, order, tickets));
        Ok(receiver)
    }

    async fn fly(
        self: Arc<Self>,
        key: Option<FlightKey>,
        sender: Arc<Sender<Progress>>,
        order: Order,
        tickets: Vec<Ticket>,
    ) {
        // Whatever happens in a model, nobody boards what will never land.
        let mut landing = Landing { flights: &self, key, sender: Arc::clone(&sender), has_landed: false };
        let Order { model, requests, room: _room } = order;
        let answers = tickets.into_iter().zip(requests).enumerate();
        let answers = answers.map(|(number, (ticket, request))| {
            let (sender, model) = (Arc::clone(&sender), Arc::clone(&model));
            self.write(Answer { number, sender, model, let_in: Instant::now() }, ticket, request)
        });
        tokio::select! {
            _ = join_all(answers) => landing.has_landed = true,
            () = self.is_abandoned(key, &sender) => self.counts.abandoned.add(1),
        }
    }

    async fn write(&self, answer: Answer, ticket: Ticket, request: ModelRequest) {
        let place = ticket.place().await;
        self.counts.generations.add(1);
        let listener = answer.listener(Arc::clone(&self.counts));
        let outcome = answer.model.generate(request, Some(listener)).await;
        drop(place);
        self.note(&outcome, answer.let_in);
        answer.sender.send_modify(|progress| progress.choices[answer.number].ended = Some(outcome));
    }

    fn note(&self, outcome: &Result<ModelAnswer, Failure>, let_in: Instant) {
        match outcome {
            Ok(answer) => {
                self.counts.prompt_tokens.add(answer.usage.prompt_tokens);
                self.counts.completion_tokens.add(answer.usage.completion_tokens);
                self.counts.whole_answer.note(let_in.elapsed());
            }
            Err(failure) => self.doubt(failure),
        }
    }

    /// Tells of a failure of the model. One that may pass puts it in doubt.
    pub(crate) fn doubt(&self, failure: &Failure) {
        tracing::warn!(%failure, "the model has not answered");
        if failure.class.is_retryable() {
            (self.doubt)();
        }
    }

    /// Waits until the flight is of no use to anybody. Nobody boards it from then on.
    async fn is_abandoned(&self, key: Option<FlightKey>, sender: &Sender<Progress>) {
        loop {
            sender.closed().await;
            let Some(key) = key else { return };
            tokio::select! {
                () = self.gate.is_wanted() => {}
                () = tokio::time::sleep(LINGER) => {}
            }
            let mut known = self.known();
            if sender.receiver_count() == 0 {
                known.flights.remove(&key);
                return;
            }
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One answer that is written.
struct Answer {
    number: usize,
    sender: Arc<Sender<Progress>>,
    model: Arc<dyn Model>,
    let_in: Instant,
}

impl Answer {
    fn listener(&self, counts: Arc<Counts>) -> OnText {
        let (sender, number, let_in) = (Arc::clone(&self.sender), self.number, self.let_in);
        Arc::new(move |text| {
            sender.send_modify(|progress| {
                let written = &mut progress.choices[number].text;
                if written.is_empty() {
                    counts.first_text.note(let_in.elapsed());
                }
                written.push_str(text);
            });
        })
    }
}

/// The end of a flight, however it comes about.
struct Landing<'a> {
    flights: &'a Flights,
    key: Option<FlightKey>,
    sender: Arc<Sender<Progress>>,
    has_landed: bool,
}

impl Drop for Landing<'_> {
    fn drop(&mut self) {
        let Some(key) = self.key else { return };
        let (failed, bytes) = {
            let progress = self.sender.borrow();
            (progress.failure().is_some(), progress.bytes())
        };
        let mut known = self.flights.known();
        // Another may be known by the key since this one was abandoned.
        let is_this = known.flights.get(&key).is_some_and(|flight| Arc::ptr_eq(flight, &self.sender));
        match (is_this, self.has_landed && !failed) {
            (true, true) => known.keep(key, bytes),
            // What has failed may be tried again.
            (true, false) => drop(known.flights.remove(&key)),
            (false, _) => {}
        }
    }
}

impl Known {
    fn keep(&mut self, key: FlightKey, bytes: usize) {
        self.ended.push_back((key, bytes));
        self.bytes += bytes;
        while self.ended.len() > MOST_KEPT || self.bytes > MOST_BYTES {
            let Some((oldest, bytes)) = self.ended.pop_front() else { break };
            self.flights.remove(&oldest);
            self.bytes -= bytes;
        }
    }
}
