//! Whether an object is what it is to be.

use serde_json::{Map, Value};

/// Texts that are longer are only compared by their digest, so that they need not be kept.
const LONG: usize = 512;

/// What the operator says all of, by kind: members that it has not named widen or narrow what is meant there. The API server
/// fills nothing in, and an apply replaces all of it. The selectors of pods' makers are not among them, since nobody can
/// change those.
const WHOLE: [(&str, &str); 3] =
    [("NetworkPolicy", "/spec"), ("PodDisruptionBudget", "/spec/selector"), ("Service", "/spec/selector")];

/// What of an object is compared: not who and when, nor its status.
pub(super) fn essence(object: Value) -> Value {
    let mut kept = Map::new();
    kept.insert("metadata".to_owned(), Value::Object(Map::new()));
    if let Value::Object(members) = object {
        for (name, value) in members {
            match name.as_str() {
                "apiVersion" | "kind" | "status" => {}
                "metadata" => kept["metadata"] = of_metadata(value),
                _ => {
                    kept.insert(name, shortened(value));
                }
            }
        }
    }
    Value::Object(kept)
}

fn of_metadata(metadata: Value) -> Value {
    let Value::Object(members) = metadata else { return Value::Object(Map::new()) };
    let compared = members
        .into_iter()
        .filter(|(name, _)| matches!(name.as_str(), "labels" | "annotations" | "ownerReferences"));
    Value::Object(compared.map(|(name, value)| (name, shortened(value))).collect())
}

fn shortened(value: Value) -> Value {
    match value {
        Value::String(text) if text.len() > LONG => blake3::hash(text.as_bytes()).to_hex().as_str().into(),
        Value::Array(items) => items.into_iter().map(shortened).collect(),
        Value::Object(members) => members.into_iter().map(|(name, value)| (name, shortened(value))).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value,
    }
}

/// Whether `live` is what is `wanted` of an object of this kind.
pub(super) fn is_as(kind: &str, live: &Value, wanted: &Value) -> bool {
    let mut whole = WHOLE.iter().filter(|(of, _)| *of == kind);
    covers(live, wanted)
        && whole
            .all(|(_, path)| live.pointer(path).is_none_or(|live| has_no_more(live, wanted.pointer(path))))
}

/// Whether `live` is at least what is `wanted`: it may have more members of objects, which are those of others or
/// filled in by the API server, and no more items of lists.
fn covers(live: &Value, wanted: &Value) -> bool {
    match (live, wanted) {
        (Value::Object(live), Value::Object(wanted)) => wanted.iter().all(|(name, wanted)| {
            // What is empty may be left out.
            live.get(name).map_or_else(|| is_empty(wanted), |live| covers(live, wanted))
        }),
        (Value::Array(live), Value::Array(wanted)) => {
            live.len() == wanted.len() && live.iter().zip(wanted).all(|(live, wanted)| covers(live, wanted))
        }
        _ => live == wanted,
    }
}

/// Whether `live`, which covers what is `wanted`, has nothing that is not.
fn has_no_more(live: &Value, wanted: Option<&Value>) -> bool {
    match (live, wanted) {
        (Value::Object(live), Some(Value::Object(wanted))) => {
            live.iter().all(|(name, live)| has_no_more(live, wanted.get(name)))
        }
        (Value::Array(live), Some(Value::Array(wanted))) => {
            live.iter().zip(wanted).all(|(live, wanted)| has_no_more(live, Some(wanted)))
        }
        (live, wanted) => wanted.is_some() || is_empty(live),
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.is_empty(),
        Value::Null => true,
        Value::Object(_) | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_others_add_is_no_drift_and_what_they_change_is() {
        let wanted = json!({"spec": {"ports": [{"port": 1}], "selector": {"a": "b"}, "egress": []}});
        for (live, covered) in [
            (
                json!({"spec": {"ports": [{"port": 1, "protocol": "TCP"}], "selector": {"a": "b", "c": "d"}}}),
                true,
            ),
            (json!({"spec": {"ports": [{"port": 2}], "selector": {"a": "b"}}}), false),
            (json!({"spec": {"ports": [{"port": 1}, {"port": 2}], "selector": {"a": "b"}}}), false),
            (json!({"spec": {"ports": [{"port": 1}], "selector": {}}}), false),
            (json!({"spec": {"ports": [{"port": 1}]}}), false),
            (json!({"spec": {"ports": [{"port": 1}], "selector": {"a": "b"}, "egress": [{}]}}), false),
        ] {
            assert_eq!(covers(&live, &wanted), covered, "{live}");
        }
    }

    #[test]
    fn what_a_selector_means_is_not_changed_by_adding_to_it() {
        let policy = |pods: Value, peer: Value| {
            let from = json!([{"from": [peer], "ports": [{"port": 1, "protocol": "TCP"}]}]);
            json!({"spec": {"podSelector": pods, "ingress": from, "policyTypes": ["Ingress"]}})
        };
        let (pods, peer) = (json!({"matchLabels": {"a": "b"}}), json!({"podSelector": {"matchLabels": {}}}));
        let wanted = policy(pods.clone(), peer.clone());
        let narrower = json!({"matchLabels": {"a": "b", "c": "d"}});
        let by_expression = json!({"matchLabels": {"a": "b"}, "matchExpressions": [{"key": "c"}]});
        let wider = json!({"podSelector": {"matchLabels": {}}, "namespaceSelector": {}});
        for (live, is_same) in [
            (wanted.clone(), true),
            (policy(narrower, peer.clone()), false),
            (policy(by_expression, peer), false),
            (policy(pods, wider), false),
        ] {
            assert_eq!(is_as("NetworkPolicy", &live, &wanted), is_same, "{live}");
        }
        let service = |selector: Value| json!({"spec": {"selector": selector}, "metadata": {"labels": {}}});
        let wanted = service(json!({"a": "b"}));
        let mut labelled = wanted.clone();
        labelled["metadata"]["labels"] = json!({"theirs": "yes"});
        labelled["spec"]["clusterIP"] = json!("10.0.0.1");
        assert!(is_as("Service", &labelled, &wanted));
        let narrower = service(json!({"a": "b", "c": "d"}));
        assert!(!is_as("Service", &narrower, &wanted));
        // Of other kinds it is what others have added.
        assert!(is_as("ConfigMap", &narrower, &wanted));
    }

    #[test]
    fn status_and_versions_are_no_part_of_it() {
        let object = |version: &str, text: &str| {
            json!({
                "apiVersion": "v1", "kind": "ConfigMap", "status": version, "data": {"a": text},
                "metadata": {"name": "a", "resourceVersion": version, "labels": {"a": "b"}},
            })
        };
        let long = "x".repeat(LONG + 1);
        let one = essence(object("1", &long));
        assert_eq!(one, essence(object("2", &long)));
        assert_ne!(one, essence(object("2", &"y".repeat(LONG + 1))));
        assert!(one.to_string().len() < LONG);
    }
}
