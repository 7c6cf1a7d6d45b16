//! What the operator and workers may do, and what they did: nothing is given that nobody uses.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use crate::audit::{Audit, Line, Right, refused, used};
use crate::bench::Bench;
use crate::objects::{condition, list, text, told};
use crate::release::{NAMESPACE, OPERATOR};
use crate::report::Report;
use crate::space::{RUNS, Space};
use crate::{kubectl, runs};

/// The one Secret that the operator reads.
const AUTHORITY: &str = "superstep-ca";
const GRAPH: &str = "greeting";
/// The API server takes it, and it has more digits than a number of the operator.
const ENDLESS: &str = "99999999999999999999h";
const PATIENCE: Duration = Duration::from_secs(300);

pub(super) fn play(bench: &mut Bench, report: &mut Report) -> Result<()> {
    let Some(volumes) = bench.volumes.clone() else {
        report.skip("no folder that pods and this machine share");
        return Ok(());
    };
    bench.installed()?;
    let mut space = Space::new("rights")?;
    space.share(&volumes, RUNS)?;
    let workers = json!({"store": {"claim": {"name": RUNS}}});
    kubectl::apply(&space.name, &[runs::greeting(GRAPH, &workers)])?;
    runs::ready(&space.name, "agentgraph", GRAPH, PATIENCE)?;
    kubectl::create(&space.name, &runs::run("first", GRAPH, &json!({"name": "Ada"})))?;
    runs::succeeded(&space.name, "first", PATIENCE)?;
    occasions(&space.name)?;
    let operator =
        [rules(&["clusterrole", OPERATOR])?, rules(&["role", OPERATOR, "--namespace", NAMESPACE])?].concat();
    let worker = rules(&["role", &format!("{GRAPH}-worker"), "--namespace", &space.name])?;
    broad(report, &operator, &worker);
    match &bench.audit {
        Some(path) => {
            let lines = Audit::whole(path).lines()?;
            let of_operator: Vec<&Line> = lines.iter().filter(|line| line.is_of_operator()).collect();
            let of_workers: Vec<&Line> = lines.iter().filter(|line| line.is_of_worker()).collect();
            unused(report, "the operator", &operator, &of_operator, bench.is_whole());
            unused(report, "workers", &worker, &of_workers, bench.is_whole());
            let refused =
                refused(&lines).into_iter().filter(|line| line.is_of_operator() || line.is_of_worker());
            report.look(
                "requests that were refused for want of a right",
                of_operator.len() + of_workers.len(),
                refused.map(|line| format!("{line:?}")).collect(),
            );
        }
        None => report.note("there is no audit log: what is used was not looked at".to_owned()),
    }
    deputy(report, &space.name)?;
    space.delete()
}

fn rules(words: &[&str]) -> Result<Vec<Value>> {
    let told = kubectl::run(&[&["get", "--output=json"], words].concat())?;
    let role: Value = serde_json::from_str(&told)?;
    Ok(list(&role, "/rules").to_vec())
}

