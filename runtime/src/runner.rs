//! The local runner: one run in one process, driven over its log.

mod acknowledge;
mod compact;
mod costs;
mod drive;
mod embedded;
mod fork;
mod handle;
mod judged;
mod left;
mod questions;
mod replay;
mod requests;
mod run_error;
mod standing;

use std::collections::BTreeMap;
use std::sync::Arc;

use superstep_engine::{
    ActivationId, CallKey, Carried, Coordinator, Homes, Notice, Partition, Payload, Record, Remains,
    ReplayError, RunConfig, RunStarted, RunStatus, Solo, Totals,
};
use superstep_graph::{GraphSpec, ValidatedGraph};
use superstep_store::{Log, RunName, Store, StoreError, TornTail};

use crate::call_subject::CallSubject;
use crate::control::{ControlError, Listening, SocketFolder};
use crate::events::Hub;
use crate::expressions::EdgeExpressions;
use crate::programs::Programs;

use costs::CostNotes;
use drive::Driver;
use handle::Control;

pub use compact::{Compaction, compact};
pub use costs::CostsError;
pub use fork::{carried, fork, graph_before};
pub use handle::{PatchError, RunHandle, RunState};
pub use judged::{JudgedPatch, judged};
pub use left::{answer_left, open_questions};
pub(crate) use left::{cancel_left, patch_left, suspend_left};
pub use questions::AnswerError;
pub(crate) use questions::wall_clock;
pub use replay::{Difference, Replayed, replay};
pub use requests::{Requests, Taken};
pub use run_error::RunError;
pub use standing::{LogStanding, standing};

/// Is told what happens in a run. It is called by the task that drives the run and must not block.
pub trait Observer: Send + Sync {
    /// Something has happened.
    fn notice(&self, notice: &Notice);

    /// A model has written a piece of its answer. Nothing of it is durable.
    fn text(&self, activation: &ActivationId, text: &str) {
        let _unseen = (activation, text);
    }

    /// A call is about to be made, whose intent is durable; [`Notice::Called`] tells how it ends. It may not
    /// end, if its activation is cancelled or runs out of time; then the call can be made again under the same
    /// key. A call whose outcome the log has is not made, and not told here.
    ///
    /// The subject is there if the program tells it, and an observer [watches calls](Self::watches_calls). It
    /// holds prompts and arguments.
    fn calling(&self, call: &CallKey, subject: Option<&CallSubject>) {
        let _unseen = (call, subject);
    }

    /// Whether it wants to know what calls are about, which takes a copy of each prompt. Asked once, before
    /// the run. Default: no.
    fn watches_calls(&self) -> bool {
        false
    }
}

/// What every run of a process shares.
#[derive(Clone)]
pub struct Setup {
    /// The programs that vertices may execute.
    pub programs: Arc<Programs>,
    /// Who is told what happens.
    pub observers: Vec<Arc<dyn Observer>>,
    /// Who drives, for the log.
    pub owner: String,
    /// Whether a run is left, resumable, when nothing but answers from outside can move it.
    pub leave_when_paused: bool,
}

/// A run that has not begun.
#[derive(Clone, Debug)]
pub struct NewRun {
    /// Its name, unique in the store.
    pub name: RunName,
    /// The name of its own graph.
    pub root: String,
    /// That graph, and those that it opens as sub-graphs.
    pub graphs: BTreeMap<String, ValidatedGraph>,
    /// Its input.
    pub input: Payload,
    /// What is needed to resume it, kept in its log as it is.
    pub attachment: Payload,
    /// Seconds since 1970, for people.
    pub started_at: u64,
    /// What it takes over from the run that it continues, if it continues one: of that, what its own graph
    /// has a place for. See [`carried`].
    pub carried: Option<Carried>,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq)]
pub struct RunEnd {
    /// How.
    pub status: RunStatus,
    /// An object keyed by output vertex; partial unless the run succeeded.
    pub outputs: Payload,
    /// What it used.
    pub totals: Totals,
}

/// A run in this process, ready to be driven.
pub struct Run {
    driver: Driver,
    handle: RunHandle,
    torn: Option<TornTail>,
    costs: CostNotes,
}

impl Run {
    /// A new run: its log is created, and nothing else happens until it is driven.
    ///
    /// # Errors
    /// A program cannot be prepared, the name is taken, or the store fails.
    pub fn create(setup: Setup, store: &Store<Record>, new: NewRun) -> Result<Self, RunError> {
        let name = new.name.clone();
        let (config, notes) = config_for(store, new)?;
        let mut run = Self::assemble(setup, config, name.clone(), notes)?;
        let log = fresh_log(store, &name, &run.driver.owner)?;
        run.driver.begin(log);
        Ok(run)
    }

    /// A run that a process left, at the point that its log tells: what ran runs again, and calls
    /// with an outcome are not made again. Notices of the past are told again.
    ///
    /// # Errors
    /// The log is corrupt or does not lead to a state that a run can be in, another process has it,
    /// or a program cannot be prepared.
    pub fn resume(setup: Setup, store: &Store<Record>, name: &RunName) -> Result<Self, RunError> {
        let (log, contents) = store.open(name, &setup.owner)?;
        let config = config_of(name, &contents.records)?;
        let notes = CostNotes::of(store, config.costs.clone());
        let mut run = Self::assemble(setup, config, name.clone(), notes)?;
        run.torn = contents.torn;
        run.driver.resume(log, &contents.records)?;
        Ok(run)
    }

