//! What concerns a run itself, and goes to its workers.

use super::args::{AnswerArgs, ApproveArgs, CancelArgs, InspectArgs, PatchArgs, WhyArgs};
use super::kubectl::Kubectl;
use super::objects::{self, Located, Mode};
use crate::args::cluster::{Connect, Trust};
use crate::args::reach::{self, WatchArgs, WatchFormat};
use crate::args::runs::{self, ShowProgress, Store};
use crate::exit::{CommandError, Exit};
use crate::{answer, approve, cancel, history, patch, watch, why};

impl Located {
    /// Where its workers are.
    fn connect(&self) -> Connect {
        Connect {
            connect: Some(format!("kubectl:{}/{}{}", self.namespace, self.graph, self.cluster)),
            trust: Trust::default(),
        }
    }
}

/// A run of a cluster is kept nowhere on this machine.
fn nowhere() -> Store {
    Store { folder: None }
}

pub(super) fn watched(found: &Located, output: WatchFormat) -> Result<Exit, CommandError> {
    watch::watch(&WatchArgs {
        run: found.run.clone(),
        from: None,
        offset: None,
        after: None,
        store: nowhere(),
        connect: found.connect(),
        output,
        progress: ShowProgress::Auto,
    })
}

pub(super) fn answered(kubectl: &Kubectl, args: &AnswerArgs) -> Result<Exit, CommandError> {
    let found = Located::find(kubectl, &args.run)?;
    answer::answer(&runs::AnswerArgs {
        run: found.run.clone(),
        answer: args.answer.clone(),
        vertex: args.vertex.clone(),
        store: nowhere(),
        connect: found.connect(),
        output: args.output,
    })
}

pub(super) fn approved(kubectl: &Kubectl, args: &ApproveArgs) -> Result<Exit, CommandError> {
    let found = Located::find(kubectl, &args.run)?;
    approve::approve(&reach::ApproveArgs {
        run: found.run.clone(),
        proposal: args.proposal.clone(),
        deny: args.deny,
        why: args.why.clone(),
        store: nowhere(),
        connect: found.connect(),
    })
}

pub(super) fn patched(kubectl: &Kubectl, args: &PatchArgs) -> Result<Exit, CommandError> {
    let found = Located::find(kubectl, &args.run)?;
    patch::patch(&reach::PatchArgs {
        run: found.run.clone(),
        files: args.files.clone(),
        store: nowhere(),
        connect: found.connect(),
        no_wait: args.no_wait,
        output: args.output,
    })
}

pub(super) fn cancelled(kubectl: &Kubectl, args: &CancelArgs) -> Result<Exit, CommandError> {
    // The object says what is wanted of the run, so that no controller takes it back.
    objects::set_mode(kubectl, &args.run, Mode::Cancelled)?;
    let found = Located::find(kubectl, &args.run)?;
    cancel::cancel(&reach::CancelArgs {
        run: found.run.clone(),
        store: nowhere(),
        connect: found.connect(),
        output: args.output,
    })
}

pub(super) fn inspected(kubectl: &Kubectl, args: &InspectArgs) -> Result<Exit, CommandError> {
    let found = Located::find(kubectl, &args.run)?;
    history::inspect(&runs::InspectArgs {
        run: found.run.clone(),
        superstep: args.superstep,
        costs: args.costs,
        store: nowhere(),
        connect: found.connect(),
        output: args.output,
    })
}

pub(super) fn explained(kubectl: &Kubectl, args: &WhyArgs) -> Result<Exit, CommandError> {
    let found = Located::find(kubectl, &args.run)?;
    why::why(&runs::WhyArgs {
        run: found.run.clone(),
        activation: args.activation.clone(),
        depth: args.depth,
        store: nowhere(),
        connect: found.connect(),
        output: args.output,
    })
}
