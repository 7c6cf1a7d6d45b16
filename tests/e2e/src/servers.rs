//! Model servers of the cluster: as documents, and what their pods tell.

use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use crate::here::Example;
use crate::objects::{list, text};
use crate::space::MODELS;
use crate::{kubectl, runs};

/// The graph of the quickstart, whose model is that of a server of the cluster.
pub(crate) const QUICKSTART: &str = "manifests/kubernetes/graph.yaml";
/// The server that it names.
pub(crate) const SMALL: &str = "small";
/// Names a server on all that was made of it.
const OF_SERVER: &str = "superstep.dev/model-server";

/// The quickstart, as it runs on this machine.
pub(crate) fn quickstart() -> Result<Example<'static>> {
    let mail = std::fs::read_to_string("manifests/quickstart/input/mail.txt")?;
    Ok(Example { graph: "triage", folder: "manifests/quickstart", input: json!({"text": mail}) })
}

/// Puts the model of the quickstart into a folder, under the name that [`document`] gives it.
pub(crate) fn lay(model: &Path, folder: &Path) -> Result<()> {
    let file = folder.join(name(model)?);
    std::fs::copy(model, &file).map(drop).with_context(|| format!("cannot write {}", file.display()))
}

fn name(model: &Path) -> Result<String> {
    Ok(model.file_name().context("the model is a file")?.to_string_lossy().into_owned())
}

/// A server of the model of the quickstart, whose file is on a claim, by this engine, with further fields of its spec.
pub(crate) fn document(model: &Path, engine: &Value, further: &Value) -> Result<Value> {
    let source = json!({"claim": {"name": MODELS, "path": name(model)?}});
    let mut spec = json!({
        "model": {"name": "smollm2-135m-instruct", "sources": [source]},
        "engine": engine,
        "devices": {"cpu": {}},
    });
    for (field, value) in further.as_object().into_iter().flatten() {
        spec[field] = value.clone();
    }
    Ok(runs::object("ModelServer", SMALL, &spec))
}

/// Our own engine, as the quickstart has it.
pub(crate) fn candle() -> Value {
    json!({"candle": {"contextLength": 2048, "maxConcurrentRequests": 8}})
}

/// The server that [`document`] makes, in a namespace.
pub(crate) struct Server<'a>(pub(crate) &'a str);

impl Server<'_> {
    /// It as it is.
    pub(crate) fn object(&self) -> Result<Value> {
        kubectl::get(self.0, "modelserver", SMALL)?.context("the model server is not there")
    }

    /// Objects of these kinds that were made of it, directly or not.
    pub(crate) fn made(&self, kinds: &str) -> Result<Vec<Value>> {
        let selector = format!("--selector={OF_SERVER}={SMALL}");
        kubectl::list(&[kinds, "--namespace", self.0, &selector])
    }

    /// Its pods that are ready.
    pub(crate) fn ready(&self) -> Result<Vec<String>> {
        let pods = self.made("pods")?;
        let ready = pods.iter().filter(|pod| {
            let conditions = list(pod, "/status/conditions").iter();
            let mut ready = conditions.filter(|condition| text(condition, "/type") == "Ready");
            ready.any(|condition| text(condition, "/status") == "True")
                && pod.pointer("/metadata/deletionTimestamp").is_none()
        });
        Ok(ready.map(|pod| text(pod, "/metadata/name").to_owned()).collect())
    }

    /// The metrics of one of its pods, by way of the API server: nobody but workers is let in.
    pub(crate) fn metrics(&self, pod: &str) -> Result<Metrics> {
        let path = format!("/api/v1/namespaces/{}/pods/{pod}:8000/proxy/metrics", self.0);
        kubectl::run(&["get", "--raw", &path]).map(Metrics)
    }
}

/// What a pod has counted, in the text format of Prometheus.
pub(crate) struct Metrics(String);

impl Metrics {
    /// The sum of a counter over all its labels.
    pub(crate) fn count(&self, name: &str) -> Result<i64> {
        let values = self.0.lines().filter_map(|line| {
            let rest = line.strip_prefix(name).filter(|rest| rest.starts_with([' ', '{']))?;
            rest.rsplit(' ').next()
        });
        let values: Vec<i64> = values.map(str::parse::<i64>).collect::<Result<_, _>>()?;
        values.into_iter().reduce(|one, other| one + other).with_context(|| format!("there is no {name}"))
    }

    /// The sum of several counters.
    pub(crate) fn sum(&self, names: &[&str]) -> Result<i64> {
        names.iter().map(|name| self.count(name)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_told_from_those_with_longer_names() {
        let text = "# TYPE a_total counter\na_total 3\na_total_more 9\nb{x=\"1\"} 2\nb{x=\"2\"} 5\nc 0.5\n";
        let metrics = Metrics(text.to_owned());
        assert_eq!((metrics.count("a_total").unwrap(), metrics.count("b").unwrap()), (3, 7));
        assert_eq!(metrics.sum(&["a_total", "b"]).unwrap(), 10);
        assert!(metrics.count("absent").is_err() && metrics.count("c").is_err());
    }
}
