//! The graph of a case, ready to be run again and again.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use superstep_engine::{Payload, QuestionId, Record};
use superstep_graph::VertexName;
use superstep_provision::{Quiet, RunPlan};
use superstep_runtime::{
    NewRun, Observer, Programs, Run, RunError, Setup, answer_left, open_questions, read_run,
};
use superstep_store::{Results, RunName, Store};

use super::witness::{Intruder, Seen, Witness};
use crate::args::Files;
use crate::exit::CommandError;
use crate::{given, manifests};

/// Who drives, for the log.
pub(super) const OWNER: &str = "superstep conformance";

/// A run that has not moved for so long does not come to its end.
const PATIENCE: Duration = Duration::from_secs(60);

/// A graph with all that it takes to run it.
pub(super) struct Stage {
    runtime: tokio::runtime::Runtime,
    plan: RunPlan,
    input: Payload,
}

/// What a drive has left, and what was seen of it.
pub(super) struct Driven {
    /// The log.
    pub(super) records: Vec<Record>,
    /// The calls.
    pub(super) seen: Seen,
}

impl Stage {
    /// The graph and the input in the folder of a case.
    ///
    /// # Errors
    /// The files have mistakes, which are shown, or the input does not fit.
    pub(super) fn of(folder: &Path) -> Result<Self, CommandError> {
        let manifests = manifests::read_without_doubts(&Files { files: vec![folder.join("graph.yaml")] })?;
        let chosen = manifests.resources.graph(None).or_else(|_| manifests.resources.graph(Some("main")))?;
        let root = chosen.content.document.metadata.name.clone();
        let file = folder.join("input.json");
        let named = file.is_file().then(|| format!("@{}", file.display()));
        let given = given::input(named.as_deref(), &mut io::empty(), &chosen.content.document.spec.graph)?;
        let plan = RunPlan::of(&manifests.resources, &root, &Value::Null)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Self { runtime, plan, input: Payload::from(given) })
    }

    /// Its programs, of which each drive has its own, as each process would.
    ///
    /// # Errors
    /// A model or a tool cannot be used.
    pub(super) fn programs(&self) -> Result<Arc<Programs>, CommandError> {
        let provided = self.runtime.block_on(self.plan.provide(Results::memory(), Arc::new(Quiet)))?;
        Ok(Arc::new(provided.programs))
    }

    /// Begins a run, and drives it as far as it goes.
    ///
    /// # Errors
    /// A program cannot be prepared, or the store fails.
    pub(super) fn begin(
        &self,
        store: &Store<Record>,
        name: &RunName,
        intruder: Option<VertexName>,
    ) -> Result<Driven, CommandError> {
        self.drive(store, name, &[], intruder, |setup| {
            let new = NewRun {
                name: name.clone(),
                root: self.plan.root().to_owned(),
                graphs: self.plan.graphs().clone(),
                input: self.input.clone(),
                attachment: Payload::null(),
                started_at: 0,
                carried: None,
            };
            Run::create(setup, store, new)
        })
    }

    /// Goes on with a run as far as it goes.
    ///
    /// # Errors
    /// As [`begin`](Self::begin), and the log is not one that can be gone on from.
    pub(super) fn resume(
        &self,
        store: &Store<Record>,
        name: &RunName,
        intruder: Option<VertexName>,
    ) -> Result<Driven, CommandError> {
        let (_, records) = read_run(store, name)?;
        self.drive(store, name, &records, intruder, |setup| Run::resume(setup, store, name))
    }

    fn drive(
        &self,
        store: &Store<Record>,
        name: &RunName,
        before: &[Record],
        intruder: Option<VertexName>,
        run: impl FnOnce(Setup) -> Result<Run, RunError>,
    ) -> Result<Driven, CommandError> {
        let intruder = intruder.map(|during| Intruder { during, store: store.clone(), run: name.clone() });
        let witness = Arc::new(Witness::after(before, intruder));
        let mut setup = Setup::new(self.programs()?).observed_by(Arc::clone(&witness) as Arc<dyn Observer>);
        OWNER.clone_into(&mut setup.owner);
        self.runtime.block_on(async {
            let run = run(setup)?;
            match tokio::time::timeout(PATIENCE, run.drive()).await {
                Ok(driven) => driven.map(drop),
                // What the log has is compared with what is expected of a run that ended.
                Err(_) => Ok(()),
            }
        })?;
        let (_, records) = read_run(store, name)?;
        Ok(Driven { records, seen: witness.seen() })
    }

    /// The questions that a log leaves open.
    ///
    /// # Errors
    /// The log does not lead to a state that a run can be in.
    pub(super) fn questions(
        &self,
        name: &RunName,
        records: &[Record],
    ) -> Result<Vec<QuestionId>, CommandError> {
        let open = open_questions(name, records, &self.programs()?)?;
        Ok(open.into_iter().map(|(id, _)| id).collect())
    }

    /// Puts an answer into the log of a run that nobody drives.
    ///
    /// # Errors
    /// The answer is not taken.
    pub(super) fn answer(
        &self,
        store: &Store<Record>,
        name: &RunName,
        answer: (QuestionId, Payload),
    ) -> Result<(), CommandError> {
        Ok(self.wait(answer_left(store, name, &self.programs()?, OWNER, answer))?)
    }

    /// Waits for something.
    pub(super) fn wait<T>(&self, what: impl Future<Output = T>) -> T {
        self.runtime.block_on(what)
    }

    /// Another store, in memory, with a run that has these records.
    ///
    /// # Errors
    /// It does not take them.
    pub(super) fn with_log(&self, name: &RunName, records: &[Record]) -> Result<Store<Record>, CommandError> {
        let store = Store::memory();
        let mut log = store.create(name, OWNER).map_err(RunError::from)?;
        let appended = self.runtime.block_on(log.append(records.to_vec()));
        appended.map_err(|source| RunError::Append { run: name.clone(), source })?;
        Ok(store)
    }
}
