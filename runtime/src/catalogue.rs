//! The runs of a store, with what each came to, without reading every log.
//!
//! A log is the only truth of its run. Beside it lies a note of what it says in short, with the length and
//! the time of the log that it speaks of; a note that is missing, or speaks of another log, is made again from
//! the log. An index has the notes of all runs that have ended.

mod index;

use std::cmp::Reverse;
use std::fmt;
use std::num::NonZero;
use std::thread;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use superstep_engine::{Record, RunStarted, RunStatus, Usage};
use superstep_store::{RunEntry, RunName, Store, StoreError};

use self::index::{Index, Learnt};
use crate::runner::{RunEnd, RunError, read_run};

/// How far a run has come.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum RunPhase {
    /// It has not ended: it is at work somewhere, or can be resumed.
    Unfinished,
    /// It has ended.
    Ended(RunStatus),
    /// Its log cannot be read; why.
    Unreadable(String),
}

/// Where a run comes from, if it does not begin on its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Origin {
    /// From what another run had committed before a superstep.
    Forked {
        /// The other run.
        run: String,
        /// The superstep.
        superstep: u64,
    },
    /// From the values that another run has left.
    Continues(String),
}

impl Origin {
    /// What the records of a run say of it. A fork of a run that continues another is a fork.
    pub fn of(records: &[Record]) -> Option<Self> {
        let mut origin = None;
        for record in records {
            match record {
                Record::Forked { run, superstep } => {
                    origin = Some(Self::Forked { run: run.clone(), superstep: *superstep });
                }
                Record::Continued(carried) => origin = Some(Self::Continues(carried.run.clone())),
                Record::RunStarted(_) | Record::Known(_) | Record::Placed(_) | Record::Compacted(_) => {}
                // It stands before everything else.
                Record::EpochTaken { .. }
                | Record::CallIntent { .. }
                | Record::CallEnded { .. }
                | Record::AttemptFailed { .. }
                | Record::Suspended { .. }
                | Record::Answered { .. }
                | Record::Patched(_)
                | Record::Committed(_)
                | Record::Measured(_)
                | Record::Ended(_)
                | Record::Told(_)
                | Record::RunSuspended(_) => break,
            }
        }
        origin
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Forked { run, superstep } => write!(f, "fork of {run} at superstep {superstep}"),
            Self::Continues(run) => write!(f, "continues {run}"),
        }
    }
}

/// A run in short.
#[derive(Clone, Debug, PartialEq)]
pub struct RunSummary {
    /// Its name.
    pub name: RunName,
    /// The name of its graph; empty if its log cannot be read.
    pub graph: String,
    /// Where it comes from, if it does not begin on its own.
    pub origin: Option<Origin>,
    /// How far it has come.
    pub phase: RunPhase,
    /// Whether a process drives it at this instant. A store in memory does not know, and says no.
    pub driven: bool,
    /// Whether it has ended on workers and whoever led it has not noted that with [`note_end`], as far as notes tell: he may
    /// not have lived to do what follows an end. A store in memory does not know, and says no.
    pub left: bool,
    /// When it was started, in seconds since 1970.
    pub started_at: u64,
    /// Supersteps committed.
    pub supersteps: u64,
    /// What its calls used that have ended.
    pub usage: Usage,
    /// The bytes that its log takes.
    pub bytes: u64,
    /// When something was last appended to its log.
    pub modified: SystemTime,
}

/// What is noted beside a log.
#[derive(Clone, Serialize, Deserialize)]
struct Note {
    /// Raised when a field changes, so that older notes are made again.
    format: u32,
    /// The length of the log.
    bytes: u64,
    /// The time of the log, since 1970.
    modified: Duration,
    graph: String,
    origin: Option<Origin>,
    phase: RunPhase,
    started_at: u64,
    supersteps: u64,
    usage: Usage,
    /// Whether the run has ended on workers and the one who led it has not noted that: what follows an end may not be done.
    #[serde(default)]
    left: bool,
}

const FORMAT: u32 = 2;

/// A log that was written to so lately may be written to again without a change of its length or time, for
/// clocks of file systems tick slowly.
const SETTLED: Duration = Duration::from_secs(2);

/// How long who leads a run takes at most to note its end.
const NOTING: Duration = Duration::from_secs(5);

