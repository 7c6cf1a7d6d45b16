//! `superstep run` and `superstep resume`.

use std::sync::Arc;
use std::time::SystemTime;

use serde_json::{Value, json};
use superstep_engine::{Payload, Proposal, Question, QuestionId, Record, RunStatus};
use superstep_graph::RetentionSpec;
use superstep_provision::{Provided, RunPlan, not_loaded, programs_of, with_causes};
use superstep_runtime::{
    NewRun, Observer, Origin, Programs, Run, RunError, Setup, SocketFolder, fresh_name, note_end,
    open_questions, read_run,
};
use superstep_store::{Results, RunName, Store};
use tracing::Instrument as _;

use crate::args::runs::{ResumeArgs, RunArgs, ShowProgress, TraceArgs};
use crate::ask::Asking;
use crate::exit::{CommandError, Exit};
use crate::input::InputError;
use crate::log::Logged;
use crate::models::Bar;
use crate::output::{self, OutputFormat};
use crate::progress::{Shown, status_text};
use crate::signals::Signals;
#[cfg(feature = "otlp")]
use crate::trace::Tracing;
#[cfg(not(feature = "otlp"))]
use crate::untraced::Tracing;
use crate::{continued, given, kept, log, manifests, retention, shell};

/// Runs a graph to its end.
///
/// # Errors
/// The files or the input are wrong, or the store or a model cannot be used.
pub(crate) fn run(args: &RunArgs) -> Result<Exit, CommandError> {
    let reads_stdin = args.files.files.iter().any(|file| file.as_os_str() == "-");
    if reads_stdin && args.input.as_deref() == Some("-") {
        return Err(InputError::StdinTwice.into());
    }
    let manifests = manifests::read(&args.files)?;
    let chosen = manifests.resources.graph(args.graph.as_deref())?;
    let root = chosen.content.document.metadata.name.clone();
    let (given, parameters) = given::of_run(args, &chosen.content.document.spec.graph)?;
    let plan = RunPlan::of(&manifests.resources, &root, &parameters)?;
    let name = name_of_new(args.run_id.as_deref(), &root)?;
    let store = if args.ephemeral { Store::transient() } else { open_store(&args.store)? };
    let carried = match (&args.continue_from, plan.graphs().get(&root)) {
        (Some(from), Some(graph)) => Some(continued::carried(&open_store(&args.store)?, from, &root, graph)?),
        (_, _) => None,
    };
    let asking = Asking::new(&name, args.no_input, Vec::new(), 0);
    let runtime = tokio::runtime::Runtime::new()?;
    let results = if args.ephemeral { Results::memory() } else { kept::results(&args.store)? };
    let providing = plan.provide(results, Arc::new(Bar::new(args.progress)));
    let Provided { programs, attachment } = runtime.block_on(providing)?;
    let signals = Signals::watch(&runtime)?;
    let mut setup = setup(&name, programs, args.progress, None, &asking)?;
    let started_at =
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let input = Payload::from(given);
    let origin = carried.as_ref().map(|carried| Origin::Continues(carried.run.clone()));
    let retention = plan.graphs().get(&root).and_then(|graph| graph.spec().retention);
    let graphs = plan.graphs().clone();
    let new =
        NewRun { name: name.clone(), root: root.clone(), graphs, input, attachment, started_at, carried };
    let tracing = Tracing::begin(&args.trace)?;
    setup.observers.extend(tracing.of_new(&new));
    let run = Run::create(setup, &store, new)?;
    for problem in run.unread_costs() {
        log::say(&format!("{problem}; the run begins with the costs that the graph gives"));
    }
    let driving = Driving {
        name: &name,
        output: args.output,
        resumable: !args.ephemeral,
        folder: args.store.folder.as_deref(),
        store: &store,
        graph: &root,
        started_at,
        tracing,
        origin,
        retention: retention.filter(|_| !args.ephemeral),
    };
    drive(run, asking, &driving, (runtime, signals))
}

/// The name of a new run of a graph: the one that the user wants, else one that no run is likely to have.
///
/// # Errors
/// It is no name of a run.
pub(crate) fn name_of_new(wanted: Option<&str>, graph: &str) -> Result<RunName, CommandError> {
    Ok(wanted.map_or_else(|| fresh_name(graph), str::parse).map_err(RunError::Store)?)
}

