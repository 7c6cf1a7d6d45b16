//! What a run did, superstep by superstep, in a form that two runs can be compared in.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use superstep_engine::{FrameId, Notice, Record, Totals};
use superstep_provision::not_loaded;
use superstep_runtime::{Origin, follow, read_run};
use superstep_store::{RunName, Store};

use crate::exit::CommandError;
use crate::history::words;
use crate::progress::{change, status_text};

/// What happened in a superstep: what is said of each thing that has a name in it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Stage(pub(super) BTreeMap<String, Value>);

/// What a run did.
pub(super) struct Course {
    pub(super) name: RunName,
    /// Where it comes from; null if it begins on its own.
    pub(super) origin: Value,
    /// The name of its graph.
    pub(super) graph: Value,
    /// The revision that it began with.
    pub(super) revision: Value,
    pub(super) input: Value,
    pub(super) stages: BTreeMap<u64, Stage>,
    /// An object keyed by output vertex.
    pub(super) outputs: Value,
    /// How it ended and what it used, the same things in the same order for every run.
    pub(super) totals: Vec<(String, Value)>,
}

impl Course {
    /// Reads a run.
    ///
    /// # Errors
    /// There is no such run, or its log is corrupt.
    pub(super) fn of(store: &Store<Record>, name: &RunName) -> Result<Self, CommandError> {
        let (started, records) = read_run(store, name)?;
        let programs = not_loaded(name, &started)?;
        let mut told = Told { status: "unfinished".to_owned(), ..Told::default() };
        let (outputs, totals) = follow(name, &records, &programs, |notice, coordinator| {
            if told.revision.is_none() {
                told.revision = coordinator.graph(FrameId::ROOT).map(|graph| graph.revision().to_string());
            }
            told.add(&notice);
        })?;
        Ok(Self {
            name: name.clone(),
            origin: Origin::of(&records).map(|origin| origin.to_string()).into(),
            graph: started.root.clone().into(),
            revision: told.revision.into(),
            input: started.input.value().clone(),
            stages: told.stages,
            outputs: outputs.value().clone(),
            totals: totals_of(&told.status, &totals),
        })
    }
}

fn totals_of(status: &str, totals: &Totals) -> Vec<(String, Value)> {
    let usage = totals.usage;
    [
        ("status", json!(status)),
        ("supersteps", json!(totals.supersteps)),
        ("activations", json!(totals.activations)),
        ("mutations", json!(totals.mutations)),
        ("calls", json!(usage.calls)),
        ("prompt tokens", json!(usage.prompt_tokens)),
        ("completion tokens", json!(usage.completion_tokens)),
        ("cost", json!(usage.cost)),
        ("seconds", json!(totals.elapsed as f64 / 1e6)),
    ]
    .map(|(what, value)| (what.to_owned(), value))
    .to_vec()
}

#[derive(Default)]
struct Told {
    at: u64,
    revision: Option<String>,
    stages: BTreeMap<u64, Stage>,
    status: String,
}

impl Told {
    fn add(&mut self, notice: &Notice) {
        match notice {
            Notice::SuperstepStarted { superstep, .. } => self.at = *superstep,
            Notice::Completed { activation, output, failure, .. } => {
                let output = output.as_ref().map(|output| output.value().clone()).unwrap_or_default();
                let told = match failure {
                    Some(failure) => json!(format!("failed: {}", failure.message)),
                    None => output,
                };
                // An activation without an output is told from one that never was.
                let told = if told.is_null() { json!("no output") } else { told };
                self.say(activation.to_string(), told);
            }
            Notice::Cancelled { activation } => self.say(activation.to_string(), json!("cancelled")),
            Notice::Mutated { requester, mutation, verdict, .. } => {
                self.say(format!("{requester} {}", change(mutation)), json!(words(verdict)));
            }
            Notice::JoinIncomplete { vertex, action, missing, .. } => {
                let missing: Vec<&str> = missing.iter().map(superstep_graph::VertexName::as_str).collect();
                let told = format!("{action:?} without {}", missing.join(", "));
                self.say(format!("join of {vertex}"), json!(told));
            }
            Notice::Committed { superstep, .. } => self.at = superstep + 1,
            Notice::Ended { status, .. } => self.status = status_text(status),
            Notice::Started { .. }
            | Notice::Retrying { .. }
            | Notice::Asked { .. }
            | Notice::Settled { .. }
            | Notice::Opened { .. }
            | Notice::Called(_)
            | Notice::Resumed { .. }
            | Notice::Paused
            | Notice::Suspended => {}
        }
    }

    fn say(&mut self, name: String, told: Value) {
        self.stages.entry(self.at).or_default().0.insert(name, told);
    }
}
