//! The one place that knows both what the services say and what the engine says.
//!
//! Each module has a function of the noun for the way out, and one named `…_of` for the way back, which refuses what
//! no peer of this version says: a missing member, a name that is none, text that is no JSON.

mod commands;
mod events;
mod judged;
mod messages;
mod names;
mod records;
mod reports;
mod statuses;

pub use commands::{command, command_of};
pub use events::{event, seen_of};
pub use judged::{judged, revision};
pub use messages::{
    Names, apart, blob, blobs_in, message, messages_of, reference_of, say_also, says_the_same,
};
pub use names::{
    activation, activation_of, failure, failure_of, payload, payload_of, question, question_of, status,
    status_of, totals, totals_of, usage, usage_of,
};
pub use records::{records, records_of};
pub use reports::{report, report_of};
pub use statuses::{statuses, statuses_of};

/// What was received means nothing.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// A member is not there.
    #[error("{what} is missing")]
    Missing {
        /// Which.
        what: &'static str,
    },
    /// A member has a value that it cannot have.
    #[error("{what} cannot be {value}")]
    Value {
        /// Which.
        what: &'static str,
        /// What it was.
        value: String,
    },
    /// A text is no JSON of its kind.
    #[error("{what} cannot be read")]
    Json {
        /// Which.
        what: &'static str,
        /// Why.
        source: serde_json::Error,
    },
    /// Bytes are not what this version writes.
    #[error("{what} cannot be decoded")]
    Bytes {
        /// Which.
        what: &'static str,
        /// Why.
        source: postcard::Error,
    },
    /// A payload is kept elsewhere, and was not fetched.
    #[error("a payload was not fetched")]
    NotFetched,
}

fn required<T>(member: Option<T>, what: &'static str) -> Result<T, WireError> {
    member.ok_or(WireError::Missing { what })
}
