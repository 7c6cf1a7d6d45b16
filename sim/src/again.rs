//! Programs run again beside a replay of the log that tells how they ended.

use std::sync::Arc;

use superstep_engine::{
    ActivationId, Again, CallOutcome, Completion, End, Failure, Outcome, ProgramResult, Proposal, Recall,
    Record, Solo, Usage,
};

use crate::behaviour::{Step, step};

/// Runs the programs again of which `record` tells how they ended, and how many there were. What comes
/// before the record has been replayed.
///
/// # Errors
/// One ends otherwise, or does not make the calls that the log has.
pub(crate) fn run_again(solo: &mut Solo, record: &Record) -> Result<u64, String> {
    match record {
        Record::AttemptFailed { activation, failure, .. } => {
            compare(solo, activation, &Outcome::Failed(failure.clone()))
        }
        Record::Suspended { id, question, doubt: None } => {
            compare(solo, &id.activation, &Outcome::Suspended(question.clone()))
        }
        Record::Committed(commit) => {
            commit.completed.iter().map(|completion| committed(solo, completion)).sum()
        }
        Record::RunStarted(_)
        | Record::EpochTaken { .. }
        | Record::CallIntent { .. }
        | Record::CallEnded { .. }
        | Record::Suspended { doubt: Some(_), .. }
        | Record::Answered { .. }
        | Record::Patched(_)
        | Record::Ended(_)
        | Record::Known(_)
        | Record::Measured(_)
        | Record::Forked { .. }
        | Record::Continued(_)
        | Record::Placed(_)
        | Record::Compacted(_)
        | Record::Told(_)
        | Record::RunSuspended(_) => Ok(0),
    }
}

fn committed(solo: &mut Solo, completion: &Completion) -> Result<u64, String> {
    let absent = || format!("{} of frame {} is not in flight", completion.vertex, completion.frame.0);
    let activation = solo.in_flight(completion).ok_or_else(absent)?;
    match &completion.end {
        End::Derived => Ok(0),
        End::Single(end) => compare(solo, &activation, &outcome(end)),
        End::Each(ends) => (0u32..)
            .zip(ends)
            .map(|(element, end)| {
                let activation = ActivationId { element: Some(element), ..activation.clone() };
                compare(solo, &activation, &outcome(end))
            })
            .sum(),
    }
}

fn outcome(end: &Result<Arc<ProgramResult>, Failure>) -> Outcome {
    match end {
        Ok(result) => Outcome::Done(ProgramResult::clone(result)),
        Err(failure) => Outcome::Failed(failure.clone()),
    }
}

fn compare(solo: &mut Solo, activation: &ActivationId, recorded: &Outcome) -> Result<u64, String> {
    if matches!(recorded, Outcome::Failed(failure) if failure.is_overrun()) {
        return Ok(0);
    }
    // What is not in flight was cancelled while its end was on its way to the log.
    let Some(begun) = solo.again(activation) else { return Ok(0) };
    let again = Proposal::as_recorded(run(solo, (activation, begun), recorded)?, recorded);
    if again != *recorded {
        return Err(format!("{activation} ends with {again:?} when it is run again, and with {recorded:?}"));
    }
    match solo.unasked(activation).first() {
        None => Ok(1),
        Some(call) => Err(format!("{activation} does not make the call {call:?} when it is run again")),
    }
}

fn run(
    solo: &mut Solo,
    (activation, begun): (&ActivationId, Again),
    recorded: &Outcome,
) -> Result<Outcome, String> {
    let job = match begun {
        Again::Answer(result) => return Ok(Outcome::Done(result)),
        Again::Program(job) => job,
    };
    let mut answers: Vec<CallOutcome> = Vec::new();
    loop {
        let requests = match step((&job).into(), &answers) {
            Step::End(outcome) => return Ok(outcome),
            Step::Call(requests) => requests,
        };
        for request in requests {
            answers.push(match solo.recall(activation, &request, recorded) {
                Recall::Ended(outcome) => outcome,
                Recall::Refused(failure) | Recall::NoRoom(failure) => {
                    CallOutcome { answer: Err(failure), usage: Usage::default() }
                }
                Recall::Unknown => {
                    return Err(format!("{activation} makes a call that the log does not have"));
                }
            });
        }
    }
}
