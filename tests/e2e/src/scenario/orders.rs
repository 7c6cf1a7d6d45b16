//! Objects that come in any order, and go at any time.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use crate::bench::{Bench, Volumes};
use crate::objects::{is, list, number, text, told};
use crate::report::Report;
use crate::space::{RUNS, Space};
use crate::{kubectl, runs};

/// How many objects refer to each other.
const OBJECTS: usize = 5;
/// How long a state may take to come.
const PATIENCE: Duration = Duration::from_secs(300);
/// What the operator makes of a graph.
const CHILDREN: &str = "statefulsets,deployments,services,configmaps,serviceaccounts,roles,rolebindings,\
    networkpolicies,poddisruptionbudgets,pods,leases";
/// What is in every namespace.
const OF_EACH: [&str; 2] = ["ConfigMap/kube-root-ca.crt", "ServiceAccount/default"];

pub(super) fn play(bench: &mut Bench, report: &mut Report) -> Result<()> {
    let Some(volumes) = bench.volumes.clone() else {
        report.skip("no folder that pods and this machine share");
        return Ok(());
    };
    bench.installed()?;
    comes(bench, report)?;
    goes(bench, report, &volumes)
}

/// Creates what refers to each other in every order, and compares the ends.
fn comes(bench: &Bench, report: &mut Report) -> Result<()> {
    let orders = permutations(OBJECTS);
    let step = if bench.short { orders.len() / 6 } else { 1 };
    let (mut expected, mut differ, mut count) = (None, Vec::new(), 0);
    for (number, order) in orders.iter().step_by(step).enumerate() {
        let mut space = Space::new(&format!("order-{number}"))?;
        for object in order {
            kubectl::apply(&space.name, &[objects(&space.name)[*object].clone()])?;
        }
        let state = end(&space.name).with_context(|| format!("in the order {order:?}"))?;
        let expected = expected.get_or_insert_with(|| state.clone());
        differ.extend((state != *expected).then(|| format!("{order:?}: {state} in place of {expected}")));
        space.delete()?;
        count += 1;
    }
    report.look("orders of creation that end otherwise than the first", count, differ);
    Ok(())
}

/// A Secret, a claim, a model, a sub-graph, and a graph that refers to all of them. There is no worker, so that no pod
/// of a hundred namespaces has to start.
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

fn name_of(object: &Value) -> String {
    format!("{}/{}", text(object, "/kind"), text(object, "/metadata/name"))
}

/// When a graph is deleted: when this is so of it.
#[derive(Clone, Copy, Debug)]
enum Moment {
    Created,
    HasPods,
    Ready,
    RunGoesOn,
    RunEnded,
}

/// Deletes a graph, a model and a run at every stage, and looks at what is left.
fn goes(bench: &Bench, report: &mut Report, volumes: &Volumes) -> Result<()> {
    let (mut left, mut stuck, mut count) = (Vec::new(), Vec::new(), 0);
    for moment in [Moment::Created, Moment::HasPods, Moment::Ready, Moment::RunGoesOn, Moment::RunEnded] {
        for propagation in ["background", "foreground"].iter().take(if bench.short { 1 } else { 2 }) {
            let mut space =
                Space::new(&format!("goes-{}", format!("{moment:?}-{propagation}").to_lowercase()))?;
            space.share(volumes, RUNS)?;
            let graph = runs::greeting("greeting", &json!({"store": {"claim": {"name": RUNS}}}));
            kubectl::apply(&space.name, &[graph])?;
            reach(&space.name, moment).with_context(|| format!("{moment:?}"))?;
            let cascade = format!("--cascade={propagation}");
            let kinds = "agentgraphs,graphruns,agentgraphpatches,modelservers";
            let words = ["delete", kinds, "--all", "--namespace", &space.name, &cascade, "--timeout=300s"];
            let deleted = kubectl::run(&words);
            stuck.extend(deleted.err().map(|error| format!("{moment:?}, {propagation}: {error:#}")));
            let mut rest = BTreeSet::new();
            let gone = kubectl::until("nothing is left", PATIENCE, || {
                let there = kubectl::list(&[CHILDREN, "--namespace", &space.name])?;
                rest = there.iter().map(name_of).filter(|name| !OF_EACH.contains(&name.as_str())).collect();
                Ok(rest.is_empty().then_some(()))
            });
            left.extend(gone.err().map(|_| format!("{moment:?}, {propagation}: {rest:?}")));
            space.delete()?;
            count += 1;
        }
    }
    report.look("deletions that get stuck", count, stuck);
    report.look("deletions after which something is left", count, left);
    Ok(())
}

/// Waits for the moment, or brings it about.
fn reach(namespace: &str, moment: Moment) -> Result<()> {
    let graph = |what: &str, wanted: &dyn Fn(&Value) -> bool| {
        kubectl::until(what, PATIENCE, || {
            Ok(kubectl::get(namespace, "agentgraph", "greeting")?.filter(|graph| wanted(graph)).map(drop))
        })
    };
    match moment {
        Moment::Created => Ok(()),
        Moment::HasPods => graph("there are pods", &|graph| number(graph, "/status/replicas") > Some(0)),
        Moment::Ready => graph("the graph is ready", &|graph| is(graph, "Ready")),
        Moment::RunGoesOn | Moment::RunEnded => {
            graph("the graph is ready", &|graph| is(graph, "Ready"))?;
            let run = runs::run("greeting-1", "greeting", &json!({"name": "Ada"}));
            kubectl::create(namespace, &run)?;
            if matches!(moment, Moment::RunEnded) {
                runs::succeeded(namespace, "greeting-1", PATIENCE)?;
            }
            Ok(())
        }
    }
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
