//! The thread that commits: it takes whatever appends wait, gives each log one write and one sync, and then
//! tells those who wait.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{self, Receiver, Sender},
    },
    thread,
};

use super::{disk, disk::TailFile, lock::Lock};
use crate::{
    Ack, AppendError, Blobs, Digest, Position, RunName, StoreError,
    batch::{Batch, FLIGHT_BYTES},
    folder::{blobs_of, segment_path},
    frame::{self, Chain, Draft},
    segment,
};

/// A log goes on in a new segment when one has this many bytes.
const SEGMENT_BYTES: u64 = 16 << 20;

/// What the commit thread is asked.
#[derive(Debug)]
pub(super) enum Job {
    Attach { log: u64, tail: Box<Tail> },
    Append { log: u64, batch: Batch },
    Detach { log: u64, closed: Sender<()> },
}

/// The way to the commit thread, which ends with the last of its logs and the store.
#[derive(Debug)]
pub(super) struct Committer {
    jobs: Sender<Job>,
    logs: AtomicU64,
    commits: Arc<AtomicU64>,
}

impl Committer {
    pub(super) fn start() -> std::io::Result<Self> {
        let (jobs, inbox) = mpsc::channel();
        let commits = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&commits);
        thread::Builder::new().name("superstep-commit".into()).spawn(move || serve(&inbox, &counter))?;
        Ok(Self { jobs, logs: AtomicU64::new(0), commits })
    }

    /// Gives a log to the thread: its number there, and the way to send it jobs.
    pub(super) fn attach(&self, tail: Tail) -> Result<(u64, Sender<Job>), StoreError> {
        let log = self.logs.fetch_add(1, Ordering::Relaxed);
        let job = Job::Attach { log, tail: Box::new(tail) };
        self.jobs.send(job).map_err(|_| StoreError::CommitterGone)?;
        Ok((log, self.jobs.clone()))
    }

    /// How many syncs appends have cost.
    pub(super) fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }
}

fn serve(inbox: &Receiver<Job>, commits: &AtomicU64) {
    let mut logs = HashMap::new();
    let mut flight = Flight::default();
    while let Ok(job) = inbox.recv() {
        flight.board(job, &mut logs);
        while flight.bytes < FLIGHT_BYTES
            && let Ok(job) = inbox.try_recv()
        {
            flight.board(job, &mut logs);
        }
        flight.land(&mut logs, commits);
    }
}

/// The jobs that are done together.
#[derive(Default)]
struct Flight {
    bytes: usize,
    dirty: Vec<u64>,
    leaving: Vec<(u64, Sender<()>)>,
}

impl Flight {
    fn board(&mut self, job: Job, logs: &mut HashMap<u64, Tail>) {
        match job {
            Job::Attach { log, tail } => {
                logs.insert(log, *tail);
            }
            Job::Append { log, batch } => {
                // The handle detaches last, so its appends always find the log.
                let Some(tail) = logs.get_mut(&log) else { return };
                if tail.waiting.is_empty() {
                    self.dirty.push(log);
                }
                self.bytes += batch.encoded.size();
                tail.stage(batch);
            }
            Job::Detach { log, closed } => self.leaving.push((log, closed)),
        }
    }

    fn land(&mut self, logs: &mut HashMap<u64, Tail>, commits: &AtomicU64) {
        let mut each = |step: fn(&mut Tail)| {
            for log in &self.dirty {
                if let Some(tail) = logs.get_mut(log) {
                    step(tail);
                }
            }
        };
        each(Tail::write);
        each(Tail::sync);
        commits.fetch_add(self.dirty.len() as u64, Ordering::Relaxed);
        each(Tail::tell);
        self.bytes = 0;
        self.dirty.clear();
        for (log, closed) in self.leaving.drain(..) {
            if let Some(tail) = logs.remove(&log) {
                tail.close();
            }
            drop(closed);
        }
    }
}

