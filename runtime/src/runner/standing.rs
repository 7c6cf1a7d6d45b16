//! Where a run stands by its log.

use std::sync::Arc;

use superstep_engine::{FrameId, Notice, Payload, Question, QuestionId, Record, Totals};
use superstep_graph::{Revision, ValidatedGraph};
use superstep_store::RunName;

use super::{RunError, config_of, told_by};
use crate::programs::Programs;

/// Where a run stands by its log.
#[derive(Clone, Debug)]
pub struct LogStanding {
    /// The outputs so far, keyed by output vertex.
    pub outputs: Payload,
    /// What was used so far.
    pub totals: Totals,
    /// The questions that wait for an answer.
    pub questions: Vec<(QuestionId, Question)>,
    /// The revision of the run's own graph; none where the records are gone that told it.
    pub revision: Option<Revision>,
    /// Whether it is suspended, or is to be at its next barrier.
    pub suspended: bool,
    /// Whether it stands still because of that.
    pub stands_still: bool,
}

/// Where a run stands by its log.
///
/// # Errors
/// The records do not follow from each other, or a graph is not valid to this version.
pub fn standing(
    name: &RunName,
    records: &[Record],
    programs: &Arc<Programs>,
) -> Result<LogStanding, RunError> {
    let mut told = None;
    let solo = told_by(config_of(name, records)?, (name, records), programs, |notice, _| {
        if let Notice::Committed { revision, .. } = notice {
            told = Some(revision);
        }
    })?;
    let coordinator = solo.coordinator();
    Ok(LogStanding {
        outputs: coordinator.outputs(),
        totals: coordinator.totals(),
        questions: coordinator.questions().map(|(id, question)| (id.clone(), question.clone())).collect(),
        revision: coordinator.graph(FrameId::ROOT).map(ValidatedGraph::revision).or(told),
        suspended: coordinator.is_suspended(),
        stands_still: coordinator.stands_still(),
    })
}
