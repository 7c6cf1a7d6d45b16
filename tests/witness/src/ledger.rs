//! What the model server saw: every request that came, and how it ended. It is only ever added to.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use serde_json::json;
use tokio::sync::watch;

/// How a request ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// With this answer.
    Answered(String),
    /// The client hung up before it was answered.
    Cut,
}

/// A request that came.
#[derive(Clone, Debug)]
pub struct Call {
    /// The run, as the request says.
    pub run: String,
    /// The idempotency key.
    pub key: String,
    /// What was asked.
    pub request: String,
    /// When it came.
    pub begun: Instant,
    /// When and how it ended.
    pub end: Option<(Instant, End)>,
}

impl Call {
    /// The answer, and when it was given.
    pub fn answered(&self) -> Option<(Instant, &str)> {
        match &self.end {
            Some((at, End::Answered(answer))) => Some((*at, answer)),
            Some((_, End::Cut)) | None => None,
        }
    }

    /// Whether the client hung up.
    pub fn is_cut(&self) -> bool {
        matches!(self.end, Some((_, End::Cut)))
    }
}

/// The ledger of one model server. Clones are the same.
#[derive(Clone)]
pub struct Ledger(Arc<Inner>);

struct Inner {
    start: Instant,
    calls: Mutex<Vec<Call>>,
    file: Mutex<File>,
    latency: watch::Sender<Duration>,
    nonce: AtomicBool,
}

impl Ledger {
    /// A ledger that is also written to `path`, a line of JSON for each request that comes or ends.
    ///
    /// # Errors
    ///
    /// If the file cannot be made.
    pub fn new(path: &Path, latency: Duration) -> Result<Self> {
        let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self(Arc::new(Inner {
            start: Instant::now(),
            calls: Mutex::default(),
            file: Mutex::new(file),
            latency: watch::Sender::new(latency),
            nonce: AtomicBool::new(false),
        })))
    }

    /// How long an answer takes on average, and whether it does so yet.
    pub fn latency(&self) -> watch::Receiver<Duration> {
        self.0.latency.subscribe()
    }

    /// From here on an answer takes so long on average, to those requests as well that are under way.
    pub fn set_latency(&self, latency: Duration) {
        self.0.latency.send_replace(latency);
    }

    /// From here on each answer is another one, or the same for the same request.
    pub fn set_nonce(&self, nonce: bool) {
        self.0.nonce.store(nonce, Ordering::Relaxed);
    }

    fn calls(&self) -> MutexGuard<'_, Vec<Call>> {
        self.0.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every request of a run, in the order in which they came.
    pub fn of(&self, run: &str) -> Vec<Call> {
        self.calls().iter().filter(|call| call.run == run).cloned().collect()
    }

    /// How many requests of a run were answered, and how many are under way.
    pub fn counts(&self, run: &str) -> (usize, usize) {
        let calls = self.calls();
        let of_run = || calls.iter().filter(|call| call.run == run);
        let answered = of_run().filter(|call| call.answered().is_some()).count();
        (answered, of_run().filter(|call| call.end.is_none()).count())
    }

    /// A request has come.
    pub fn begin(&self, run: &str, key: &str, request: &str) -> UnderWay {
        let begun = Instant::now();
        let call =
            Call { run: run.to_owned(), key: key.to_owned(), request: request.to_owned(), begun, end: None };
        let number = {
            let mut calls = self.calls();
            calls.push(call);
            calls.len() - 1
        };
        self.write(&json!({"call": number, "begun": self.micros(begun), "run": run, "key": key,
            "request": request}));
        UnderWay { ledger: self.clone(), number, ended: false }
    }

    fn micros(&self, at: Instant) -> u64 {
        u64::try_from(at.duration_since(self.0.start).as_micros()).unwrap_or(u64::MAX)
    }

    fn write(&self, line: &serde_json::Value) {
        let mut file = self.0.file.lock().unwrap_or_else(PoisonError::into_inner);
        writeln!(file, "{line}").expect("the ledger can be written, or nothing is worth anything");
    }

    fn end(&self, number: usize, end: End) {
        let at = Instant::now();
        let line = json!({"call": number, "ended": self.micros(at), "how": format!("{end:?}")});
        self.calls()[number].end = Some((at, end));
        self.write(&line);
    }
}

/// A request that is not answered yet. If it is dropped before, its client has hung up.
pub struct UnderWay {
    ledger: Ledger,
    number: usize,
    ended: bool,
}

impl UnderWay {
    /// The answer to the request, which is in the ledger before anybody has it.
    pub fn answer(mut self) -> String {
        let request = self.ledger.calls()[self.number].request.clone();
        let nonce = if self.ledger.0.nonce.load(Ordering::Relaxed) {
            format!("-{}", self.number)
        } else {
            String::new()
        };
        let answer = format!("{}{nonce}", &request[..12]);
        self.ledger.end(self.number, End::Answered(answer.clone()));
        self.ended = true;
        answer
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        if !self.ended {
            self.ledger.end(self.number, End::Cut);
        }
    }
}
