//! A model server outside the simulated process, with a ledger of its own that nothing erases.

use std::collections::BTreeMap;

use serde_json::json;
use superstep_engine::{CallOutcome, CallRequest, Failure, Payload, Usage};

/// What the outside saw of one idempotency key.
#[derive(Clone, Debug, Default)]
pub(crate) struct Entry {
    /// The lives of the process in which a request with this key was sent.
    pub(crate) sent: Vec<u32>,
    /// How often it was executed.
    pub(crate) executions: u64,
}

/// The scripted model server.
#[derive(Clone, Debug, Default)]
pub(crate) struct ModelServer {
    /// Whether every execution has an answer of its own.
    nonce: bool,
    executed: u64,
    pub(crate) ledger: BTreeMap<String, Entry>,
    /// What all executions used.
    pub(crate) spent: Usage,
}

impl ModelServer {
    pub(crate) fn new(nonce: bool) -> Self {
        Self { nonce, ..Self::default() }
    }

    /// Notes that a request leaves for the server.
    pub(crate) fn send(&mut self, key: &str, life: u32) -> &Entry {
        let entry = self.ledger.entry(key.to_owned()).or_default();
        entry.sent.push(life);
        entry
    }

    /// Executes a request that has arrived.
    pub(crate) fn execute(&mut self, key: &str, request: &CallRequest) -> CallOutcome {
        self.executed += 1;
        self.ledger.entry(key.to_owned()).or_default().executions += 1;
        let salt = u64::from(request.digest[1]);
        let nonce = if self.nonce { self.executed } else { 0 };
        // An overloaded server, as the key decides: another attempt has another key.
        let overloaded = key.starts_with('0');
        let answer = if overloaded {
            Err(Failure::transient("the server is overloaded"))
        } else {
            Ok(Payload::from(json!({"text": salt, "nonce": nonce})))
        };
        let usage = Usage {
            calls: 1,
            prompt_tokens: request.reserve.prompt_tokens,
            completion_tokens: salt % (request.reserve.completion_tokens + 1),
            cost: 0.25,
        };
        self.spent += usage;
        CallOutcome { answer, usage }
    }

    pub(crate) fn executed(&self) -> u64 {
        self.executed
    }
}
