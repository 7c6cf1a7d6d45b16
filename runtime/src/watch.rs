//! Watching a run from any place of its log on, whoever drives it.

mod cursor;
mod live;
mod order;
mod reader;
mod telling;

use std::sync::Arc;
use std::time::Duration;

use futures::Stream;
use superstep_engine::{ActivationId, Notice, Payload, QuestionId, Record};
use superstep_store::{Lane, RunName, Store, Told};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::programs::Programs;
use crate::runner::{RunEnd, RunError};

pub use cursor::{CursorError, CursorText, WatchCursor};
use live::{Live, Woken};
use order::{Known, Order, Unit};
use reader::Reader;
use telling::Telling;

/// Where a watch begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WatchFrom {
    /// After so many events. Of a run of several workers two readers may count otherwise.
    Offset(u64),
    /// With the first event of a superstep.
    Superstep(u64),
    /// Behind what was told to another one.
    Cursor(WatchCursor),
}

/// Something that the log of a run tells.
#[derive(Clone, Debug, PartialEq)]
pub struct Happened {
    /// How many events there were up to this one: a watch from this offset begins with the next. Where one process at
    /// a time drives the run, the log determines it, so it is the same for whoever watches, in every process.
    pub offset: u64,
    /// The superstep in which it happened.
    pub superstep: u64,
    /// What.
    pub what: Happening,
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Happening {
    /// A process has begun to drive the run.
    Taken {
        /// The how manieth, from 1.
        epoch: u64,
        /// Which, as it calls itself.
        owner: String,
    },
    /// An answer came from outside.
    Answered {
        /// To which question.
        question: QuestionId,
        /// What.
        answer: Payload,
    },
    /// Changes were asked for from outside. What becomes of them is told as [`Notice::Mutated`].
    Patched {
        /// The name of the patch.
        requester: String,
    },
    /// What follows from the records of the log.
    Notice(Notice),
}

/// What a watch sees.
#[derive(Clone, Debug, PartialEq)]
pub enum Seen {
    /// Something durable.
    Happened(Happened),
    /// A model has written on. It is not durable, is told only while a process drives the run that listens, and
    /// begins again if the run is resumed.
    Text {
        /// For which activation.
        activation: ActivationId,
        /// What came.
        text: String,
    },
    /// So many bytes of texts were dropped here, because they were not asked for in time.
    Missed {
        /// How many bytes.
        bytes: u64,
    },
    /// Whether a process drives the run, whenever that has changed and there is nothing else to tell.
    Driven(bool),
}

/// The reader on a thread that may block, and what it has read there.
type Reading = JoinHandle<(Reader, Result<Told<Record>, RunError>)>;

/// Tells what happened in a run from some place on, and goes on until the run ends: from one process that drives
/// it to the next, none of which waits for it.
///
/// The log is the source. Nothing is told that is not durable there, and every event is told once, in order, to
/// whoever watches from the place of the last one that he has seen ([`Watch::cursor`]). Only texts of models come from the process
/// that drives the run, see [`Run::listen`](crate::Run::listen); where that does not listen, the log is looked
/// at several times a second.
#[derive(Debug)]
pub struct Watch {
    telling: Telling,
    /// Away while it reads.
    reader: Option<Reader>,
    reading: Option<Reading>,
    /// When it was looked last whether the run is still the same.
    doubted: Instant,
    order: Order,
    /// The place behind what was told.
    place: WatchCursor,
    /// Where what is being told of stands.
    lane: Lane,
    /// Whether the log may hold more than was read.
    grown: bool,
    live: Live,
}

impl Watch {
    /// Watches a run of `store`. `programs` are needed to read the log, and may be unable to run.
    ///
    /// # Errors
    /// There is no such run, or the store cannot be read.
    pub fn new(
        store: &Store<Record>,
        run: &RunName,
        programs: impl Into<Arc<Programs>>,
        from: WatchFrom,
    ) -> Result<Self, RunError> {
        let place = match &from {
            WatchFrom::Cursor(cursor) => cursor.clone(),
            WatchFrom::Offset(_) | WatchFrom::Superstep(_) => WatchCursor::default(),
        };
        Ok(Self {
            telling: Telling::new(run, programs.into(), from),
            reader: Some(Reader::new(store, run)?),
            reading: None,
            doubted: Instant::now(),
            order: Order::behind(place.clone()),
            place,
            lane: Lane::Log,
            grown: true,
            live: Live::new(store, run),
        })
    }

    /// What comes next; none after the end of the run. Waiting for it may be given up and begun again.
    ///
    /// It must be called on a tokio runtime with IO and time enabled.
    ///
    /// # Errors
    /// The log cannot be read, or its records do not follow from each other; the run was removed, also if another one
    /// was begun under its name.
    pub async fn next(&mut self) -> Result<Option<Seen>, RunError> {
        loop {
            if let Some((number, last, happened)) = self.telling.next() {
                self.place.offset = happened.offset;
                self.place.pass(&self.lane, number, last);
                return Ok(Some(Seen::Happened(happened)));
            }
            if self.telling.end().is_some() {
                return Ok(None);
            }
            if let Some(unit) = self.order.next() {
                self.take_in(&unit)?;
            } else if self.grown {
                let told = self.read().await?;
                self.grown = !told.records.is_empty();
                if self.grown {
                    self.telling.begin(&told.records)?;
                }
                self.order.add(told);
            } else {
                match self.live.wait(self.telling.position()).await {
                    Woken::Grown => self.grown = true,
                    Woken::Seen(seen) => return Ok(Some(seen)),
                }
            }
        }
    }

    fn take_in(&mut self, unit: &Unit) -> Result<(), RunError> {
        self.telling.take_in(unit)?;
        (self.place.kept_from, self.place.of) = (self.telling.kept_from(), self.telling.identity());
        if self.telling.has_next() {
            self.lane = unit.lane.clone();
        } else if unit.known != Known::Whole {
            // What tells nothing is passed with what was told before it.
            self.place.pass(&unit.lane, 0, true);
        }
        Ok(())
    }

    /// The place behind what was told last: another watch goes on there, with [`WatchFrom::Cursor`].
    #[must_use]
    pub fn cursor(&self) -> &WatchCursor {
        &self.place
    }

    /// What is seen, as a stream that ends with the run.
    pub fn into_stream(self) -> impl Stream<Item = Result<Seen, RunError>> + Send {
        let next = |mut watch: Self| async move { Ok(watch.next().await?.map(|seen| (seen, watch))) };
        futures::stream::try_unfold(self, next)
    }

    /// How the run ended, once that was told.
    pub fn end(&self) -> Option<RunEnd> {
        self.telling.end()
    }

    /// Reads on in the log, on a thread that may block.
    async fn read(&mut self) -> Result<Told<Record>, RunError> {
        if self.reading.is_none() {
            let doubts = self.doubted.elapsed() >= DOUBTS;
            if doubts {
                self.doubted = Instant::now();
            }
            let mut reader = self.reader.take().expect("it is away only while it reads");
            self.reading = Some(tokio::task::spawn_blocking(move || {
                let told = reader.read(doubts);
                (reader, told)
            }));
        }
        let reading = self.reading.as_mut().expect("it was just begun");
        let (reader, told) = reading.await.expect("reading a log does not panic");
        (self.reading, self.reader) = (None, Some(reader));
        told
    }
}

/// How often the log is looked at when nobody tells that it has grown.
const LOOKING: Duration = Duration::from_millis(150);
/// How often it is looked, while nothing comes, whether the run is still the same.
const DOUBTS: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests;