    fn assemble(setup: Setup, config: RunConfig, name: RunName, costs: CostNotes) -> Result<Self, RunError> {
        if !config.library.contains_key(&config.started.root) {
            return Err(RunError::NoGraph(config.started.root.clone()));
        }
        let hub = Arc::new(Hub::default());
        let (handle, controls) = RunHandle::new(Arc::clone(&hub));
        let driver = Driver::new(setup, config, name, hub, controls)?;
        Ok(Self { driver, handle, torn: None, costs })
    }

    /// Lets other processes of this user reach the run while it is driven: they patch, cancel, answer and watch
    /// it by [`Reach`](crate::Reach) and [`Watch`](crate::Watch). `store` is the one that keeps the run. The
    /// run need not listen: then it has to be left before another process changes it.
    ///
    /// It must be called on a tokio runtime with IO and time enabled, which serves those who come.
    ///
    /// # Errors
    /// The store is in memory, there is no folder for a socket, or the system has no sockets with paths.
    pub fn listen(&mut self, store: &Store<Record>, sockets: &SocketFolder) -> Result<(), ControlError> {
        let listening = Listening::begin(store, &self.driver.run, sockets, self.handle())?;
        self.driver.listening = Some(listening);
        Ok(())
    }

    /// Reaches into the run while it is driven.
    pub fn handle(&self) -> RunHandle {
        self.handle.clone()
    }

    /// What was cut off the log because its last write was never acknowledged.
    pub fn torn_tail(&self) -> Option<&TornTail> {
        self.torn.as_ref()
    }

    /// Why what earlier runs have measured of some graphs is not known to this one, where it is noted: it
    /// begins with the costs that the graphs give.
    pub fn unread_costs(&self) -> &[CostsError] {
        self.costs.problems()
    }

    /// Drives the run to its end; none if it was detached before, or left when paused. What it has measured
    /// of the costs of edges is noted in the store at its end.
    ///
    /// # Errors
    /// The log took no more records. The run can be resumed.
    pub async fn drive(mut self) -> Result<Option<RunEnd>, RunError> {
        let end = self.driver.drive().await?;
        if end.is_some() {
            self.costs.keep(self.driver.costs());
        }
        Ok(end)
    }
}

/// Begins the log of a new run that others will drive: all that it begins with is durable, and no term has begun.
/// It may block on the store, and must not be called where async tasks are driven.
///
/// # Errors
/// The name is taken, or the store fails.
pub fn record_run(store: &Store<Record>, new: NewRun, owner: &str) -> Result<(), RunError> {
    let name = new.name.clone();
    let (config, _) = config_for(store, new)?;
    let first = Record::RunStarted(Arc::clone(&config.started));
    let known = (!config.costs.is_empty()).then(|| Record::Known(config.costs.clone()));
    let records = [first].into_iter().chain(config.carried.map(Record::Continued)).chain(known).collect();
    let mut log = fresh_log(store, &name, owner)?;
    log.append(records).wait().map_err(|source| RunError::Append { run: name, source })?;
    Ok(())
}

/// What a new run begins with, and what is noted of the costs of its edges.
fn config_for(store: &Store<Record>, new: NewRun) -> Result<(RunConfig, CostNotes), RunError> {
    let graphs = new.graphs.iter().map(|(name, graph)| (name.clone(), graph.shared_spec())).collect();
    let started = RunStarted {
        run: new.name.to_string(),
        root: new.root,
        graphs,
        input: new.input,
        attachment: new.attachment,
        started_at: new.started_at,
    };
    let root = new.graphs.get(&started.root).ok_or_else(|| RunError::NoGraph(started.root.clone()))?;
    let carried = new.carried.map(|carried| Arc::new(carried.onto(root).0));
    let notes = CostNotes::read(store, new.graphs.keys());
    let (started, costs) = (Arc::new(started), notes.before().clone());
    let homes = Arc::new(Homes::one());
    let config = RunConfig { started, library: new.graphs, carried, homes, costs, remains: None };
    Ok((config, notes))
}

/// The log of a run that is about to begin.
///
/// # Errors
/// The name is taken, or the store fails.
fn fresh_log(store: &Store<Record>, name: &RunName, owner: &str) -> Result<Box<dyn Log<Record>>, StoreError> {
    match store.create(name, owner) {
        // A process that was killed before its first record has left a log that holds no run.
        Err(StoreError::Exists { run }) => match store.open(name, owner) {
            Ok((log, contents)) if contents.records.is_empty() => Ok(log),
            Ok((_, _)) | Err(StoreError::NotKept { .. }) => Err(StoreError::Exists { run }),
            Err(error) => Err(error),
        },
        created => created,
    }
}

