//! Objects of every kind that are deleted in every phase: nothing is left over, and nothing gets stuck.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use crate::bench::{Bench, Volumes};
use crate::beside::beside;
use crate::children;
use crate::objects::{number, text};
use crate::report::Report;
use crate::space::{RUNS, Space};
use crate::{kubectl, runs};

const GRAPH: &str = "greeting";
const RUN: &str = "greeting-1";
/// Our kinds, and the Secret.
const OBJECTS: &str = "agentgraphs,graphruns,agentgraphpatches,modelservers,secrets";
/// How long a phase may take to come, of several scenes whose pods start at once.
const PATIENCE: Duration = Duration::from_secs(120);
/// As long may a deletion take.
const DELETED: &str = "--timeout=120s";
/// How many scenes there are at once.
const BESIDE: usize = 3;

/// What is so of a scene when something in it is deleted.
#[derive(Clone, Copy, Debug)]
enum Phase {
    /// Nobody has looked at it.
    Created,
    /// No pod finds a node, and run and patch wait for one.
    Pending,
    /// There are pods that are not ready.
    Starting,
    /// The run goes on, and waits for an answer.
    Running,
    /// The run has come to its end.
    Ended,
    /// All of it is to go, and what holds it has not let go.
    Finalising,
}

/// What is deleted first.
#[derive(Clone, Copy, Debug)]
enum Victim {
    /// With what belongs to it behind it.
    AgentGraph,
    /// With what belongs to it before it.
    AgentGraphInForeground,
    GraphRun,
    ModelServer,
    AgentGraphPatch,
    /// That of the graph, which the operator made.
    ConfigMap,
    Secret,
}

const PHASES: [Phase; 6] =
    [Phase::Created, Phase::Pending, Phase::Starting, Phase::Running, Phase::Ended, Phase::Finalising];
const VICTIMS: [Victim; 7] = [
    Victim::AgentGraph,
    Victim::AgentGraphInForeground,
    Victim::GraphRun,
    Victim::ModelServer,
    Victim::AgentGraphPatch,
    Victim::ConfigMap,
    Victim::Secret,
];

/// What went wrong, in a scene or in all of them.
#[derive(Default)]
struct Found {
    stuck: Vec<String>,
    left: Vec<String>,
    lacks: Vec<String>,
}

/// Deletes one object in every phase, and then all that is left.
pub(super) fn goes(bench: &Bench, report: &mut Report, volumes: &Volumes) {
    let victims = if bench.short { &VICTIMS[..1] } else { &VICTIMS };
    let cases: Vec<(Phase, Victim)> =
        PHASES.iter().flat_map(|phase| victims.iter().map(|victim| (*phase, *victim))).collect();
    let played = beside(BESIDE, &cases, |(phase, victim)| {
        played(volumes, *phase, *victim).unwrap_or_else(|error| {
            let stuck = vec![format!("{phase:?}-{victim:?}: {error:#}")];
            Found { stuck, ..Found::default() }
        })
    });
    let mut all = Found::default();
    for found in played {
        all.stuck.extend(found.stuck);
        all.left.extend(found.left);
        all.lacks.extend(found.lacks);
    }
    report.look("deletions that get stuck", cases.len(), all.stuck);
    report.look("deletions after which something is left", cases.len(), all.left);
    report.look("deletions after which a graph lacks what it needs", cases.len(), all.lacks);
}

fn played(volumes: &Volumes, phase: Phase, victim: Victim) -> Result<Found> {
    let case = format!("{phase:?}-{victim:?}");
    let mut space = Space::new(&format!("goes-{case}").to_lowercase())?;
    space.share(volumes, RUNS)?;
    kubectl::apply(&space.name, &scene(phase))?;
    reach(&space.name, phase).with_context(|| format!("{phase:?}"))?;
    let first = kubectl::run(&[victim.words().as_slice(), &["--namespace", &space.name, DELETED]].concat());
    let lacks = victim.lacks(&space.name, phase).map(|what| format!("{case}: {what}"));
    let rest = kubectl::run(&["delete", OBJECTS, "--all", "--namespace", &space.name, DELETED]);
    let stuck = first.and(rest).err().map(|error| format!("{case}: {error:#}"));
    let mut there = BTreeSet::new();
    let gone = kubectl::until("nothing is left", PATIENCE, || {
        there = children::left(&space.name, OBJECTS)?;
        Ok(there.is_empty().then_some(()))
    });
    let left = gone.err().map(|_| format!("{case}: {there:?}"));
    space.delete()?;
    let [stuck, left, lacks] = [stuck, left, lacks].map(|what| what.into_iter().collect());
    Ok(Found { stuck, left, lacks })
}

