//! Whether a graph can have workers.

use superstep_api::{AgentGraphObject, WorkersSpec};
use superstep_graph::{FieldPath, Placement, Problem, Problems, Severity, ValidatedGraph, validate};

use super::dereference::Referenced;
use super::needs::Needs;
use crate::settings::DefaultStore;

/// Variables that workers have for themselves.
const OWN: [&str; 4] = ["HOME", "POD_NAME", "POD_NAMESPACE", "XDG_CACHE_HOME"];

/// The graph, if nothing is wrong with it.
///
/// # Errors
/// All that is wrong, with paths from the spec.
pub(super) fn check(
    graph: &AgentGraphObject,
    referenced: &Referenced,
    needs: &Needs,
    default: &DefaultStore,
) -> Result<ValidatedGraph, Vec<Problem>> {
    let workers = &graph.spec.workers;
    let mut problems = workers.problems();
    problems.extend(store(workers, default));
    problems.extend(placement(graph, referenced));
    problems.extend(credentials(needs));
    match validate(&graph.spec.graph) {
        Ok(whole) if problems.is_empty() => Ok(whole),
        Ok(_) => Err(problems),
        Err(Problems(found)) => {
            problems.extend(found.into_iter().filter(|problem| problem.severity == Severity::Error));
            Err(problems)
        }
    }
}

/// Several workers share a store.
fn store(workers: &WorkersSpec, default: &DefaultStore) -> Option<Problem> {
    let own = match &workers.store {
        Some(store) => store.ephemeral.is_some(),
        None => default.url.is_none() && default.claim.is_none(),
    };
    let root = FieldPath::default().field("workers");
    (own && workers.replicas > 1).then(|| {
        let message = format!("{} workers cannot share a store that goes with a pod", workers.replicas);
        let hint =
            "give workers.store an object or a claim that is ReadWriteMany, or set workers.replicas to 1";
        Problem::error(root.field("store"), message).hint(hint)
    })
}

/// Only our own engine runs in workers.
fn placement(graph: &AgentGraphObject, referenced: &Referenced) -> Vec<Problem> {
    let models = graph.spec.graph.models.iter().enumerate();
    let in_worker = models.filter(|(_, model)| model.placement == Placement::InWorker);
    let problem = |(index, named): (usize, &str)| {
        let engine = &referenced.servers.get(named)?.spec.engine;
        let (other, _) = engine.container()?;
        let path = FieldPath::default().field("models").index(index).field("placement");
        let message = format!("engine {other} of ModelServer {named:?} does not run in workers");
        Some(Problem::error(path, message).hint("leave placement out, or give the server engine candle"))
    };
    let named =
        in_worker.filter_map(|(index, model)| Some((index, model.model_server_ref.as_ref()?.name.as_str())));
    named.filter_map(problem).collect()
}

/// No variable can hold two secrets, nor one that the worker has for itself.
fn credentials(needs: &Needs) -> Vec<Problem> {
    let path = || FieldPath::default().field("models");
    let taken = OWN.into_iter().filter(|name| needs.credentials.contains_key(*name)).map(|name| {
        let message = format!("a key of a Secret would be the variable {name}, which workers have for themselves");
        Problem::error(path(), message).hint("rename the Secret")
    });
    let clash = |(variable, keys): (&String, &std::collections::BTreeSet<_>)| {
        let mut keys =
            keys.iter().map(|key: &superstep_graph::CredentialRef| format!("{}/{}", key.name, key.key));
        let (one, other) = (keys.next()?, keys.next()?);
        let message = format!("the keys {one} and {other} of Secrets would both be the variable {variable}");
        Some(Problem::error(path(), message).hint("rename one of the Secrets"))
    };
    needs.credentials.iter().filter_map(clash).chain(taken).collect()
}
