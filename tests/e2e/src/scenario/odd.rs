//! Objects that are odd or malformed: each is refused with field and rule, or ends in a condition with a reason.

mod refusal;
mod schema;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use superstep_witness::Random;

use crate::bench::Bench;
use crate::beside::beside;
use crate::objects::{is, list, name_of, number, text, told};
use crate::release::NAMESPACE;
use crate::report::Report;
use crate::space::Space;
use crate::{kubectl, runs};
use refusal::complaints;
use schema::Schema;

/// How many objects there are.
const OBJECTS: usize = 2_000;
const FEW: usize = 100;
/// How many are created beside each other.
const BESIDE: usize = 4;
/// So long an accepted object may be without a condition.
const PATIENCE: Duration = Duration::from_secs(120);
/// How many accepted graphs are set back to what is right.
const HEALED: usize = 25;
/// What names begin with that are right.
const GOOD: &str = "odd-";
/// The kinds, and how they are called in definitions.
const KINDS: [(&str, &str); 3] = [
    ("AgentGraph", "agentgraphs.superstep.dev"),
    ("AgentGraphPatch", "agentgraphpatches.superstep.dev"),
    ("ModelServer", "modelservers.superstep.dev"),
];

/// What became of an object when it was created.
#[derive(Debug)]
enum Outcome {
    Accepted,
    Refused(String),
}

pub(super) fn play(bench: &mut Bench, report: &mut Report) -> Result<()> {
    bench.installed()?;
    let mut space = Space::new("odd")?;
    // What is accepted would start hundreds of pods, which are not what is looked at.
    let quota = json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "no-pods"}, "spec": {"hard": {"pods": "0"}}});
    kubectl::apply(&space.name, &[quota])?;
    let mut beside = Space::new("beside-odd")?;
    kubectl::apply(&beside.name, &[right("control")])?;
    let before = runs::ready(&beside.name, "agentgraph", "control", PATIENCE)?;
    let restarts = restarts()?;
    let schemas = schemas()?;
    let objects = objects(bench, &schemas);
    let outcomes = self::beside(BESIDE, &objects, |object| create(&space.name, object));
    refused(report, &schemas, &objects, &outcomes);
    accepted(report, &space.name, &objects, &outcomes)?;
    heal(report, &space.name, &objects, &outcomes)?;
    let after = kubectl::get(&beside.name, "agentgraph", "control")?.context("the graph beside is there")?;
    let differs = (before.pointer("/status") != after.pointer("/status")).then(|| told(&after));
    report.look("graphs beside that were disturbed", 1, differs.into_iter().collect());
    let now = self::restarts()?;
    report.look(
        "restarts of the operator",
        1,
        (now != restarts).then(|| format!("{now}")).into_iter().collect(),
    );
    space.delete()?;
    beside.delete()
}

/// A graph without workers that is right.
fn right(name: &str) -> Value {
    runs::greeting(name, &json!({"replicas": 0}))
}

fn restarts() -> Result<i64> {
    let pods = kubectl::list(&["pods", "--namespace", NAMESPACE])?;
    let counts = pods.iter().flat_map(|pod| list(pod, "/status/containerStatuses"));
    Ok(counts.filter_map(|status| number(status, "/restartCount")).sum())
}

/// The kinds with the schemas of their specs that the API server has.
fn schemas() -> Result<Vec<(&'static str, Schema)>> {
    let schemas = KINDS.iter().map(|(kind, definition)| {
        let told = kubectl::run(&["get", "customresourcedefinition", definition, "--output=json"])?;
        let definition: Value = serde_json::from_str(&told)?;
        let spec = definition.pointer("/spec/versions/0/schema/openAPIV3Schema/properties/spec");
        Ok((*kind, Schema::new(spec.context("a definition has a schema of its spec")?.clone())))
    });
    schemas.collect()
}