/// The end of a log, where it grows.
#[derive(Debug)]
pub(super) struct Tail {
    pub(super) run: RunName,
    pub(super) folder: PathBuf,
    pub(super) file: TailFile,
    /// The number of the next record.
    pub(super) next: u64,
    pub(super) chain: Chain,
    pub(super) record_format: u16,
    pub(super) lock: Lock,
    draft: Draft,
    /// The blobs that the batches name which wait.
    blobs: Vec<(Digest, Vec<u8>)>,
    waiting: Vec<(Position, Ack)>,
    state: TailState,
}

/// How far the batches that wait have come.
#[derive(Debug)]
enum TailState {
    Sound,
    /// The batches that wait were begun; this stopped them.
    Failed(Arc<StoreError>),
    /// An earlier batch failed, so nothing may follow it.
    Broken(Arc<StoreError>),
}

/// What a tail is made of when its log is opened.
pub(super) struct Opening {
    pub(super) run: RunName,
    pub(super) folder: PathBuf,
    pub(super) file: TailFile,
    pub(super) next: u64,
    pub(super) chain: Chain,
    pub(super) record_format: u16,
    pub(super) lock: Lock,
}

/// Begins the segment of `folder` whose first record is `head.first`.
pub(super) fn begin_segment(folder: &std::path::Path, head: &segment::Head) -> Result<TailFile, StoreError> {
    let path = segment_path(folder, head.first);
    disk::write_whole(&path, &head.encode())?;
    TailFile::open(path, segment::HEAD as u64, true)
}

impl Tail {
    pub(super) fn new(opening: Opening) -> Self {
        let Opening { run, folder, file, next, chain, record_format, lock } = opening;
        let (draft, blobs, waiting, state) = (Draft::new(), Vec::new(), Vec::new(), TailState::Sound);
        Self { run, folder, file, next, chain, record_format, lock, draft, blobs, waiting, state }
    }

    fn stage(&mut self, batch: Batch) {
        self.draft.push(&batch.encoded.records, batch.records);
        self.blobs.extend(batch.encoded.blobs);
        if batch.seals {
            self.draft.seal();
        }
        self.waiting.push((batch.position, batch.ack));
    }

    fn write(&mut self) {
        if matches!(self.state, TailState::Sound)
            && let Err(error) = self.try_write()
        {
            self.fail(error);
        }
        self.draft.clear();
        self.blobs.clear();
    }

    fn try_write(&mut self) -> Result<(), StoreError> {
        // A blob is durable before a record names it.
        for (_, bytes) in self.blobs.drain(..) {
            Blobs::folder(blobs_of(&self.folder)).put(&bytes)?;
        }
        if self.file.end() >= SEGMENT_BYTES {
            self.file.trim()?;
            let head =
                segment::Head { record_format: self.record_format, first: self.next, chain: self.chain };
            self.file = begin_segment(&self.folder, &head)?;
        }
        let start = frame::start_after(self.file.end());
        let records = self.draft.records();
        self.file.write(start, self.draft.finish(start, &mut self.chain))?;
        self.next += u64::from(records);
        Ok(())
    }

    fn sync(&mut self) {
        if matches!(self.state, TailState::Sound)
            && let Err(error) = self.file.sync()
        {
            self.fail(error);
        }
    }

    fn fail(&mut self, error: StoreError) {
        tracing::error!(run = %self.run, %error, "the log cannot be written");
        self.state = TailState::Failed(Arc::new(error));
    }

    fn tell(&mut self) {
        let run = || self.run.clone();
        for (position, ack) in self.waiting.drain(..) {
            ack.settle(match &self.state {
                TailState::Sound => Ok(position),
                TailState::Failed(why) => Err(AppendError::Unknown { run: run(), why: Arc::clone(why) }),
                TailState::Broken(why) => Err(AppendError::Refused { run: run(), why: Arc::clone(why) }),
            });
        }
        if let TailState::Failed(why) = &self.state {
            self.state = TailState::Broken(Arc::clone(why));
        }
    }

    fn close(mut self) {
        // A log that failed is left as it lies: the next one who opens it judges what is there.
        if matches!(self.state, TailState::Sound)
            && let Err(error) = self.file.trim()
        {
            tracing::warn!(run = %self.run, %error, "the log keeps what was allocated ahead");
        }
        self.lock.release();
    }
}
