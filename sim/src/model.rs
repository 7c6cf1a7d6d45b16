//! A model server outside the simulated process, which keeps a ledger of its own: it only ever adds to it.

use std::collections::BTreeMap;

use serde_json::json;
use superstep_engine::{CallOutcome, CallRequest, Failure, Payload, Record, Usage};

use crate::scenario::RUN;

/// A line of the ledger.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    /// The idempotency key of the call.
    pub(crate) key: String,
    pub(crate) what: Seen,
}

/// What the server saw of a call.
#[derive(Clone, Debug)]
pub(crate) enum Seen {
    /// A request left for it, in that life of the process.
    Sent { life: u32 },
    /// A request arrived, and was answered so.
    Executed { digest: [u8; 16], outcome: CallOutcome },
}

/// What a call costs. The digest of the request says which of three models it asks, of which one is free. Prices are
/// powers of two, so that what is added up and taken off again is exact.
pub(crate) fn cost(digest: [u8; 16], prompt_tokens: u64, completion_tokens: u64) -> f64 {
    let (prompt, completion) = match digest[2] % 4 {
        0 => (0.0, 0.0),
        1 => (0.125, 0.25),
        _ => (0.007_812_5, 0.031_25),
    };
    prompt_tokens as f64 * prompt + completion_tokens as f64 * completion
}

/// The scripted model server.
#[derive(Clone, Debug, Default)]
pub(crate) struct ModelServer {
    /// Whether every execution has an answer of its own: *nonce* mode, else *pure*.
    nonce: bool,
    executed: u64,
    pub(crate) ledger: Vec<Line>,
    /// What all executions used.
    pub(crate) spent: Usage,
}

impl ModelServer {
    pub(crate) fn new(nonce: bool) -> Self {
        Self { nonce, ..Self::default() }
    }

    /// Notes that a request leaves for the server, and the lives in which requests with its key did.
    pub(crate) fn send(&mut self, key: &str, life: u32) -> Vec<u32> {
        self.ledger.push(Line { key: key.to_owned(), what: Seen::Sent { life } });
        let sent = self.ledger.iter().filter(|line| line.key == key);
        sent.filter_map(|line| if let Seen::Sent { life } = line.what { Some(life) } else { None }).collect()
    }

    /// Executes a request that has arrived.
    pub(crate) fn execute(&mut self, key: &str, request: &CallRequest) -> CallOutcome {
        self.executed += 1;
        let salt = u64::from(request.digest[1]);
        let nonce = if self.nonce { self.executed } else { 0 };
        // An overloaded server, as the key decides: another attempt has another key.
        let overloaded = key.starts_with('0');
        let answer = if overloaded {
            Err(Failure::transient("the server is overloaded"))
        } else {
            Ok(Payload::from(json!({"text": salt, "nonce": nonce})))
        };
        let prompt_tokens = request.reserve.prompt_tokens;
        let completion_tokens = salt % (request.reserve.completion_tokens + 1);
        let cost = cost(request.digest, prompt_tokens, completion_tokens);
        let usage = Usage { calls: 1, prompt_tokens, completion_tokens, cost };
        self.spent += usage;
        let outcome = CallOutcome { answer, usage };
        let what = Seen::Executed { digest: request.digest, outcome: outcome.clone() };
        self.ledger.push(Line { key: key.to_owned(), what });
        outcome
    }

    /// Compares the ledger with the log of the run: no answer of a model is in the log that the server
    /// has not given to that call, and what it was asked stands there as an intent. The first `inherited`
    /// records are from another run, and from another server.
    ///
    /// # Errors
    /// They do not agree.
    pub(crate) fn check(&self, log: &[Record], inherited: usize) -> Result<(), String> {
        let mut given: BTreeMap<&str, Vec<&CallOutcome>> = BTreeMap::new();
        let mut answers: BTreeMap<[u8; 16], &CallOutcome> = BTreeMap::new();
        for line in &self.ledger {
            let Seen::Executed { digest, outcome } = &line.what else { continue };
            given.entry(&line.key).or_default().push(outcome);
            let first = answers.entry(*digest).or_insert(outcome);
            if !self.nonce && first.answer.is_ok() && outcome.answer.is_ok() && *first != outcome {
                return Err(format!("the same request was answered by {first:?} and by {outcome:?}"));
            }
        }
        let mut intents = std::collections::BTreeSet::new();
        for (position, record) in log.iter().enumerate() {
            match record {
                Record::CallIntent { call, .. } => {
                    intents.insert(call.idempotency_key(RUN));
                }
                Record::CallEnded { call, outcome } => {
                    let key = call.idempotency_key(RUN);
                    let known = given.get(key.as_str()).is_some_and(|given| given.contains(&outcome));
                    if position >= inherited && !known && !is_hearsay(outcome) {
                        return Err(format!("the log has an outcome of call {key} that nobody gave"));
                    }
                }
                Record::RunStarted(_)
                | Record::EpochTaken { .. }
                | Record::AttemptFailed { .. }
                | Record::Suspended { .. }
                | Record::Answered { .. }
                | Record::Patched(_)
                | Record::Committed(_)
                | Record::Ended(_)
                | Record::Known(_)
                | Record::Measured(_)
                | Record::Forked { .. }
                | Record::Continued(_)
                | Record::Placed(_)
                | Record::Compacted(_)
                | Record::Told(_)
                | Record::RunSuspended(_) => {}
            }
        }
        let unknown = self.ledger.iter().find(|line| !intents.contains(&line.key));
        unknown.map_or(Ok(()), |line| {
            Err(format!("call {} was made, and its intent is not in the log", line.key))
        })
    }
}

/// Whether an outcome is not that of a server: a person told it, or the call was given up.
fn is_hearsay(outcome: &CallOutcome) -> bool {
    match &outcome.answer {
        Ok(answer) => *answer.value() == json!({"text": 3, "nonce": 0}),
        Err(failure) => failure.message.ends_with("was given up"),
    }
}
