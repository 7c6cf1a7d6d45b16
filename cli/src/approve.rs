//! `superstep approve`.

use superstep_engine::{Decision, Proposal, Question, QuestionId};
use superstep_store::RunName;

use crate::answer::{Given, is_meant, only, take};
use crate::args::reach::ApproveArgs;
use crate::exit::{CommandError, Exit};
use crate::remote;

/// Why nothing is decided on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProposalError {
    /// No such proposal waits.
    #[error("run \"{run}\" waits for no decision{}", .named.as_ref().map(|named| format!(" on {named:?}")).unwrap_or_default())]
    None {
        /// The run.
        run: RunName,
        /// What was named.
        named: Option<String>,
    },
    /// Several wait.
    #[error("run \"{run}\" waits for several decisions: name one of {}", .asking.join(", "))]
    Several {
        /// The run.
        run: RunName,
        /// The proposals.
        asking: Vec<String>,
    },
}

/// Approves or denies what a vertex of a run proposes to change, whoever drives the run.
///
/// # Errors
/// There is no such run or proposal, or the process that drives the run cannot be reached.
pub(crate) fn approve(args: &ApproveArgs) -> Result<Exit, CommandError> {
    let decided = |name: &RunName, open| decided(args, name, open);
    match &args.connect.connect {
        Some(url) => remote::answer(&args.run, (url, &args.connect.trust), decided),
        None => take(&args.run, &args.store, decided),
    }
}

/// The decision, and on which of the open questions of a run.
fn decided(args: &ApproveArgs, name: &RunName, mut open: Vec<(QuestionId, Question)>) -> Given {
    open.retain(|(id, question)| {
        let meant = args.proposal.as_ref().is_none_or(|name| is_meant(id, name));
        meant && Proposal::of(question).is_some()
    });
    let (id, _) = only(open).map_err(|asking| {
        let (run, named) = (name.clone(), args.proposal.clone());
        if asking.is_empty() {
            ProposalError::None { run, named }
        } else {
            ProposalError::Several { run, asking }
        }
    })?;
    let decision = Decision { approved: !args.deny, why: args.why.clone() };
    Ok(Some((id, decision.into())))
}
