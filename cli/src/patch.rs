//! `superstep patch`.

mod verdicts;

use std::io;
use std::time::SystemTime;

use superstep_api::{AgentGraphPatch, CheckedGraph, Resource};
use superstep_engine::Patch;
use superstep_graph::{FieldPath, Mutation, PriorityClass, Problem};
use superstep_provision::not_loaded;
use superstep_runtime::{Reach, Reached, RunError, Watch, WatchFrom, read_run};
use superstep_store::RunName;

use crate::args::Files;
use crate::args::reach::PatchArgs;
use crate::exit::{CommandError, Exit};
use crate::report::show;
use crate::run::open_store;
use crate::{manifests, output, remote, shell};

pub(crate) use verdicts::Verdicts;

/// Asks for changes to the graph of a run, whoever drives it, and shows what became of them.
///
/// # Errors
/// The files are wrong or for something else, there is no such run, it has ended, knows another patch of that
/// name, or is driven by a process that cannot be reached.
pub(crate) fn patch(args: &PatchArgs) -> Result<Exit, CommandError> {
    if let Some(url) = &args.connect.connect {
        return remote::patch(args, url);
    }
    let name: RunName = args.run.parse().map_err(RunError::Store)?;
    let store = open_store(&args.store)?;
    let (started, _) = read_run(&store, &name)?;
    let patches = read(&args.files, &name, &started.root)?;
    let programs = not_loaded(&name, &started)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let reach = Reach::new(&store, &name, programs.clone(), "superstep patch");
    let mut driven = false;
    for patch in &patches {
        driven |= runtime.block_on(reach.patch(patch.clone()))? == Reached::Driver;
    }
    let mut verdicts = Verdicts::of(&patches);
    if driven && !args.no_wait {
        let mut watch = Watch::new(&store, &name, programs, WatchFrom::Offset(0))?;
        runtime.block_on(verdicts.wait(&mut watch))?;
    }
    // A read of the log that is still under way must not hold the command up.
    runtime.shutdown_background();
    output::write(&verdicts.shown(), args.output, &mut io::stdout().lock())?;
    verdicts.advise(&name, &shell::store(args.store.folder.as_deref()), driven);
    Ok(if verdicts.any_refused() { Exit::RunFailed } else { Exit::Success })
}

/// The changes that the files ask for: the graph of the run, if its document is among them, and the patches, in the
/// order of their names. Every doubt and mistake is shown.
///
/// # Errors
/// There is a mistake or nothing to apply, or a patch is for something else.
pub(crate) fn read(
    files: &[std::path::PathBuf],
    run: &RunName,
    graph: &str,
) -> Result<Vec<Patch>, CommandError> {
    let manifests = manifests::read(&Files { files: files.to_vec() })?;
    let patches = manifests.resources.patches;
    let mistakes: Vec<_> = patches
        .values()
        .flat_map(|patch| misdirected(patch, run, graph).into_iter().map(|problem| patch.diagnose(&problem)))
        .collect();
    let document = manifests.resources.graphs.get(graph).map(|changed| adopting(&changed.content));
    match show(&mistakes) {
        0 if patches.is_empty() && document.is_none() => Err(CommandError::NothingToApply),
        0 => {
            let patches = patches.into_values().map(|patch| asked_for(patch.content));
            Ok(document.into_iter().chain(patches).collect())
        }
        errors => Err(CommandError::Mistakes { errors }),
    }
}

/// What the patch is for, if that is not this run of this graph.
fn misdirected(patch: &Resource<AgentGraphPatch>, run: &RunName, graph: &str) -> Vec<Problem> {
    let spec = &patch.content.spec;
    let at = |field: &str| FieldPath::default().field(field).field("name");
    let other_graph = (spec.graph_ref.name != graph).then(|| {
        let message = format!("the patch is for graph {:?}", spec.graph_ref.name);
        Problem::error(at("graphRef"), message).hint(format!("run \"{run}\" is of graph {graph:?}"))
    });
    let other_run = spec.run_ref.as_ref().filter(|other| other.name != run.as_str()).map(|other| {
        let message = format!("the patch is for run {:?}", other.name);
        Problem::error(at("runRef"), message).hint(format!("it is to be applied to run \"{run}\""))
    });
    other_graph.into_iter().chain(other_run).collect()
}

/// That a run goes on with this document of its graph. Of several documents it keeps the one that was given last.
fn adopting(changed: &CheckedGraph) -> Patch {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let document = changed.document.spec.graph.clone();
    Patch {
        class: PriorityClass::Person,
        requester: format!("document-{:013}", now.as_millis()),
        mutations: vec![Mutation::Adopt(Box::new(document))],
    }
}

fn asked_for(patch: AgentGraphPatch) -> Patch {
    let (class, requester) = (PriorityClass::Person, patch.metadata.name);
    Patch { class, requester, mutations: patch.spec.mutations }
}
