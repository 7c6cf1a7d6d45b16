//! The patches of a graph in their order.

use std::sync::Arc;

use superstep_api::AgentGraphPatchObject;

/// The patches that are for every later run of a graph, in the order in which they are applied: that of their
/// creation, and of their names where that is the same. What is not well formed is not among them.
pub(crate) fn for_later_runs(
    patches: impl Iterator<Item = Arc<AgentGraphPatchObject>>,
    namespace: &str,
    graph: &str,
) -> Vec<Arc<AgentGraphPatchObject>> {
    let concerns = |patch: &Arc<AgentGraphPatchObject>| {
        patch.spec.run_ref.is_none()
            && patch.spec.graph_ref.name == graph
            && patch.metadata.namespace.as_deref() == Some(namespace)
            && patch.metadata.deletion_timestamp.is_none()
            && patch.spec.problems().is_empty()
    };
    let mut patches: Vec<_> = patches.filter(concerns).collect();
    patches.sort_by_key(|patch| {
        let created = patch.metadata.creation_timestamp.as_ref().map(|time| time.0);
        (created, patch.metadata.name.clone())
    });
    patches
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn patch(name: &str, created: &str, graph: &str, run: Option<&str>) -> Arc<AgentGraphPatchObject> {
        let mut object = json!({
            "apiVersion": "superstep.dev/v1alpha1",
            "kind": "AgentGraphPatch",
            "metadata": {"name": name, "namespace": "team", "creationTimestamp": created},
            "spec": {"graphRef": {"name": graph}, "mutations": [{"removeVertex": {"name": "a"}}]},
        });
        if let Some(run) = run {
            object["spec"]["runRef"] = json!({"name": run});
        }
        Arc::new(serde_json::from_value(object).unwrap())
    }

    #[test]
    fn they_are_in_the_order_of_their_creation() {
        let (early, late) = ("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z");
        let all = [
            patch("c", late, "g", None),
            patch("b", early, "g", None),
            patch("a", early, "g", None),
            patch("run", early, "g", Some("r")),
            patch("other", early, "h", None),
        ];
        let sorted = for_later_runs(all.into_iter(), "team", "g");
        let names: Vec<_> = sorted.iter().map(|patch| patch.metadata.name.as_deref().unwrap()).collect();
        assert_eq!(names, ["a", "b", "c"]);
    }
}
