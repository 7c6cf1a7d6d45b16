//! Pods as an autoscaler sees them.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;

use crate::pods::trouble;

/// Whether a pod answers, and is to stay.
pub(super) fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let mut ready = conditions.filter(|condition| condition.type_ == "Ready");
    ready.any(|condition| condition.status == "True") && pod.metadata.deletion_timestamp.is_none()
}

/// Whether a pod is on its way to be ready: it has a node, an image and what it needs, or nobody has looked at it. One that
/// cannot start is not, so that it holds up nothing.
pub(super) fn is_loading(pod: &Arc<Pod>) -> bool {
    trouble(std::slice::from_ref(pod)).is_some_and(|trouble| trouble.reason == "Starting")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn pod(status: Value, deleted: Option<&str>) -> Arc<Pod> {
        let metadata = json!({"name": "m-model-0", "deletionTimestamp": deleted});
        Arc::new(serde_json::from_value(json!({"metadata": metadata, "status": status})).unwrap())
    }

    fn conditions(ready: &str, scheduled: &str) -> Value {
        json!([
            {"type": "Ready", "status": ready},
            {"type": "PodScheduled", "status": scheduled, "reason": "Unschedulable"},
        ])
    }

    #[test]
    fn what_cannot_start_does_not_load() {
        let crashes = json!([{
            "name": "server", "image": "i", "imageID": "", "ready": false, "restartCount": 3,
            "state": {"waiting": {"reason": "CrashLoopBackOff"}},
        }]);
        for (status, deleted, ready, loading) in [
            (json!({"conditions": conditions("True", "True")}), None, true, false),
            (json!({"conditions": conditions("True", "True")}), Some("2026-01-01T00:00:00Z"), false, false),
            (json!({"conditions": conditions("False", "True")}), None, false, true),
            (json!({"conditions": conditions("False", "False")}), None, false, false),
            (
                json!({"conditions": conditions("False", "True"), "containerStatuses": crashes}),
                None,
                false,
                false,
            ),
        ] {
            let pod = pod(status.clone(), deleted);
            assert_eq!((is_ready(&pod), is_loading(&pod)), (ready, loading), "{status} {deleted:?}");
        }
    }
}