/// The objects, each kind in turn, grown from the schemas.
fn objects(bench: &Bench, schemas: &[(&'static str, Schema)]) -> Vec<Value> {
    let mut random = bench.random(5);
    let count = if bench.short { FEW } else { OBJECTS };
    let objects = (0..count).zip(schemas.iter().cycle()).map(|(number, (kind, schema))| {
        let mut spec = schema.grow(&mut random);
        for _ in 0..random.between(0, 2) {
            schema.spoil(&mut spec, &mut random);
        }
        runs::object(kind, &name(number, &mut random), &spec)
    });
    objects.collect()
}

/// Mostly a name that is right.
fn name(number: usize, random: &mut Random) -> String {
    let odd = ["UPPER", "under_score", "-dash", "dot.", "ünïcode", ""];
    match random.between(0, 40) {
        0 => format!("{}{number}", random.pick(&odd)),
        1 => format!("{}-{number}", "long".repeat(60)),
        2 => format!("a-{number}.with.dots"),
        _ => format!("{GOOD}{number}"),
    }
}

fn create(namespace: &str, object: &Value) -> Outcome {
    match kubectl::create(namespace, object) {
        Ok(_) => Outcome::Accepted,
        Err(error) => Outcome::Refused(format!("{error:#}")),
    }
}

/// Looks at what those were told who were refused: every complaint has a field that is one, and the rule that it breaks.
fn refused(report: &mut Report, schemas: &[(&'static str, Schema)], objects: &[Value], outcomes: &[Outcome]) {
    let (mut count, mut all, mut placeless, mut lawless) = (0, 0, Vec::new(), Vec::new());
    for (object, outcome) in objects.iter().zip(outcomes) {
        let Outcome::Refused(why) = outcome else { continue };
        let schema =
            schemas.iter().find(|(kind, _)| *kind == text(object, "/kind")).map(|(_, schema)| schema);
        let complaints = complaints(why);
        let has = |field: &str| {
            let of_spec = field.strip_prefix("spec").zip(schema);
            field == "metadata.name" || of_spec.is_some_and(|(rest, schema)| schema.has(rest))
        };
        let messages = schema.map(Schema::messages).unwrap_or_default();
        if complaints.is_empty() || !complaints.iter().all(|complaint| has(&complaint.field)) {
            placeless.push(format!("{why}: {object}"));
        }
        if complaints.is_empty() || !complaints.iter().all(|complaint| complaint.names_a_rule(&messages)) {
            lawless.push(format!("{why}: {object}"));
        }
        count += 1;
        all += complaints.len();
    }
    report.look("refusals in which a complaint names no field", count, placeless);
    report.look("refusals in which a complaint names no rule", count, lawless);
    report.note(format!("{} objects, of which {count} were refused, with {all} complaints", objects.len()));
}

/// Looks at what became of those that were accepted.
fn accepted(report: &mut Report, namespace: &str, objects: &[Value], outcomes: &[Outcome]) -> Result<()> {
    let names: Vec<String> = accepted_ones(objects, outcomes).map(name_of).collect();
    let mut dumb = Vec::new();
    let begun = Instant::now();
    let looked = kubectl::until("every object has a condition with a reason", PATIENCE, || {
        let all = kubectl::list(&["agentgraphs,agentgraphpatches,modelservers", "--namespace", namespace])?;
        let told: BTreeMap<String, &Value> = all.iter().map(|object| (name_of(object), object)).collect();
        dumb = names
            .iter()
            .filter(|name| !told.get(*name).is_some_and(|object| is_told(object)))
            .cloned()
            .collect();
        Ok(dumb.is_empty().then_some(()))
    });
    if looked.is_ok() {
        dumb.clear();
        let seconds = begun.elapsed().as_secs_f64();
        report.note(format!("every accepted object has them {seconds:.1} s after the last was created"));
    }
    report.look("accepted objects without a condition and a reason in 2 minutes", names.len(), dumb);
    Ok(())
}

fn accepted_ones<'a>(objects: &'a [Value], outcomes: &'a [Outcome]) -> impl Iterator<Item = &'a Value> {
    let both = objects.iter().zip(outcomes);
    both.filter(|(_, outcome)| matches!(outcome, Outcome::Accepted)).map(|(object, _)| object)
}

/// Whether a condition says how the object stands as it is, and why.
fn is_told(object: &Value) -> bool {
    let current = number(object, "/metadata/generation");
    list(object, "/status/conditions").iter().any(|condition| {
        number(condition, "/observedGeneration") >= current && !text(condition, "/reason").is_empty()
    })
}

/// Sets some of the accepted graphs back to what is right.
fn heal(report: &mut Report, namespace: &str, objects: &[Value], outcomes: &[Outcome]) -> Result<()> {
    let graphs = accepted_ones(objects, outcomes).filter(|object| text(object, "/kind") == "AgentGraph");
    // A name cannot be set right.
    let names = graphs.map(|object| text(object, "/metadata/name")).filter(|name| name.starts_with(GOOD));
    let graphs: Vec<&str> = names.take(HEALED).collect();
    let mut ill = Vec::new();
    for name in &graphs {
        kubectl::feed(&["replace", "--namespace", namespace], &[right(name)])?;
    }
    for name in &graphs {
        let mut last = String::new();
        let healed = kubectl::until("a graph that is set right is ready", PATIENCE, || {
            let graph = kubectl::get(namespace, "agentgraph", name)?;
            last = graph.as_ref().map(told).unwrap_or_default();
            Ok(graph.filter(|graph| is(graph, "Ready")).map(drop))
        });
        ill.extend(healed.err().map(|_| format!("{name}: {last}")));
    }
    report.look("graphs that were set right and are not", graphs.len(), ill);
    Ok(())
}
