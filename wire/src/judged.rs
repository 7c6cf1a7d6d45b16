//! What became of mutations.

use bytes::Bytes;
use superstep_graph::Revision;
use superstep_proto::v1;
use superstep_runtime::JudgedPatch;

use crate::names::{json, packed};

/// The 16 bytes of a revision.
#[must_use]
pub fn revision(revision: &Revision) -> Bytes {
    packed(revision)
}

/// What one requester asked for, with what became of it.
#[must_use]
pub fn judged(patch: &JudgedPatch) -> v1::JudgedPatch {
    let mutations = patch.mutations.iter();
    v1::JudgedPatch {
        requester: patch.requester.clone(),
        from_outside: patch.from_outside,
        frame: patch.frame.0,
        superstep: patch.superstep,
        mutations: mutations
            .map(|(mutation, verdict)| v1::JudgedMutation {
                mutation: json(mutation),
                verdict: json(verdict),
            })
            .collect(),
        revision: patch.revision.as_ref().map(revision).unwrap_or_default(),
    }
}