/// What a log begins with: for resuming, the attachment tells what its programs need.
///
/// # Errors
/// The log is corrupt, or holds no run.
pub fn read_run(store: &Store<Record>, name: &RunName) -> Result<(Arc<RunStarted>, Vec<Record>), RunError> {
    let contents = store.read_only(name)?;
    match contents.records.first() {
        Some(Record::RunStarted(started)) => Ok((Arc::clone(started), contents.records)),
        Some(_) | None => Err(RunError::Empty { run: name.clone() }),
    }
}

/// Tells what a log holds, notice by notice, and gives the outputs and totals at its end.
///
/// # Errors
/// The records do not follow from each other, or a graph is not valid to this version.
pub fn tell(
    name: &RunName,
    records: &[Record],
    programs: &Arc<Programs>,
    mut told: impl FnMut(Notice),
) -> Result<(Payload, Totals), RunError> {
    go_through(config_of(name, records)?, (name, records), programs, |notice, _| told(notice))
}

/// As [`tell`], with the coordinator beside each notice, as it is once the record is taken in that led
/// to the notice: its graphs are those of the superstep that comes next.
///
/// # Errors
/// As [`tell`], and the run was compacted: there is no such coordinator then.
pub fn follow(
    name: &RunName,
    records: &[Record],
    programs: &Arc<Programs>,
    told: impl FnMut(Notice, &Coordinator),
) -> Result<(Payload, Totals), RunError> {
    go_through(whole(name, config_of(name, records)?)?, (name, records), programs, told)
}

fn go_through(
    config: RunConfig,
    (name, records): (&RunName, &[Record]),
    programs: &Arc<Programs>,
    told: impl FnMut(Notice, &Coordinator),
) -> Result<(Payload, Totals), RunError> {
    let solo = told_by(config, (name, records), programs, told)?;
    Ok((solo.coordinator().outputs(), solo.coordinator().totals()))
}

/// A run at the point that its log tells, once `told` has heard all of it.
fn told_by(
    config: RunConfig,
    (name, records): (&RunName, &[Record]),
    programs: &Arc<Programs>,
    mut told: impl FnMut(Notice, &Coordinator),
) -> Result<Solo, RunError> {
    let mut solo = Solo::new(config, Arc::new(EdgeExpressions::new(Arc::clone(programs))));
    for (position, record) in records.iter().enumerate() {
        let replayed = solo.replay(std::slice::from_ref(record));
        replayed.map_err(|found| RunError::Replay {
            run: name.clone(),
            source: ReplayError { position, why: found.why },
        })?;
        while let Some(action) = solo.poll_action() {
            if let superstep_engine::Action::Notify(notice) = action {
                told(notice, solo.coordinator());
            }
        }
    }
    Ok(solo)
}

/// What a run begins with whose log has all of its records.
fn whole(name: &RunName, config: RunConfig) -> Result<RunConfig, RunError> {
    match &config.remains {
        Some(remains) => Err(RunError::Compacted { run: name.clone(), from: remains.from }),
        None => Ok(config),
    }
}

pub(crate) fn config_of(name: &RunName, records: &[Record]) -> Result<RunConfig, RunError> {
    let Some(Record::RunStarted(started)) = records.first() else {
        return Err(RunError::Empty { run: name.clone() });
    };
    let valid = |(graph, spec): (&String, &Arc<GraphSpec>)| match superstep_graph::validate(spec) {
        Ok(valid) => Ok((graph.clone(), valid)),
        Err(problems) => Err(RunError::Graph { graph: graph.clone(), problems }),
    };
    let library = started.graphs.iter().map(valid).collect::<Result<_, _>>()?;
    let costs = Record::known_costs(records);
    let carried = match records.get(1) {
        Some(Record::Continued(carried)) => Some(Arc::clone(carried)),
        Some(_) | None => None,
    };
    let remains = Remains::of(records).cloned();
    let homes = Arc::new(Homes::one());
    Ok(RunConfig { started: Arc::clone(started), library, carried, homes, costs, remains })
}

/// The parts of a run, at the point that its log tells: its coordinator and its partitions, of which `homes` has as
/// many. Neither works before it is told to go live. `told` hears what the log tells of the past.
///
/// # Errors
/// The records do not follow from each other, or a graph is not valid to this version.
pub fn parts_of(
    name: &RunName,
    records: &[Record],
    programs: &Arc<Programs>,
    homes: Homes,
    mut told: impl FnMut(&Notice),
) -> Result<(Coordinator, Vec<Partition>), RunError> {
    let config = RunConfig { homes: Arc::new(homes), ..config_of(name, records)? };
    let solo = told_by(config, (name, records), programs, |notice, _| told(&notice))?;
    Ok(solo.into_parts())
}

fn replayed(name: &RunName, records: &[Record], programs: &Arc<Programs>) -> Result<Solo, RunError> {
    let config = config_of(name, records)?;
    let mut solo = Solo::new(config, Arc::new(EdgeExpressions::new(Arc::clone(programs))));
    solo.replay(records).map_err(|source| RunError::Replay { run: name.clone(), source })?;
    Ok(solo)
}

/// The log of a run, and the records that are on their way to it.
type RunLog = Box<dyn Log<Record>>;

#[cfg(test)]
mod tests;
