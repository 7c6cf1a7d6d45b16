//! Objects that come in any order, and go at any time.

mod deletion;

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use crate::bench::Bench;
use crate::beside::beside;
use crate::children::CHILDREN;
use crate::objects::{is, list, name_of, text, told};
use crate::report::Report;
use crate::space::{RUNS, Space};
use crate::{kubectl, runs};
use deletion::goes;

/// How many objects refer to each other.
const OBJECTS: usize = 5;
/// How long a state may take to come, of several that are waited for at once.
const PATIENCE: Duration = Duration::from_secs(300);
/// How many namespaces there are at once. Most of their time they wait for the controllers of the cluster.
const BESIDE: usize = 6;

pub(super) fn play(bench: &mut Bench, report: &mut Report) -> Result<()> {
    let Some(volumes) = bench.volumes.clone() else {
        report.skip("no folder that pods and this machine share");
        return Ok(());
    };
    bench.installed()?;
    comes(bench, report)?;
    goes(bench, report, &volumes);
    Ok(())
}

/// Creates what refers to each other in every order, and compares the ends.
fn comes(bench: &Bench, report: &mut Report) -> Result<()> {
    let orders = permutations(OBJECTS);
    let step = if bench.short { orders.len() / 6 } else { 1 };
    let orders: Vec<(usize, Vec<usize>)> = orders.into_iter().step_by(step).enumerate().collect();
    let ends = beside(BESIDE, &orders, |(number, order)| in_order(*number, order));
    let expected = ends.iter().find_map(|end| end.as_ref().ok()).context("an order comes to an end")?;
    let differs = orders.iter().zip(&ends).filter_map(|((_, order), end)| match end {
        Ok(state) => (state != expected).then(|| format!("{order:?}: {state} in place of {expected}")),
        Err(error) => Some(format!("{order:?}: {error:#}")),
    });
    report.look("orders of creation that end otherwise than the first", orders.len(), differs.collect());
    Ok(())
}

/// The state that a namespace comes to in which objects are created in this order.
fn in_order(number: usize, order: &[usize]) -> Result<Value> {
    let mut space = Space::new(&format!("order-{number}"))?;
    for object in order {
        kubectl::apply(&space.name, &[objects(&space.name)[*object].clone()])?;
    }
    let state = end(&space.name)?;
    space.delete()?;
    Ok(state)
}

/// A Secret, a claim, a model, a sub-graph, and a graph that refers to all of them; to a ConfigMap no document can refer. There
/// is no worker, so that no pod of a hundred namespaces has to start.
fn objects(namespace: &str) -> [Value; OBJECTS] {
    let credential = json!({"name": "credential", "key": "key"});
    let model = json!({"engine": {"external": {
        "provider": "OpenAICompatible", "model": "m", "baseUrl": "http://127.0.0.1:9/v1", "credentialRef": credential,
    }}});
    let part = json!({
        "workers": {"replicas": 0}, "entry": ["echo"],
        "vertices": [{"name": "echo", "function": {"cel": "input"}}],
    });
    let whole = json!({
        "workers": {"replicas": 0, "store": {"claim": {"name": RUNS}}},
        "models": [{"name": "m", "modelServerRef": {"name": "model"}}],
        "entry": ["ask"],
        "vertices": [
            {"name": "ask", "prompt": {"model": "m", "template": "{{ input }}"}},
            {"name": "inner", "graph": {"ref": {"name": "part"}}},
        ],
        "edges": [{"from": "ask", "to": "inner"}],
    });
    let claim = json!({
        "accessModes": ["ReadWriteMany"], "storageClassName": "none", "resources": {"requests": {"storage": "1Gi"}},
    });
    let plain = |kind: &str, name: &str| json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "namespace": namespace}});
    let with = |mut object: Value, field: &str, value: Value| {
        object[field] = value;
        object
    };
    [
        with(plain("Secret", "credential"), "stringData", json!({"key": "k"})),
        with(plain("PersistentVolumeClaim", RUNS), "spec", claim),
        runs::object("ModelServer", "model", &model),
        runs::object("AgentGraph", "part", &part),
        runs::object("AgentGraph", "whole", &whole),
    ]
}

/// The state that a namespace comes to: conditions of ours, and the children with their specs.
fn end(namespace: &str) -> Result<Value> {
    let mut last = String::new();
    let settled = kubectl::until("all is ready", PATIENCE, || {
        let ours = kubectl::list(&["agentgraphs,modelservers", "--namespace", namespace])?;
        last = ours.iter().map(told).collect::<Vec<_>>().join("; ");
        Ok((ours.len() == 3 && ours.iter().all(|object| is(object, "Ready"))).then_some(ours))
    });
    let ours = settled.with_context(|| last.clone())?;
    let conditions = ours.iter().map(|object| {
        let of_one = list(object, "/status/conditions").iter().map(|condition| {
            format!(
                "{}={}:{}",
                text(condition, "/type"),
                text(condition, "/status"),
                text(condition, "/reason")
            )
        });
        (text(object, "/metadata/name").to_owned(), of_one.collect::<BTreeSet<_>>())
    });
    let conditions: Vec<_> = conditions.collect();
    let children = kubectl::list(&[CHILDREN, "--namespace", namespace])?;
    let children = children.iter().map(|child| {
        let own = ["/spec/clusterIP", "/spec/clusterIPs"];
        let mut spec = child.pointer("/spec").cloned().unwrap_or(Value::Null);
        for field in own.iter().filter_map(|pointer| pointer.strip_prefix("/spec/")) {
            spec.as_object_mut().map(|spec| spec.remove(field));
        }
        (name_of(child), spec.to_string().replace(namespace, "NAMESPACE"))
    });
    let children: BTreeSet<_> = children.collect();
    Ok(json!({"conditions": conditions, "children": children}))
}

/// Every order of so many.
fn permutations(count: usize) -> Vec<Vec<usize>> {
    let mut all = vec![Vec::new()];
    for _ in 0..count {
        all = all
            .iter()
            .flat_map(|begun: &Vec<usize>| {
                let rest = (0..count).filter(|number| !begun.contains(number));
                rest.map(|number| [begun.as_slice(), &[number]].concat()).collect::<Vec<_>>()
            })
            .collect();
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_order_is_there_once() {
        let all: BTreeSet<Vec<usize>> = permutations(4).into_iter().collect();
        assert_eq!(all.len(), 24);
    }
}
