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