/// Goes on with a run.
///
/// # Errors
/// There is no such run, its log is corrupt, or a model cannot be used.
pub(crate) fn resume(args: &ResumeArgs) -> Result<Exit, CommandError> {
    let name: RunName = args.run.parse().map_err(RunError::Store)?;
    let store = open_store(&args.store)?;
    let going_on = GoingOn {
        kept_in: &args.store,
        output: args.output,
        progress: args.progress,
        no_input: args.no_input,
        trace: &args.trace,
    };
    go_on(&name, &store, &going_on)
}

/// How a run goes on that has a log.
pub(crate) struct GoingOn<'a> {
    /// Where runs are kept.
    pub(crate) kept_in: &'a crate::args::runs::Store,
    /// How the result is written.
    pub(crate) output: OutputFormat,
    /// When progress is shown.
    pub(crate) progress: ShowProgress,
    /// Whether nothing is asked on the terminal.
    pub(crate) no_input: bool,
    /// Where its trace goes.
    pub(crate) trace: &'a TraceArgs,
}

/// Goes on with a run from its log.
///
/// # Errors
/// As [`resume`].
pub(crate) fn go_on(
    name: &RunName,
    store: &Store<Record>,
    going_on: &GoingOn<'_>,
) -> Result<Exit, CommandError> {
    let (started, records) = read_run(store, name)?;
    let committed = Record::supersteps(&records);
    let open = open_questions(name, &records, &not_loaded(name, &started)?)?;
    let told = records.iter().filter(|record| matches!(record, Record::Suspended { .. })).count();
    let asking = Asking::new(name, going_on.no_input, open, told);
    let runtime = tokio::runtime::Runtime::new()?;
    let results = kept::results(going_on.kept_in)?;
    let providing = programs_of(name, &started, results, Arc::new(Bar::new(going_on.progress)));
    let programs = runtime.block_on(providing)?;
    let signals = Signals::watch(&runtime)?;
    let mut setup = setup(name, programs, going_on.progress, Some(committed), &asking)?;
    let tracing = Tracing::begin(going_on.trace)?;
    setup.observers.extend(tracing.of_resumed(&started));
    let run = Run::resume(setup, store, name)?;
    if let Some(torn) = run.torn_tail() {
        let bytes = torn.bytes;
        let cut = format!("{bytes} bytes of a write that was never acknowledged were cut off the log");
        log::say(&cut);
    }
    let driving = Driving {
        name,
        output: going_on.output,
        resumable: true,
        folder: going_on.kept_in.folder.as_deref(),
        store,
        graph: &started.root,
        started_at: started.started_at,
        tracing,
        origin: Origin::of(&records),
        retention: started.graphs.get(&started.root).and_then(|graph| graph.retention),
    };
    drive(run, asking, &driving, (runtime, signals))
}

/// The store of runs in a folder.
pub(crate) fn open_store(store: &crate::args::runs::Store) -> Result<Store<Record>, CommandError> {
    let folder = store.folder(&|name| std::env::var(name).ok()).ok_or(CommandError::NoStore)?;
    Ok(Store::folder(folder).map_err(RunError::from)?)
}

fn setup(
    name: &RunName,
    programs: Programs,
    progress: ShowProgress,
    resumed_at: Option<u64>,
    asking: &Asking,
) -> Result<Setup, CommandError> {
    let programs = Arc::new(programs);
    let shown = if log::is_json() { None } else { Shown::new(progress, resumed_at) };
    if shown.is_some() {
        log::say_as_it_is(&format!("run {name}"));
    }
    let shown = shown.map(|shown| Arc::new(shown) as Arc<dyn Observer>);
    let logged = if progress == ShowProgress::Never { None } else { Logged::new(name, resumed_at.is_some()) };
    let logged = logged.map(|logged| Arc::new(logged) as Arc<dyn Observer>);
    let owner = "superstep".to_owned();
    let observers = shown.into_iter().chain(logged).chain([asking.observer()]).collect();
    Ok(Setup { programs, observers, owner, leave_when_paused: !asking.is_on_terminal() })
}

struct Driving<'a> {
    name: &'a RunName,
    output: OutputFormat,
    resumable: bool,
    /// The folder of runs, if the user named one.
    folder: Option<&'a std::path::Path>,
    /// Where the run is kept.
    store: &'a Store<Record>,
    /// The name of its graph.
    graph: &'a str,
    /// When it was started, in seconds since 1970.
    started_at: u64,
    /// Where its trace goes.
    tracing: Tracing,
    /// Where it comes from, if it does not begin on its own.
    origin: Option<Origin>,
    /// Which runs of its graph are kept once it has ended.
    retention: Option<RetentionSpec>,
}

