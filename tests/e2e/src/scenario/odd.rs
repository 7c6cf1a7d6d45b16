//! Objects that are odd or malformed: each is refused with field and rule, or ends in a condition with a reason.

mod refusal;
mod schema;

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use superstep_witness::Random;

use crate::bench::Bench;
use crate::beside::beside;
use crate::objects::{list, name_of, number, since, text, told};
use crate::release::NAMESPACE;
use crate::report::Report;
use crate::space::Space;
use crate::{kubectl, runs};
use refusal::{Complaint, complaints};
use schema::Schema;

/// How many objects there are.
const OBJECTS: usize = 2_000;
const FEW: usize = 100;
/// How many are created beside each other.
const BESIDE: usize = 4;
/// So long an accepted object may be without a condition, from its own creation on.
const TOLD: Duration = Duration::from_secs(30);
/// The same in a short run, which is played beside other work.
const TOLD_BESIDE: Duration = Duration::from_secs(120);
/// So long what is right may take to be ready.
const PATIENCE: Duration = Duration::from_secs(120);
/// How many accepted objects of each kind are set back to what is right.
const HEALED: usize = 25;
/// A graph that is right, for patches.
const WHOLE: &str = "whole";
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
    let patience = if bench.short { TOLD_BESIDE } else { TOLD };
    let taken: Vec<&Value> = accepted_ones(&objects, &outcomes).collect();
    accepted(report, &space.name, patience, &taken)?;
    heal(report, &space.name, &taken, usize::from(!bench.short))?;
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
        let has = |complaint: &Complaint| {
            let field = complaint.field.as_str();
            let of_spec = field.strip_prefix("spec").zip(schema);
            let is_known = field == "metadata.name" || of_spec.is_some_and(|(rest, schema)| schema.has(rest));
            is_known || complaint.is_of_unknown_field()
        };
        let messages = schema.map(Schema::messages).unwrap_or_default();
        if complaints.is_empty() || !complaints.iter().all(has) {
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

/// Looks at what became of those that were accepted, and how long after its creation each was told of.
fn accepted(report: &mut Report, namespace: &str, patience: Duration, objects: &[&Value]) -> Result<()> {
    let names: Vec<String> = objects.iter().map(|object| name_of(object)).collect();
    let mut told: BTreeMap<String, Option<Duration>> = BTreeMap::new();
    // The last of them was created just now.
    let looked = kubectl::until("every object has a condition with a reason", patience, || {
        let all = kubectl::list(&["agentgraphs,agentgraphpatches,modelservers", "--namespace", namespace])?;
        told = all.iter().map(|object| (name_of(object), told_after(object))).collect();
        Ok(names.iter().all(|name| told.get(name).is_some_and(Option::is_some)).then_some(()))
    });
    let late = names.iter().filter_map(|name| match told.get(name).copied().flatten() {
        Some(after) => (after > patience).then(|| format!("{name} after {} s", after.as_secs())),
        None => Some(format!("{name}: nothing")),
    });
    let late: Vec<String> = late.collect();
    let slowest = told.values().flatten().max().copied().unwrap_or_default();
    report.note(format!(
        "accepted objects have a condition after {} s at most, of {} s{}",
        slowest.as_secs(),
        patience.as_secs(),
        if looked.is_ok() { "" } else { ", and some have none" }
    ));
    report.look("accepted objects without a condition and a reason in time", names.len(), late);
    Ok(())
}

fn accepted_ones<'a>(objects: &'a [Value], outcomes: &'a [Outcome]) -> impl Iterator<Item = &'a Value> {
    let both = objects.iter().zip(outcomes);
    both.filter(|(_, outcome)| matches!(outcome, Outcome::Accepted)).map(|(object, _)| object)
}

/// How long after its creation a condition said how the object stands as it is, and why; none if no condition does. What said
/// something else since counts from then on.
fn told_after(object: &Value) -> Option<Duration> {
    let current = number(object, "/metadata/generation");
    let of_it = list(object, "/status/conditions").iter().filter(|condition| {
        number(condition, "/observedGeneration") >= current && !text(condition, "/reason").is_empty()
    });
    let created = text(object, "/metadata/creationTimestamp");
    of_it.filter_map(|condition| since(created, text(condition, "/lastTransitionTime"))).min()
}

/// Sets some of the accepted objects of each kind right, of which there have to be so many.
fn heal(report: &mut Report, namespace: &str, objects: &[&Value], least: usize) -> Result<()> {
    kubectl::apply(namespace, &[right(WHOLE)])?;
    let mut mended = Vec::new();
    for (kind, _) in KINDS {
        let of_kind = objects.iter().filter(|object| text(object, "/kind") == kind);
        // A name cannot be set right.
        let names =
            of_kind.map(|object| text(object, "/metadata/name")).filter(|name| name.starts_with(GOOD));
        let names: Vec<&str> = names.take(HEALED).collect();
        report.demand(names.len() >= least, &format!("there is an odd {kind} that is accepted"));
        for name in names {
            mend(namespace, kind, name)?;
            mended.push((kind, name));
        }
    }
    let mut ill = Vec::new();
    for (kind, name) in &mended {
        let healed = runs::ready(namespace, kind, name, PATIENCE);
        ill.extend(healed.err().map(|why| format!("{why:#}")));
    }
    report.look("objects that were set right and are not", mended.len(), ill);
    Ok(())
}

/// Puts what is right in the place of an object. A patch is never changed, so that another one is created under its name.
fn mend(namespace: &str, kind: &str, name: &str) -> Result<()> {
    let whole = match kind {
        "AgentGraph" => right(name),
        "ModelServer" => runs::object(
            kind,
            name,
            &json!({"engine": {"external": {
                "provider": "OpenAICompatible", "model": "m", "baseUrl": "http://127.0.0.1:9/v1",
            }}}),
        ),
        _ => {
            kubectl::run(&["delete", kind, name, "--namespace", namespace])?;
            let mutation =
                json!({"set": {"vertex": "greet", "field": "function.cel", "value": "'Good day'"}});
            let spec = json!({"graphRef": {"name": WHOLE}, "mutations": [mutation]});
            return kubectl::create(namespace, &runs::object(kind, name, &spec)).map(drop);
        }
    };
    kubectl::feed(&["replace", "--namespace", namespace], &[whole]).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_told_of_when_its_first_condition_says_why() {
        let object = |generation: i64, reason: &str| {
            json!({
                "metadata": {"generation": generation, "creationTimestamp": "2026-11-29T23:59:50Z"},
                "status": {"conditions": [
                    {"type": "Ready", "observedGeneration": 1, "reason": reason,
                        "lastTransitionTime": "2026-11-30T00:01:00Z"},
                    {"type": "Stalled", "observedGeneration": 1, "reason": reason,
                        "lastTransitionTime": "2026-11-30T00:00:05Z"},
                ]},
            })
        };
        assert_eq!(told_after(&object(1, "Invalid")), Some(Duration::from_secs(15)));
        assert_eq!(told_after(&object(2, "Invalid")), None);
        assert_eq!(told_after(&object(1, "")), None);
    }
}