/// The runs of a store, the newest first. What one cannot tell of a run because it was removed meanwhile is
/// left out; a log that cannot be read is told as such.
///
/// # Errors
/// The store cannot be listed.
pub fn list_runs(store: &Store<Record>) -> Result<Vec<RunSummary>, RunError> {
    let names = store.names()?;
    // Looking at a run is mostly waiting for the operating system.
    let threads = thread::available_parallelism().map_or(1, NonZero::get).min(8);
    let share = names.len().div_ceil(threads).max(64);
    let index = Index::of(store, names.len());
    let found: Vec<(RunSummary, Option<Learnt>)> = thread::scope(|scope| {
        let (store, index) = (store, &index);
        let look_at = move |names: &[RunName]| -> Vec<_> {
            names.iter().filter_map(|name| summary(store, index, name)).collect()
        };
        let looking: Vec<_> = names.chunks(share).map(|names| scope.spawn(move || look_at(names))).collect();
        looking.into_iter().flat_map(|part| part.join().expect("looking at a run does not panic")).collect()
    });
    let (mut runs, learnt): (Vec<_>, Vec<_>) = found.into_iter().unzip();
    index.keep(store, learnt.into_iter().flatten().collect(), &names);
    runs.sort_by(|a, b| (Reverse(a.started_at), &a.name).cmp(&(Reverse(b.started_at), &b.name)));
    Ok(runs)
}

/// One run in short, with what the index is to know of it; none if there is no such run.
fn summary(store: &Store<Record>, index: &Index, name: &RunName) -> Option<(RunSummary, Option<Learnt>)> {
    if let Some((entry, note)) = index.find(store, name) {
        return Some((note.summary(entry), None));
    }
    let found = look(store, index, name)?;
    if found.0.phase != RunPhase::Unfinished {
        return Some(found);
    }
    if is_driven(store, name) {
        return Some((RunSummary { driven: true, ..found.0 }, None));
    }
    // Nobody drives it: perhaps because it has ended since the log was looked at.
    let changed =
        store.entry(name).map_or(true, |now| now.bytes != found.0.bytes || now.modified != found.0.modified);
    if changed { look(store, index, name) } else { Some(found) }
}

fn look(store: &Store<Record>, index: &Index, name: &RunName) -> Option<(RunSummary, Option<Learnt>)> {
    let entry = match store.entry(name) {
        Ok(entry) => entry,
        Err(StoreError::NotFound { .. }) => return None,
        Err(error) => return Some((unreadable(name, &error.to_string()), None)),
    };
    let note = match noted(store, &entry) {
        Some(note) => note,
        None => made(store, &entry)?,
    };
    let learnt = index.learnt(store, &entry, &note);
    Some((note.summary(entry), learnt))
}

/// The note of a run, made of its log; none if there is no such run.
fn made(store: &Store<Record>, entry: &RunEntry) -> Option<Note> {
    let note = match read_run(store, &entry.name) {
        Ok((started, records)) => Note::of_log(entry, &started, &records),
        Err(RunError::Store(StoreError::NotFound { .. })) => return None,
        Err(error) => Note::unreadable(entry, &error.to_string()),
    };
    let is_seen_to = || written(store, &entry.name).is_some_and(|before| before.is_of(&note) && !before.left);
    let is_unnoted = note.left && note.has_ended() && !is_seen_to();
    let rests = |time| entry.modified.elapsed().is_ok_and(|since| since > time);
    if is_unnoted && !rests(NOTING) {
        // Whoever led it is about to note its end.
        return Some(Note { left: false, ..note });
    }
    let note = Note { left: is_unnoted, ..note };
    if note.has_ended() || rests(SETTLED) {
        note.keep(store, &entry.name);
    }
    // Where no note can be kept, it could not be said that somebody has seen to the end.
    let left = note.left && is_left(store, &entry.name);
    Some(Note { left, ..note })
}

fn is_driven(store: &Store<Record>, name: &RunName) -> bool {
    store.is_open(name).unwrap_or_else(|error| {
        tracing::debug!(run = %name, %error, "whether anybody drives the run is not known");
        false
    })
}

/// Notes how a run of `graph` ended, so that its log is not read to list it.
pub fn note_end(
    store: &Store<Record>,
    name: &RunName,
    (graph, started_at): (&str, u64),
    origin: Option<Origin>,
    end: &RunEnd,
) {
    match store.entry(name) {
        Ok(entry) => Note {
            origin,
            phase: RunPhase::Ended(end.status.clone()),
            supersteps: end.totals.supersteps,
            usage: end.totals.usage,
            ..Note::begun(&entry, graph, started_at)
        }
        .keep(store, name),
        Err(error) => tracing::debug!(run = %name, %error, "the end of the run is not noted"),
    }
}

/// Whether a run is [left](RunSummary::left), by the note of it that [`list_runs`] has made.
pub fn is_left(store: &Store<Record>, name: &RunName) -> bool {
    written(store, name).is_some_and(|note| note.left)
}

