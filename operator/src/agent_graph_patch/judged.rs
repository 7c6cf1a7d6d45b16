//! The status of a patch, from what became of its mutations.

use k8s_openapi::jiff::Timestamp;
use superstep_api::{AgentGraphPatchStatus, PatchPhase, RefusedMutation};
use superstep_graph::Verdict;
use superstep_proto::v1;

use crate::conditions::{Standing, conditions};
use crate::hexadecimal::hexadecimal;

/// How many mutations that were refused are shown.
const REFUSED: usize = 16;

/// What became of a patch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Judged {
    /// What became of its mutations, in their order.
    pub(crate) verdicts: Vec<Verdict>,
    /// The superstep at whose barrier it was judged; none for the graph of later runs.
    pub(crate) superstep: Option<u64>,
    /// The revision from there on.
    pub(crate) revision: String,
}

/// What workers say became of a patch.
///
/// # Errors
/// They say it in another form.
pub(crate) fn judged(patch: &v1::JudgedPatch) -> Result<Judged, serde_json::Error> {
    let verdicts = patch.mutations.iter().map(|judged| serde_json::from_slice(&judged.verdict));
    Ok(Judged {
        verdicts: verdicts.collect::<Result<_, _>>()?,
        superstep: Some(patch.superstep),
        revision: hexadecimal(&patch.revision),
    })
}

/// The status of a patch that was judged.
pub(crate) fn status_of(
    before: &AgentGraphPatchStatus,
    generation: Option<i64>,
    judged: &Judged,
    at: Timestamp,
) -> AgentGraphPatchStatus {
    let refused = |(index, verdict): (usize, &Verdict)| match verdict {
        Verdict::Refused(why) => Some(RefusedMutation {
            index: u32::try_from(index).unwrap_or(u32::MAX),
            message: why.to_string(),
        }),
        Verdict::Applied | Verdict::Collapsed => None,
    };
    let refused: Vec<RefusedMutation> = judged.verdicts.iter().enumerate().filter_map(refused).collect();
    let all = judged.verdicts.len();
    let first = refused.first().map(|first| format!(": number {}, {}", first.index, first.message));
    let message =
        format!("{} of {all} mutations are applied{}", all - refused.len(), first.unwrap_or_default());
    let (phase, standing, reason) = if refused.len() < all || all == 0 {
        (PatchPhase::Applied, Standing::Ready { reason: "Applied", message: message.clone() }, None)
    } else {
        let standing = Standing::Stalled { reason: "Refused", message: message.clone() };
        (PatchPhase::Rejected, standing, Some("Refused".to_owned()))
    };
    AgentGraphPatchStatus {
        observed_generation: generation,
        conditions: conditions(&before.conditions, generation, &standing, &[], at),
        phase: Some(phase),
        reason,
        message: Some(message),
        ordinal: before.ordinal,
        superstep: judged.superstep,
        revision: Some(judged.revision.clone()).filter(|revision| !revision.is_empty()),
        refused: refused.into_iter().take(REFUSED).collect(),
    }
}

/// The status of a patch that waits, was rejected as a whole, or came too late.
pub(crate) fn waiting(
    before: &AgentGraphPatchStatus,
    generation: Option<i64>,
    (phase, reason): (PatchPhase, &'static str),
    message: String,
    at: Timestamp,
) -> AgentGraphPatchStatus {
    let standing = match phase {
        PatchPhase::Pending | PatchPhase::Accepted => {
            Standing::Reconciling { reason, message: message.clone() }
        }
        PatchPhase::Applied => Standing::Ready { reason, message: message.clone() },
        PatchPhase::Rejected | PatchPhase::Stale => Standing::Stalled { reason, message: message.clone() },
    };
    AgentGraphPatchStatus {
        observed_generation: generation,
        conditions: conditions(&before.conditions, generation, &standing, &[], at),
        phase: Some(phase),
        reason: Some(reason.to_owned()),
        message: Some(message),
        ..before.clone()
    }
}

#[cfg(test)]
mod tests {
    use superstep_graph::Refusal;

    use super::*;

    fn of(verdicts: Vec<Verdict>) -> AgentGraphPatchStatus {
        let judged = Judged { verdicts, superstep: Some(3), revision: "0a".to_owned() };
        status_of(&AgentGraphPatchStatus::default(), Some(1), &judged, Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn a_patch_is_applied_if_a_part_of_it_is() {
        let refused = || Verdict::Refused(Refusal::Absent("vertex \"b\"".to_owned()));
        let part = of(vec![Verdict::Applied, refused()]);
        assert_eq!(
            (part.phase, part.superstep, part.revision.as_deref()),
            (Some(PatchPhase::Applied), Some(3), Some("0a"))
        );
        assert_eq!(
            (part.refused[0].index, part.refused[0].message.as_str()),
            (1, "vertex \"b\" does not exist")
        );
        let none = of(vec![refused(); 40]);
        assert_eq!((none.phase, none.refused.len()), (Some(PatchPhase::Rejected), REFUSED));
        assert_eq!(none.conditions[0].status, "False");
    }

    #[test]
    fn what_workers_say_is_read() {
        let mutation = |verdict: &Verdict| v1::JudgedMutation {
            verdict: serde_json::to_vec(verdict).unwrap().into(),
            ..v1::JudgedMutation::default()
        };
        let verdicts = vec![Verdict::Collapsed, Verdict::Refused(Refusal::Limit)];
        let patch = v1::JudgedPatch {
            superstep: 7,
            revision: vec![0xab, 1].into(),
            mutations: verdicts.iter().map(mutation).collect(),
            ..v1::JudgedPatch::default()
        };
        let expected = Judged { verdicts, superstep: Some(7), revision: "ab01".to_owned() };
        assert_eq!(judged(&patch).unwrap(), expected);
    }
}
