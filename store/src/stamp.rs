//! What is seen of a run without opening a file.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What tells at a glance whether anything of a run in a folder has changed: a log that is appended to, replaced or
/// removed has another stamp, and so has a run that has got another file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// When a file of the run was made, renamed or removed, since 1970.
    pub files: Duration,
    /// The bytes of the first file of its log.
    pub bytes: u64,
    /// When that was written to, since 1970.
    pub modified: Duration,
}