/// Drives a run to its end, or until it is interrupted.
fn drive(
    mut run: Run,
    asking: Asking,
    driving: &Driving<'_>,
    (runtime, mut signals): (tokio::runtime::Runtime, Signals),
) -> Result<Exit, CommandError> {
    let handle = run.handle();
    let unanswered = asking.begin(handle.clone())?;
    let span = tracing::info_span!("run", run = driving.name.as_str());
    let end = runtime.block_on(async move {
        if driving.resumable
            && let Err(error) = run.listen(driving.store, &SocketFolder::from_environment())
        {
            let text = with_causes(&error);
            log::say(&format!("no other process can reach this run: {text}"));
        }
        tokio::spawn(async move {
            signals.come().await;
            handle.detach();
        });
        Ok::<_, CommandError>(run.drive().instrument(span).await?)
    });
    // A model that is still writing must not hold the command up.
    runtime.shutdown_background();
    driving.tracing.finish();
    let end = end?;
    let Some(end) = end else { return interrupted(driving, unanswered.any()) };
    let begun = (driving.graph, driving.started_at);
    note_end(driving.store, driving.name, begun, driving.origin.clone(), &end);
    output::result(end.outputs.value(), driving.output)?;
    if let Some(retention) = driving.retention {
        retention::apply(driving.store, (driving.graph, driving.name), retention);
        if let Some(keep) = retention.supersteps {
            retention::shorten(driving.store, driving.name, keep);
        }
    }
    Ok(exit_of(driving.name, &end.status))
}

fn interrupted(driving: &Driving<'_>, waits: bool) -> Result<Exit, CommandError> {
    if driving.resumable {
        let store = shell::store(driving.folder);
        let name = driving.name;
        let open = if waits { still_open(driving)? } else { Vec::new() };
        if let Some((first, question)) = open.first() {
            let is_proposal = Proposal::of(question).is_some();
            // With several, one has to be named.
            let (which, waits) = match open.len() {
                1 => (String::new(), "an answer".to_owned()),
                several => {
                    let option = if is_proposal { "" } else { "--vertex " };
                    let which = format!(" {option}{}", shell::quoted(&first.to_string()));
                    (which, format!("{several} answers"))
                }
            };
            let answer = if is_proposal {
                format!("superstep approve {name}{store}{which}")
            } else {
                format!("superstep answer {name}{store}{which} ANSWER")
            };
            log::say(&format!("run {name} waits for {waits}: {answer}"));
            log::say(&format!("then go on with: superstep resume {name}{store}"));
        } else {
            log::say(&format!("interrupted; go on with: superstep resume {name}{store}"));
        }
    } else {
        log::say("interrupted; the run was in memory only and is gone");
    }
    Ok(Exit::Interrupted)
}

/// The questions that are open: they may have been answered from another process.
fn still_open(driving: &Driving<'_>) -> Result<Vec<(QuestionId, Question)>, CommandError> {
    let (started, records) = read_run(driving.store, driving.name)?;
    Ok(open_questions(driving.name, &records, &not_loaded(driving.name, &started)?)?)
}

/// How the command ends that has shown a run to its end.
pub(crate) fn exit_of(name: &RunName, status: &RunStatus) -> Exit {
    let exit = match status {
        RunStatus::Succeeded => Exit::Success,
        RunStatus::Failed { .. } | RunStatus::Cancelled => Exit::RunFailed,
        RunStatus::LimitReached(_) => Exit::LimitReached,
    };
    if exit != Exit::Success {
        log::say(&format!("run {name} {}", status_text(status)));
    }
    exit
}

/// A status and totals, for people and programs.
pub(crate) fn summary(status: Option<&RunStatus>, totals: &superstep_engine::Totals) -> Value {
    json!({
        "status": status.map_or_else(|| "unfinished".to_owned(), status_text),
        "supersteps": totals.supersteps,
        "activations": totals.activations,
        "calls": totals.usage.calls,
        "promptTokens": totals.usage.prompt_tokens,
        "completionTokens": totals.usage.completion_tokens,
        "cost": totals.usage.cost,
        "seconds": totals.elapsed as f64 / 1e6,
    })
}
