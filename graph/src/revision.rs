//! The name of an effective graph: the hash of its canonical form.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::canonical::canonical_json;
use crate::spec::GraphSpec;

/// The first 16 bytes of the BLAKE3 hash of the canonical JSON of a graph whose vertices, edges and
/// other named lists are sorted. Equal graphs have equal revisions, whatever order they were
/// declared or changed in.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Revision([u8; 16]);

impl Revision {
    /// The revision of `spec`, which must be sorted (see [`GraphSpec::sort`]).
    pub(crate) fn of(spec: &GraphSpec) -> Self {
        let value = serde_json::to_value(spec).expect("a graph spec has string keys only");
        let hash = blake3::hash(canonical_json(&value).as_bytes());
        let mut short = [0; 16];
        short.copy_from_slice(&hash.as_bytes()[..16]);
        Self(short)
    }

    /// Its 16 bytes.
    pub fn bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}
