//! Documents in, objects and status out.

use expect_test::{Expect, expect, expect_file};
use k8s_openapi::jiff::Timestamp;
use serde_json::json;
use superstep_api::{ModelServerObject, ModelServerStatus};

use super::build::{Plan, children};
use super::status::{Found, status};
use super::validate::check;
use crate::children::Owner;
use crate::placed::Placed;
use crate::testing::{documents, settings, yaml};

fn servers() -> Vec<ModelServerObject> {
    let documents = documents("model_server/engines.yaml").into_iter();
    documents.map(|document| serde_json::from_value(document).unwrap()).collect()
}

/// The one of that name.
fn named(name: &str) -> ModelServerObject {
    servers().into_iter().find(|server| server.metadata.name.as_deref() == Some(name)).unwrap()
}

#[test]
fn every_engine_has_pods_of_its_kind() {
    let settings = settings(&[]);
    let mut written = Vec::new();
    for server in servers() {
        let owner = Owner::of(&server).unwrap();
        written.push(match check(&server.spec) {
            Ok(spec) => {
                let replicas = spec.autoscaling.map_or(spec.replicas, |autoscaling| autoscaling.min_replicas);
                let made = children(&Plan { owner: &owner, spec: &spec, settings: &settings, replicas });
                if made.is_empty() { format!("# {}: nothing\n", owner.name) } else { yaml(&made) }
            }
            Err(problems) => format!("# {}: {}\n", owner.name, problems[0]),
        });
    }
    expect_file!["../../testdata/model_server/engines.out.yaml"].assert_eq(&written.join("---\n"));
}

#[test]
fn a_server_is_placed_where_it_says_and_on_the_cpu_asks_for_no_device() {
    let toleration = json!({"key": "team", "operator": "Equal", "value": "models", "effect": "NoExecute"});
    let document = json!({
        "apiVersion": "superstep.dev/v1alpha1",
        "kind": "ModelServer",
        "metadata": {"name": "placed", "namespace": "team", "uid": "0b5cdd38"},
        "spec": {
            "model": {"name": "tiny", "sources": [{"claim": {"name": "weights", "path": "tiny.gguf"}}]},
            "engine": {"candle": {}},
            "devices": {"cpu": {}},
            "cache": {"ephemeral": {}},
            "scheduling": {
                "nodeSelector": {"disk": "ssd"},
                "tolerations": [toleration],
                "topologySpread": [{"topologyKey": "zone", "maxSkew": 2}],
            },
        },
    });
    let server: ModelServerObject = serde_json::from_value(document).unwrap();
    let (owner, spec, settings) = (Owner::of(&server).unwrap(), check(&server.spec).unwrap(), settings(&[]));
    let made = children(&Plan { owner: &owner, spec: &spec, settings: &settings, replicas: 1 });
    let pod = made.iter().find_map(|child| child.object().pointer("/spec/template/spec")).unwrap();
    assert_eq!((&pod["nodeSelector"], &pod["tolerations"]), (&json!({"disk": "ssd"}), &json!([toleration])));
    let spread = pod["topologySpreadConstraints"].as_array().unwrap();
    assert_eq!(spread.len(), 1);
    assert_eq!((&spread[0]["topologyKey"], &spread[0]["maxSkew"]), (&json!("zone"), &json!(2)));
    assert_eq!(pod["containers"][0].get("resources"), None);
    let cache = pod["volumes"].as_array().unwrap().iter().find(|volume| volume["name"] == "cache");
    assert_eq!(cache.unwrap().get("emptyDir"), Some(&json!({})));
}

/// What is said of a server with no pods.
fn told(name: &str, expected: &Expect) {
    let server = named(name);
    let checked = check(&server.spec);
    let found = Found {
        namespace: "team",
        name,
        generation: Some(1),
        checked: checked.as_ref().map_err(Vec::as_slice),
        misnamed: None,
        placed: &Placed::Kept,
        workload: None,
        pods: &[],
        scaled: None,
    };
    let status = status(&ModelServerStatus::default(), &found, Timestamp::UNIX_EPOCH);
    let conditions = status.conditions.iter().map(|condition| {
        format!("{} {} {}: {}\n", condition.type_, condition.status, condition.reason, condition.message)
    });
    let url = status.url.map_or_else(String::new, |url| format!("at {url}\n"));
    expected.assert_eq(&format!("{}{url}", conditions.collect::<String>()));
}

#[test]
fn each_condition_says_what_was_looked_at() {
    told(
        "vllm",
        &expect![[r#"
        Ready False NotMade: StatefulSet vllm-model is not there
        Reconciling True NotMade: StatefulSet vllm-model is not there
        SpecValid True Valid: engine vllm can serve it
        ServersAvailable False NotMade: StatefulSet vllm-model is not there
        FitsDevice True Estimated: estimated by name: 70 billion parameters of 16 bits and a fifth for caches are 156.5 GiB, and 2 of nvidia.com/gpu have 160.0 GiB
        at http://vllm-model.team.svc:8000/v1
    "#]],
    );
    told(
        "outside",
        &expect![[r#"
        Ready True External: it is served outside, at the address of its provider; workers send key apiKey of Secret openai
        SpecValid True Valid: engine external can serve it
        ServersAvailable True External: it is served outside, at the address of its provider; workers send key apiKey of Secret openai
    "#]],
    );
    told(
        "weightless",
        &expect![[r#"
        Ready False Invalid: spec.model.sources: engine vllm needs the weights of a model (give model.sources, for example - huggingFace: {repo: OWNER/NAME})
        Stalled True Invalid: spec.model.sources: engine vllm needs the weights of a model (give model.sources, for example - huggingFace: {repo: OWNER/NAME})
        SpecValid False Invalid: spec.model.sources: engine vllm needs the weights of a model (give model.sources, for example - huggingFace: {repo: OWNER/NAME})
    "#]],
    );
}