/// Notes of a run that is [left](RunSummary::left) that what follows its end is done. It is the note that [`list_runs`]
/// has made, and speaks of the log of which that was made: of no other one that has the name since.
pub fn note_seen_to(store: &Store<Record>, name: &RunName) {
    if let Some(note) = written(store, name).filter(|note| note.left) {
        Note { left: false, ..note }.keep(store, name);
    }
}

/// The note of a run, whichever log it speaks of.
fn written(store: &Store<Record>, name: &RunName) -> Option<Note> {
    let bytes = match store.note(name) {
        Ok(bytes) => bytes?,
        Err(error) => {
            tracing::debug!(run = %name, %error, "a note cannot be read");
            return None;
        }
    };
    // A note that is cut short, or of another version, is as good as none.
    serde_json::from_slice(&bytes).ok()
}

/// The note of a run, if it speaks of the log as it is.
fn noted(store: &Store<Record>, entry: &RunEntry) -> Option<Note> {
    let note = written(store, &entry.name)?;
    let same =
        note.format == FORMAT && note.bytes == entry.bytes && note.modified == since_1970(entry.modified);
    same.then_some(note)
}

impl Note {
    /// What is noted of a run that has done nothing.
    fn begun(entry: &RunEntry, graph: &str, started_at: u64) -> Self {
        Self {
            format: FORMAT,
            bytes: entry.bytes,
            modified: since_1970(entry.modified),
            graph: graph.to_owned(),
            origin: None,
            phase: RunPhase::Unfinished,
            started_at,
            supersteps: 0,
            usage: Usage::default(),
            left: false,
        }
    }

    fn has_ended(&self) -> bool {
        matches!(self.phase, RunPhase::Ended(_))
    }

    /// Whether it is of the end of the same run, whose log may have been compacted since.
    fn is_of(&self, other: &Self) -> bool {
        self.has_ended() && (self.started_at, &self.graph) == (other.started_at, &other.graph)
    }

    fn of_log(entry: &RunEntry, started: &RunStarted, records: &[Record]) -> Self {
        let origin = Origin::of(records);
        let mut note = Self { origin, ..Self::begun(entry, &started.root, started.started_at) };
        for record in records {
            match record {
                Record::Committed(_) => note.supersteps += 1,
                Record::CallEnded { outcome, .. } => note.usage += outcome.usage,
                Record::Compacted(remains) => {
                    (note.supersteps, note.usage) = (remains.totals.supersteps, remains.totals.usage);
                }
                Record::Ended(status) => note.phase = RunPhase::Ended(status.clone()),
                // Unless the end was noted.
                Record::Placed(_) => note.left = true,
                Record::RunStarted(_)
                | Record::EpochTaken { .. }
                | Record::CallIntent { .. }
                | Record::AttemptFailed { .. }
                | Record::Suspended { .. }
                | Record::Answered { .. }
                | Record::Patched(_)
                | Record::Known(_)
                | Record::Measured(_)
                | Record::Forked { .. }
                | Record::Continued(_)
                | Record::Told(_)
                | Record::RunSuspended(_) => {}
            }
        }
        note
    }

    fn unreadable(entry: &RunEntry, why: &str) -> Self {
        let phase = RunPhase::Unreadable(why.to_owned());
        Self { phase, ..Self::begun(entry, "", since_1970(entry.created).as_secs()) }
    }

    /// A note that cannot be kept is made again when it is wanted.
    fn keep(&self, store: &Store<Record>, name: &RunName) {
        let bytes = serde_json::to_vec(self).expect("a note has string keys only");
        if let Err(error) = store.keep_note(name, &bytes) {
            tracing::debug!(run = %name, %error, "a note cannot be kept");
        }
    }

    fn summary(self, entry: RunEntry) -> RunSummary {
        RunSummary {
            name: entry.name,
            graph: self.graph,
            origin: self.origin,
            phase: self.phase,
            driven: false,
            left: self.left,
            started_at: self.started_at,
            supersteps: self.supersteps,
            usage: self.usage,
            bytes: entry.bytes,
            modified: entry.modified,
        }
    }
}

fn unreadable(name: &RunName, why: &str) -> RunSummary {
    RunSummary {
        name: name.clone(),
        graph: String::new(),
        origin: None,
        phase: RunPhase::Unreadable(why.to_owned()),
        driven: false,
        left: false,
        started_at: 0,
        supersteps: 0,
        usage: Usage::default(),
        bytes: 0,
        modified: SystemTime::UNIX_EPOCH,
    }
}

fn since_1970(time: SystemTime) -> Duration {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests;
