//! What the log of a run tells, with the time at which it was seen there.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::{Duration, Instant};

use superstep_engine::Record;
use superstep_store::{Follower, Position, RunName, Store};

/// How often the log is looked at.
const LOOKS: Duration = Duration::from_millis(25);

/// A thread that reads on in the log of a run.
pub struct Progress {
    seen: Arc<Mutex<Vec<(Instant, Step)>>>,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// What moves a run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A term has begun.
    Term,
    /// A call has ended, and how is durable.
    Called,
    /// A superstep is durable.
    Committed,
    /// The run has ended.
    Ended,
}

impl Progress {
    /// Reads on until it is dropped.
    pub fn follow(store: &Store<Record>, run: &RunName) -> Self {
        let (seen, over) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (store, run) = (store.clone(), run.clone());
        let (into, stops) = (Arc::clone(&seen), Arc::clone(&over));
        let thread = spawn(move || {
            let mut follower: Option<Follower<Record>> = None;
            while !stops.load(Ordering::Relaxed) {
                sleep(LOOKS);
                // A store that is away, or a run that has not begun, is asked for again.
                let records = match &mut follower {
                    Some(follower) => follower.read().unwrap_or_default(),
                    None => {
                        follower = store.follow(&run, Position(0)).ok();
                        continue;
                    }
                };
                let now = Instant::now();
                let steps = records.iter().filter_map(step).map(|step| (now, step));
                into.lock().unwrap_or_else(PoisonError::into_inner).extend(steps);
            }
        });
        Self { seen, over, thread: Some(thread) }
    }

    /// When each step was seen that `wanted` wants.
    pub fn times(&self, wanted: impl Fn(Step) -> bool) -> Vec<Instant> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.iter().filter(|(_, step)| wanted(*step)).map(|(at, _)| *at).collect()
    }

    /// Waits until the end of the run was read, for two minutes at most.
    pub fn finish(&self) {
        for _ in 0..4_800 {
            if !self.times(|step| step == Step::Ended).is_empty() {
                return;
            }
            sleep(LOOKS);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            eprintln!("the thread that reads a log has panicked");
        }
    }
}

fn step(record: &Record) -> Option<Step> {
    match record {
        Record::EpochTaken { .. } => Some(Step::Term),
        Record::CallEnded { .. } => Some(Step::Called),
        Record::Committed(_) => Some(Step::Committed),
        Record::Ended(_) => Some(Step::Ended),
        Record::RunStarted(_)
        | Record::CallIntent { .. }
        | Record::AttemptFailed { .. }
        | Record::Suspended { .. }
        | Record::Answered { .. }
        | Record::Patched(_)
        | Record::Known(_)
        | Record::Measured(_)
        | Record::Forked { .. }
        | Record::Continued(_)
        | Record::Placed(_)
        | Record::Compacted(_)
        | Record::Told(_)
        | Record::RunSuspended(_) => None,
    }
}