/// Every right that these rules give.
fn given(rules: &[Value]) -> BTreeSet<Right> {
    let words = |rule: &Value, pointer: &str| -> Vec<String> {
        list(rule, pointer).iter().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let mut given = BTreeSet::new();
    for rule in rules {
        for group in words(rule, "/apiGroups") {
            for resource in words(rule, "/resources") {
                let verbs = words(rule, "/verbs").into_iter();
                given.extend(verbs.map(|verb| (group.clone(), resource.clone(), verb)));
            }
        }
    }
    given
}

/// What makes use of rights that are rare: objects that cannot be read, a run whose time is over, models that need no
/// pods any more, and leases that somebody deletes.
fn occasions(namespace: &str) -> Result<()> {
    unreadable(namespace)?;
    let mut run = runs::run("fleeting", GRAPH, &json!({"name": "Ada"}));
    run["spec"]["ttlAfterFinished"] = json!("1s");
    kubectl::create(namespace, &run)?;
    let model = json!({"name": "m", "sources": [{"claim": {"name": RUNS, "path": "absent.gguf"}}]});
    let outside = json!({"engine": {"external": {
        "provider": "OpenAICompatible", "model": "m", "baseUrl": "http://127.0.0.1:9/v1",
    }}});
    let caches = [json!({"ephemeral": {}}), json!({"new": {"size": "1Mi", "storageClassName": "none"}})];
    for (number, cache) in caches.into_iter().enumerate() {
        let name = format!("model-{number}");
        let served =
            json!({"model": model, "engine": {"candle": {}}, "devices": {"cpu": {}}, "cache": cache});
        kubectl::apply(namespace, &[runs::object("ModelServer", &name, &served)])?;
        kubectl::until("the model has a service", PATIENCE, || {
            kubectl::get(namespace, "service", &format!("{name}-model"))
        })?;
        kubectl::apply(namespace, &[runs::object("ModelServer", &name, &outside)])?;
        kubectl::until("the model has no service", PATIENCE, || {
            Ok(kubectl::get(namespace, "service", &format!("{name}-model"))?.is_none().then_some(()))
        })?;
    }
    kubectl::until("the run is gone", PATIENCE, || {
        Ok(kubectl::get(namespace, "graphrun", "fleeting")?.is_none().then_some(()))
    })?;
    for (namespace, lease) in [(namespace, format!("{GRAPH}-worker")), (NAMESPACE, OPERATOR.to_owned())] {
        kubectl::run(&["delete", "lease", &lease, "--namespace", namespace])?;
        kubectl::until("the lease is made anew and held", PATIENCE, || {
            let lease = kubectl::get(namespace, "lease", &lease)?;
            Ok(lease.filter(|lease| !text(lease, "/spec/holderIdentity").is_empty()).map(drop))
        })?;
    }
    Ok(())
}

/// The operator says of objects that are none of their kind that they are.
fn unreadable(namespace: &str) -> Result<()> {
    let mut run = runs::run("unreadable", GRAPH, &json!({"name": "Ada"}));
    run["spec"]["ttlAfterFinished"] = json!(ENDLESS);
    let vertex = json!({"name": "late", "function": {"cel": "1"}, "timeout": ENDLESS});
    let patch = json!({"graphRef": {"name": GRAPH}, "mutations": [{"addVertex": vertex}]});
    let model = json!({"engine": {"external": {
        "provider": "OpenAICompatible", "model": "m", "baseUrl": "http://127.0.0.1:9/v1", "timeout": ENDLESS,
    }}});
    let kinds = ["graphrun", "agentgraphpatch", "modelserver"];
    let objects = [
        run,
        runs::object("AgentGraphPatch", "unreadable", &patch),
        runs::object("ModelServer", "unreadable", &model),
    ];
    for (kind, object) in kinds.into_iter().zip(&objects) {
        kubectl::create(namespace, object)?;
        let mut last = String::new();
        let found = kubectl::until(&format!("the {kind} is told to be none"), PATIENCE, || {
            let found = kubectl::get(namespace, kind, "unreadable")?;
            last = found.as_ref().map(told).unwrap_or_default();
            let stalled = found.as_ref().and_then(|object| condition(object, "Stalled"));
            Ok(stalled.is_some_and(|stalled| text(stalled, "/reason") == "Malformed").then_some(()))
        });
        found.with_context(|| last)?;
    }
    Ok(())
}

/// No wildcard, no Secret but one by name.
fn broad(report: &mut Report, operator: &[Value], worker: &[Value]) {
    let all: BTreeSet<Right> = given(operator).into_iter().chain(given(worker)).collect();
    let wild = all.iter().filter(|right| [&right.0, &right.1, &right.2].contains(&&"*".to_owned()));
    let wild = wild.map(|right| format!("{right:?}")).collect();
    report.look("rights that are wildcards", all.len(), wild);
    let secrets = operator.iter().chain(worker).filter(|rule| {
        let of_secrets = list(rule, "/resources").iter().any(|resource| resource == "secrets");
        let lists = list(rule, "/verbs").iter().any(|verb| verb == "list" || verb == "watch");
        of_secrets && (lists || list(rule, "/resourceNames").is_empty())
    });
    let secrets = secrets.map(ToString::to_string).collect();
    report.look("rules that give Secrets which they do not name", operator.len() + worker.len(), secrets);
}

/// Looks at rights that nobody has used, and at requests that were refused.
fn unused(report: &mut Report, who: &'static str, rules: &[Value], lines: &[&Line], whole: bool) {
    let (given, used) = (given(rules), used(lines.iter().copied()));
    let unused: Vec<String> =
        given.difference(&used).map(|(group, resource, verb)| format!("{verb} {group}/{resource}")).collect();
    report.note(format!(
        "{who}: {} requests, {} of {} rights used; not used: {}",
        lines.len(),
        given.len() - unused.len(),
        given.len(),
        unused.join(", ")
    ));
    // Only after all scenarios everything had an occasion.
    if whole {
        report.look("rights that were not used", given.len(), unused);
    }
    let strange = lines.iter().filter(|line| line.resource == "secrets" && line.name != AUTHORITY);
    let strange = strange.map(|line| format!("{line:?}")).collect();
    report.look("requests for a Secret of somebody else", lines.len(), strange);
}

/// Somebody who may write graphs and models, and nothing else, tries to be handed a Secret.
fn deputy(report: &mut Report, namespace: &str) -> Result<()> {
    let plain = |kind: &str, more: &Value| {
        let mut object = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind, "metadata": {"name": "writer"}});
        for (field, value) in more.as_object().into_iter().flatten() {
            object[field] = value.clone();
        }
        object
    };
    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "writer"}});
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "secret"}, "stringData": {"key": "canary"},
    });
    let ours = json!(["agentgraphs", "modelservers"]);
    let verbs = json!(["create", "get", "patch", "update"]);
    let rules = json!({"rules": [{"apiGroups": ["superstep.dev"], "resources": ours, "verbs": verbs}]});
    let binding = json!({
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "writer"},
        "subjects": [{"kind": "ServiceAccount", "name": "writer", "namespace": namespace}],
    });
    kubectl::apply(namespace, &[account, secret, plain("Role", &rules), plain("RoleBinding", &binding)])?;
    let tries = tries();
    let user = format!("--as=system:serviceaccount:{namespace}:writer");
    let words = ["create", "--namespace", namespace, &user];
    // An API server hears of rights a moment after they were given.
    let harmless = kubectl::until("the writer may write graphs", PATIENCE, || {
        let graph = runs::greeting("harmless", &json!({"replicas": 0}));
        kubectl::feed(&words, &[graph]).map(Some)
    });
    report.demand(harmless.is_ok(), &format!("who names no Secret may write graphs: {harmless:?}"));
    let taken =
        tries.iter().filter_map(|(what, object)| match kubectl::feed(&words, std::slice::from_ref(object)) {
            Ok(_) => Some(format!("{what} was taken")),
            Err(error) if format!("{error:#}").contains("you may not read the Secret secret") => None,
            Err(error) => Some(format!("{what} was refused otherwise: {error:#}")),
        });
    report.look("ways to a Secret that are open to who may only write graphs", tries.len(), taken.collect());
    Ok(())
}

