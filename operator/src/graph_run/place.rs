//! Where the log of a run is, for people and programs that read stores.

use superstep_api::WorkersSpec;

use crate::context::Context;
use crate::settings::DefaultStore;

/// The place of a run; empty if it goes with its pod.
pub(super) fn place(context: &Context, namespace: &str, graph: &str, run: &str) -> String {
    let object = context.graphs.named(namespace, graph);
    let workers = object.as_ref().map(|graph| &graph.spec.workers);
    place_of(workers, &context.settings.store, (namespace, graph, run))
}

fn place_of(
    workers: Option<&WorkersSpec>,
    default: &DefaultStore,
    (namespace, graph, run): (&str, &str, &str),
) -> String {
    let in_claim = |claim: &str| format!("claim://{claim}/{graph}/{run}");
    let at = |url: &str| format!("{}/{run}", url.trim_end_matches('/'));
    match workers.and_then(|workers| workers.store.as_ref()) {
        Some(store) => match (&store.object, &store.claim) {
            (Some(object), _) => at(&object.url),
            (None, Some(claim)) => in_claim(&claim.name),
            (None, None) => String::new(),
        },
        None => match (&default.url, &default.claim) {
            (Some(url), _) => at(&url.replace("{namespace}", namespace).replace("{graph}", graph)),
            (None, Some(claim)) => in_claim(claim),
            (None, None) => String::new(),
        },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_run_is_where_its_graph_says_or_the_operator() {
        let default = |url: Option<&str>, claim: Option<&str>| DefaultStore {
            url: url.map(str::to_owned),
            secret: None,
            claim: claim.map(str::to_owned),
            ports: Vec::new(),
        };
        let own = |store| serde_json::from_value::<WorkersSpec>(json!({"store": store})).unwrap();
        let run = ("team", "triage", "triage-x.01");
        let url = default(Some("s3://runs/{namespace}/{graph}"), None);
        assert_eq!(place_of(None, &url, run), "s3://runs/team/triage/triage-x.01");
        let object = own(json!({"object": {"url": "gs://mine/"}}));
        assert_eq!(place_of(Some(&object), &url, run), "gs://mine/triage-x.01");
        assert_eq!(place_of(None, &default(None, Some("shared")), run), "claim://shared/triage/triage-x.01");
        let claim = own(json!({"claim": {"name": "mine"}}));
        assert_eq!(place_of(Some(&claim), &url, run), "claim://mine/triage/triage-x.01");
        let ephemeral = own(json!({"ephemeral": {}}));
        assert_eq!(place_of(Some(&ephemeral), &url, run), "");
        assert_eq!(place_of(None, &default(None, None), run), "");
    }
}
