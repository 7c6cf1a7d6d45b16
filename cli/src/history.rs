//! `superstep inspect`: what the log of a run holds.

use std::collections::BTreeMap;
use std::io;

use serde_json::{Value, json};
use superstep_engine::{Called, Notice, Remains, RunStatus};
use superstep_graph::Verdict;
use superstep_provision::not_loaded;
use superstep_runtime::{CACHE_TARGET, Origin, RecordedAnswer, RunError, tell};

use crate::args::runs::InspectArgs;
use crate::exit::{CommandError, Exit};
use crate::output;
use crate::progress::change;
use crate::recorded::Recorded;
use crate::run::summary;

/// Shows what happened in a run, superstep by superstep.
///
/// # Errors
/// There is no such run, its log is corrupt, or its workers cannot be reached.
pub(crate) fn inspect(args: &InspectArgs) -> Result<Exit, CommandError> {
    if args.costs {
        return crate::costs::show(args);
    }
    let Recorded { name, started, records } = Recorded::read(&args.run, &args.store, &args.connect)?;
    let programs = not_loaded(&name, &started)?;
    let kept_from = Remains::of(&records).map(|remains| remains.from);
    let mut story = Story { at: kept_from.unwrap_or(0), ..Story::default() };
    let (outputs, totals) = tell(&name, &records, &programs, |notice| story.add(&notice))?;
    let supersteps: Vec<&Value> = story
        .supersteps
        .iter()
        .filter(|(superstep, _)| args.superstep.is_none_or(|only| only == **superstep))
        .map(|(_, told)| told)
        .collect();
    let mut shown = json!({
        "run": name.as_str(),
        "graph": started.root,
        "supersteps": supersteps,
    });
    if let Some(origin) = Origin::of(&records) {
        shown["origin"] = origin.to_string().into();
    }
    if let Some(from) = kept_from {
        shown["keptFrom"] = from.into();
    }
    match args.superstep {
        None => {
            shown["summary"] = summary(story.status.as_ref(), &totals);
            if story.cached > 0 {
                shown["summary"]["cached"] = json!(story.cached);
            }
            shown["input"] = started.input.value().clone();
            shown["outputs"] = outputs.value().clone();
        }
        Some(superstep) if kept_from.is_some_and(|from| superstep < from) => {
            return Err(RunError::Compacted { run: name, from: kept_from.unwrap_or(0) }.into());
        }
        Some(superstep) if supersteps.is_empty() => {
            return Err(CommandError::NoSuperstep { run: name, superstep });
        }
        Some(_) => {}
    }
    output::write(&shown, args.output, &mut io::stdout().lock())?;
    Ok(Exit::Success)
}

/// What happened, by superstep.
#[derive(Default)]
struct Story {
    at: u64,
    supersteps: BTreeMap<u64, Value>,
    status: Option<RunStatus>,
    /// How many kept results were taken.
    cached: u64,
}

impl Story {
    fn add(&mut self, notice: &Notice) {
        match notice {
            Notice::SuperstepStarted { superstep, started, carried } => {
                self.at = *superstep;
                let entry = self.entry();
                entry["started"] = json!(started);
                entry["carriedOver"] = json!(carried);
            }
            Notice::Completed { activation, output, failure, usage } => {
                let told = json!({
                    "activation": activation.to_string(),
                    "output": output.as_ref().map(|output| output.value().clone()),
                    "failure": failure.as_ref().map(|failure| failure.message.clone()),
                    "tokens": usage.tokens(),
                });
                self.push("completed", told);
            }
            Notice::Settled { from, to, port, status, .. } => {
                let told = json!({
                    "from": from.as_str(), "to": to.as_str(), "port": port.as_str(), "status": status,
                });
                self.push("messages", told);
            }
            Notice::Mutated { requester, mutation, verdict, .. } => {
                let told = json!({
                    "requester": requester, "change": change(mutation), "verdict": words(verdict),
                    "mutation": mutation,
                });
                self.push("mutations", told);
            }
            Notice::JoinIncomplete { vertex, action, missing, .. } => {
                let missing: Vec<&str> = missing.iter().map(superstep_graph::VertexName::as_str).collect();
                let told = json!({"vertex": vertex.as_str(), "action": action, "missing": missing});
                self.push("incompleteJoins", told);
            }
            Notice::Cancelled { activation } => self.push("cancelled", json!(activation.to_string())),
            Notice::Asked { id, question } => {
                let told = json!({"question": id.to_string(), "asks": question.ask.value()});
                self.push("questions", told);
            }
            Notice::Committed { superstep, revision, .. } => {
                self.entry()["revision"] = json!(revision.to_string());
                self.at = superstep + 1;
            }
            Notice::Called(called) => {
                self.cached += u64::from(called.target == CACHE_TARGET);
                self.push("calls", call(called));
            }
            Notice::Ended { status, .. } => self.status = Some(status.clone()),
            Notice::Started { .. }
            | Notice::Opened { .. }
            | Notice::Retrying { .. }
            | Notice::Paused
            | Notice::Suspended
            | Notice::Resumed { .. } => {}
        }
    }

    fn entry(&mut self) -> &mut Value {
        let at = self.at;
        self.supersteps.entry(at).or_insert_with(|| json!({"superstep": at}))
    }

    fn push(&mut self, list: &str, told: Value) {
        match self.entry()[list].as_array_mut() {
            Some(items) => items.push(told),
            None => self.entry()[list] = json!([told]),
        }
    }
}

/// A call as it is shown: what it gave is seen in what its activation gave, but for what a model thought.
pub(crate) fn call(called: &Called) -> Value {
    let Called { call, target, outcome } = called;
    let mut told = json!({
        "activation": call.activation.to_string(),
        "target": target,
        "tokens": outcome.usage.tokens(),
        "cost": outcome.usage.cost,
    });
    match &outcome.answer {
        Err(failure) => told["failure"] = json!(failure.message),
        Ok(answer) if target.starts_with("model ") => {
            let answer = RecordedAnswer::read(answer).unwrap_or_default();
            if let Some(reasoning) = answer.reasoning {
                told["reasoning"] = json!(reasoning);
            }
            if let Some(logprobs) = answer.logprobs {
                told["logprobs"] = json!(logprobs);
            }
        }
        Ok(_) => {}
    }
    told
}

/// What became of a mutation, in words.
pub(crate) fn words(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Applied => "applied".to_owned(),
        Verdict::Collapsed => "applied with an equal one".to_owned(),
        Verdict::Refused(refusal) => format!("refused: {refusal}"),
    }
}
