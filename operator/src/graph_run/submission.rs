//! What the workers of a run are asked for.

use kube::ResourceExt as _;
use superstep_api::{GraphRunObject, run_name};
use superstep_proto::v1;

use super::documents::documents;
use super::former::Former;
use crate::agent_graph::Referenced;

/// The name of the run that an object is.
pub(crate) fn name_of(run: &GraphRunObject) -> String {
    run_name(&run.name_any(), &run.uid().unwrap_or_default())
}

/// A request for a run. A fork has everything of the run that it has a part of.
pub(super) fn submission(run: &GraphRunObject, referenced: &Referenced, former: Former) -> v1::SubmitRequest {
    let (continued, forked) = match former {
        Former::None => (None, None),
        Former::Continues(run) => (Some(run), None),
        Former::Forks(from) => (None, Some(from)),
    };
    let named = v1::SubmitRequest {
        run: name_of(run),
        graph: run.spec.graph_ref.name.clone(),
        fork_from: forked,
        ..v1::SubmitRequest::default()
    };
    if named.fork_from.is_some() {
        return named;
    }
    let input = run.spec.input.as_ref().map(|input| input.inline.to_string());
    let parameters = (!run.spec.parameters.is_null()).then(|| run.spec.parameters.to_string());
    v1::SubmitRequest {
        documents: documents(referenced, &run.namespace().unwrap_or_default()),
        input: input.unwrap_or_default().into_bytes().into(),
        parameters: parameters.unwrap_or_default().into_bytes().into(),
        continue_from: continued.unwrap_or_default(),
        ..named
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::{Value, json};

    use super::*;

    fn run(more: &Value) -> GraphRunObject {
        let mut spec = json!({"graphRef": {"name": "triage"}});
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let metadata = json!({"name": "next", "namespace": "team", "uid": "0123456789abcdef"});
        let version = "superstep.dev/v1alpha1";
        serde_json::from_value(
            json!({"apiVersion": version, "kind": "GraphRun", "metadata": metadata, "spec": spec}),
        )
        .unwrap()
    }

    fn asked(more: &Value) -> Result<v1::SubmitRequest, String> {
        let run = run(more);
        let graph = json!({"entry": ["a"], "vertices": [{"name": "a", "function": {"cel": "1"}}]});
        let referenced = Referenced {
            graphs: BTreeMap::from([("triage".to_owned(), serde_json::from_value(graph).unwrap())]),
            servers: BTreeMap::new(),
            missing: Vec::new(),
        };
        let named = |name: &str| (name == "first").then(|| "first.00000001".to_owned());
        let former = Former::of(&run, named).map_err(str::to_owned)?;
        Ok(submission(&run, &referenced, former))
    }

    #[test]
    fn a_run_has_its_documents_and_a_fork_those_of_its_run() {
        let more = json!({
            "input": {"inline": {"text": "hi"}}, "parameters": {"tone": "dry"}, "continueFrom": {"name": "first"},
        });
        let whole = asked(&more).unwrap();
        assert_eq!((whole.run.as_str(), whole.graph.as_str()), ("next.01234567", "triage"));
        assert_eq!((whole.documents.len(), &whole.input[..]), (1, &br#"{"text":"hi"}"#[..]));
        assert_eq!(&whole.parameters[..], br#"{"tone":"dry"}"#);
        assert_eq!((whole.continue_from.as_str(), &whole.fork_from), ("first.00000001", &None));

        let from = v1::ForkFrom { run: "first.00000001".to_owned(), superstep: 3 };
        let expected = v1::SubmitRequest {
            run: "next.01234567".to_owned(),
            graph: "triage".to_owned(),
            fork_from: Some(from),
            ..v1::SubmitRequest::default()
        };
        assert_eq!(asked(&json!({"forkFrom": {"name": "first", "superstep": 3}})), Ok(expected));
    }

    #[test]
    fn a_run_that_is_not_there_is_named() {
        let absent = json!({"forkFrom": {"name": "other", "superstep": 0}});
        assert_eq!(asked(&absent), Err("other".to_owned()));
        assert_eq!(asked(&json!({"continueFrom": {"name": "gone"}})), Err("gone".to_owned()));
    }
}