/// Every place that names a Secret.
fn tries() -> Vec<(&'static str, Value)> {
    let reference = json!({"name": "secret", "key": "key"});
    let graph = |what: &'static str, field: &str, value: Value| {
        let mut object = runs::greeting(&what.replace(' ', "-"), &json!({"replicas": 0}));
        object["spec"][field] = value;
        (what, object)
    };
    let tool = |auth: Value| {
        json!([{"name": "t", "http": {"method": "GET", "url": "http://example.com/{a}", "auth": auth,
            "parameters": {"type": "object", "properties": {"a": {"type": "string"}}}}}])
    };
    let model =
        |what: &'static str, spec: Value| (what, runs::object("ModelServer", &what.replace(' ', "-"), &spec));
    vec![
        graph(
            "a model",
            "models",
            json!([{"name": "m", "external": {"provider": "OpenAI", "model": "x",
            "credentialRef": reference}}]),
        ),
        graph("a bearer", "tools", tool(json!({"bearer": reference}))),
        graph("a header", "tools", tool(json!({"header": {"name": "X-Key", "credentialRef": reference}}))),
        graph(
            "a server of tools",
            "tools",
            json!([{"name": "t", "mcp": {"url": "http://example.com/mcp",
            "allow": ["search"], "credentialRef": reference}}]),
        ),
        graph(
            "a store",
            "workers",
            json!({"replicas": 0,
            "store": {"object": {"url": "s3://b/p", "secretRef": {"name": "secret"}}}}),
        ),
        model(
            "an engine",
            json!({"engine": {"external": {"provider": "OpenAI", "model": "x",
            "credentialRef": reference}}}),
        ),
        model(
            "a source",
            json!({
                "model": {"name": "m", "sources": [{"huggingFace": {"repo": "a/b", "file": "c.gguf",
                    "credentialRef": reference}}]},
                "engine": {"candle": {}}, "devices": {"cpu": {}},
            }),
        ),
    ]
}