/// An object of every kind: a Secret, a model outside that needs it, one whose pods find no node, a graph with a worker, a run
/// of it, and a patch of each.
fn scene(phase: Phase) -> Vec<Value> {
    let nowhere = json!({"nodeSelector": {"superstep.dev/nowhere": "true"}});
    let outside = json!({"engine": {"external": {
        "provider": "OpenAICompatible", "model": "m", "baseUrl": "http://127.0.0.1:9/v1",
        "credentialRef": {"name": "credential", "key": "key"},
    }}});
    let local = json!({
        "model": {"name": "m", "sources": [{"claim": {"name": RUNS, "path": "absent.gguf"}}]},
        "engine": {"candle": {}}, "devices": {"cpu": {}}, "cache": {"ephemeral": {}}, "scheduling": nowhere,
    });
    let mut graph = json!({
        "workers": {"store": {"claim": {"name": RUNS}}},
        "models": [{"name": "m", "modelServerRef": {"name": "outside"}}],
        "entry": ["door"],
        "vertices": [
            {"name": "door", "router": {"cel": "input.held ? 'held' : 'free'"}},
            {"name": "gate", "human": {"prompt": "Go on?", "schema": {"type": "boolean"}}},
            {"name": "greet", "function": {"cel": "'Hello, ' + input.name"}},
        ],
        "edges": [
            {"from": "door", "port": "held", "to": "gate"},
            {"from": "door", "port": "free", "to": "greet"},
            {"from": "gate", "to": "greet"},
        ],
    });
    if matches!(phase, Phase::Pending) {
        graph["workers"]["scheduling"] = nowhere;
    }
    let held = !matches!(phase, Phase::Ended);
    let mutations = json!([{"set": {"vertex": "greet", "field": "function.cel", "value": "'Good day'"}}]);
    let patch = json!({"graphRef": {"name": GRAPH}, "mutations": mutations});
    let mut of_run = patch.clone();
    of_run["runRef"] = json!({"name": RUN});
    vec![
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "credential"}, "stringData": {"key": "k"}}),
        runs::object("ModelServer", "outside", &outside),
        runs::object("ModelServer", "local", &local),
        runs::object("AgentGraph", GRAPH, &graph),
        runs::run(RUN, GRAPH, &json!({"name": "Ada", "held": held})),
        runs::object("AgentGraphPatch", "of-later-runs", &patch),
        runs::object("AgentGraphPatch", "of-run", &of_run),
    ]
}

/// Waits for a phase, or brings it about.
fn reach(namespace: &str, phase: Phase) -> Result<()> {
    let phase_is = |kind: &str, name: &str, wanted: &str| {
        kubectl::until(&format!("{kind} {name} is {wanted}"), PATIENCE, || {
            let found = kubectl::get(namespace, kind, name)?;
            Ok(found.filter(|found| text(found, "/status/phase") == wanted).map(drop))
        })
    };
    match phase {
        Phase::Created => Ok(()),
        Phase::Pending => {
            phase_is("graphrun", RUN, "Pending")?;
            phase_is("agentgraphpatch", "of-run", "Pending")
        }
        Phase::Starting => kubectl::until("there are pods", PATIENCE, || {
            let graph = kubectl::get(namespace, "agentgraph", GRAPH)?;
            Ok(graph.filter(|graph| number(graph, "/status/replicas") > Some(0)).map(drop))
        }),
        Phase::Running => {
            phase_is("graphrun", RUN, "Waiting")?;
            phase_is("agentgraphpatch", "of-run", "Applied")
        }
        Phase::Ended => runs::succeeded(namespace, RUN, PATIENCE).map(drop),
        Phase::Finalising => {
            reach(namespace, Phase::Running)?;
            let kinds = "agentgraphs,graphruns,modelservers";
            let words = ["delete", kinds, "--all", "--cascade=foreground", "--wait=false", "--namespace"];
            kubectl::run(&[words.as_slice(), &[namespace]].concat()).map(drop)
        }
    }
}

impl Victim {
    /// The words for kubectl that delete it.
    fn words(self) -> Vec<&'static str> {
        match self {
            Self::AgentGraph => vec!["delete", "agentgraphs", "--all", "--cascade=background"],
            Self::AgentGraphInForeground => vec!["delete", "agentgraphs", "--all", "--cascade=foreground"],
            Self::GraphRun => vec!["delete", "graphruns", "--all"],
            Self::ModelServer => vec!["delete", "modelservers", "--all"],
            Self::AgentGraphPatch => vec!["delete", "agentgraphpatches", "--all"],
            Self::ConfigMap => vec!["delete", "configmaps", "--selector=superstep.dev/graph"],
            Self::Secret => vec!["delete", "secrets", "--all"],
        }
    }

    /// What the graph should have been given again, and was not.
    fn lacks(self, namespace: &str, phase: Phase) -> Option<String> {
        let is_made = matches!(self, Self::ConfigMap) && !matches!(phase, Phase::Finalising);
        let made = kubectl::until("the ConfigMap of the graph is there again", PATIENCE, || {
            let named = format!("{GRAPH}-graph");
            Ok((!is_made || kubectl::get(namespace, "configmap", &named)?.is_some()).then_some(()))
        });
        made.err().map(|error| format!("{error:#}"))
    }
}
