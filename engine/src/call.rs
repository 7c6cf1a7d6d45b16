//! External calls: what is asked before, and what is known after.

use serde::{Deserialize, Serialize};

use crate::payload::Payload;
use crate::program::{Failure, Usage};

/// What an activation wants to call. Equal requests have equal digests.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CallRequest {
    /// What is called, for people: `model small`.
    pub target: String,
    /// Hash of the canonical request.
    pub digest: [u8; 16],
    /// Whether making it twice does no more than making it once, or costs no more than money: then it is
    /// sent again when a crash hid its outcome, unless its vertex says otherwise.
    pub repeatable: bool,
    /// The most that the call can use; reserved before it is made.
    pub reserve: Usage,
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CallOutcome {
    /// The answer, or why there is none.
    pub answer: Result<Payload, Failure>,
    /// What it used.
    pub usage: Usage,
}

impl CallOutcome {
    /// The same outcome, or a failure in place of an answer that is nested too deeply to be recorded.
    pub(crate) fn bounded(self) -> Self {
        if self.answer.as_ref().is_ok_and(Payload::is_too_deep) {
            return Self { answer: Err(Failure::too_deep("the answer of a call")), usage: self.usage };
        }
        self
    }
}
