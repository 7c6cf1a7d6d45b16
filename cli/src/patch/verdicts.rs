//! What became of the mutations of patches.

use serde_json::{Value, json};
use superstep_engine::{FrameId, Notice, Patch};
use superstep_graph::{Mutation, Verdict};
use superstep_runtime::{Happening, RunError, Seen, Watch};
use superstep_store::RunName;

use crate::history::words;
use crate::log;
use crate::progress::change;

/// The mutations of patches in order, each with its verdict as soon as there is one.
pub(crate) struct Verdicts(Vec<Asked>);

struct Asked {
    patch: String,
    mutation: Mutation,
    verdict: Option<Verdict>,
    /// The superstep at whose end it was judged, and the revision from there on.
    judged_at: Option<(u64, String)>,
}

impl Verdicts {
    /// Those of these patches.
    pub(crate) fn of(patches: &[Patch]) -> Self {
        let asked = patches.iter().flat_map(|patch| {
            patch.mutations.iter().map(|mutation| Asked {
                patch: patch.requester.clone(),
                mutation: mutation.clone(),
                verdict: None,
                judged_at: None,
            })
        });
        Self(asked.collect())
    }

    /// Waits until all are judged, or nobody is left who could judge them.
    pub(super) async fn wait(&mut self, watch: &mut Watch) -> Result<(), RunError> {
        while !self.are_complete() {
            match watch.next().await? {
                Some(Seen::Driven(false)) | None => break,
                Some(seen) => self.see(&seen),
            }
        }
        Ok(())
    }

    /// Takes in what was seen of the run.
    pub(crate) fn see(&mut self, seen: &Seen) {
        if let Seen::Happened(happened) = seen
            && let Happening::Notice(notice) = &happened.what
        {
            self.hear(notice);
        }
    }

    /// Whether all are judged.
    pub(crate) fn are_complete(&self) -> bool {
        self.0.iter().all(|asked| asked.judged_at.is_some())
    }

    fn hear(&mut self, notice: &Notice) {
        match notice {
            Notice::Mutated { frame: FrameId::ROOT, requester, verdict, .. } => {
                // Those of one patch are told in its order.
                let mut open = self.0.iter_mut().filter(|asked| asked.verdict.is_none());
                if let Some(asked) = open.find(|asked| asked.patch == *requester) {
                    asked.verdict = Some(verdict.clone());
                }
            }
            Notice::Committed { superstep, revision, .. } => {
                let judged = |asked: &&mut Asked| asked.verdict.is_some() && asked.judged_at.is_none();
                for asked in self.0.iter_mut().filter(judged) {
                    asked.judged_at = Some((*superstep, revision.to_string()));
                }
            }
            Notice::Mutated { .. }
            | Notice::SuperstepStarted { .. }
            | Notice::Started { .. }
            | Notice::Opened { .. }
            | Notice::Called(_)
            | Notice::Retrying { .. }
            | Notice::Asked { .. }
            | Notice::Completed { .. }
            | Notice::Cancelled { .. }
            | Notice::JoinIncomplete { .. }
            | Notice::Settled { .. }
            | Notice::Paused
            | Notice::Suspended
            | Notice::Resumed { .. }
            | Notice::Ended { .. } => {}
        }
    }

    /// Whether one was refused.
    pub(crate) fn any_refused(&self) -> bool {
        self.0.iter().any(|asked| matches!(asked.verdict, Some(Verdict::Refused(_))))
    }

    /// A row for each mutation.
    pub(crate) fn shown(&self) -> Value {
        let row = |asked: &Asked| {
            json!({
                "patch": asked.patch,
                "change": change(&asked.mutation),
                "verdict": asked.verdict.as_ref().map_or_else(|| "recorded".to_owned(), words),
                "superstep": asked.judged_at.as_ref().map(|(superstep, _)| superstep),
                "revision": asked.judged_at.as_ref().map(|(_, revision)| revision),
            })
        };
        self.0.iter().map(row).collect()
    }

    /// Tells when those are judged that are not; `place` says where the run is, for a command.
    pub(crate) fn advise(&self, run: &RunName, place: &str, driven: bool) {
        if self.0.iter().all(|asked| asked.verdict.is_some()) {
            return;
        }
        let when = if driven {
            format!("the next barrier judges it: superstep watch {run}{place}")
        } else {
            format!("nobody drives the run, and it is judged with: superstep resume {run}{place}")
        };
        log::say(&format!("the patch is in the log; {when}"));
    }
}
