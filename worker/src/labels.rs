//! Which models a worker has, as its labels say it. What a worker has depends on how it was started, and on nothing else:
//! one that names no model can load any.

use std::collections::BTreeSet;

use superstep_engine::{Homes, PartitionId};

/// What the label of a model begins with; the name of its `ModelServer` follows.
const MODEL: &str = "model/";

/// The labels of a worker that has the models of these servers, and of no others. An empty name is that of none.
pub fn labels_of_models<'a>(servers: impl IntoIterator<Item = &'a str>) -> BTreeSet<String> {
    servers.into_iter().map(label_of_model).collect()
}

/// What the worker of a vertex has that calls the model of this server.
pub(crate) fn label_of_model(server: &str) -> String {
    format!("{MODEL}{server}")
}

/// Whether a worker with these labels has what is wanted. One that names no model can load any.
pub(crate) fn has(labels: &BTreeSet<String>, wanted: &str) -> bool {
    let names_models = || labels.iter().any(|label| label.starts_with(MODEL));
    labels.contains(wanted) || (wanted.starts_with(MODEL) && !names_models())
}

/// The servers whose models the vertices of a partition call.
pub(crate) fn models_at(homes: &Homes, here: PartitionId) -> BTreeSet<String> {
    let needs = homes.needs().iter().filter(|(vertex, _)| homes.of(vertex) == here);
    let labels = needs.flat_map(|(_, labels)| labels);
    labels.filter_map(|label| label.strip_prefix(MODEL)).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use superstep_engine::Home;

    use super::*;

    fn set(labels: &[&str]) -> BTreeSet<String> {
        labels.iter().map(|label| (*label).to_owned()).collect()
    }

    #[test]
    fn who_names_no_model_has_all_of_them() {
        for (labels, wanted, is_there) in [
            (&["gpu"][..], "gpu", true),
            (&["gpu"], "large", false),
            (&["gpu"], "model/small", true),
            (&[], "model/small", true),
            (&["model/small", "gpu"], "model/small", true),
            (&["model/large"], "model/small", false),
            (&["model/"], "model/small", false),
        ] {
            assert_eq!(has(&set(labels), wanted), is_there, "{labels:?} {wanted}");
        }
        assert_eq!(labels_of_models(["small", "a.b"]), set(&["model/a.b", "model/small"]));
        assert_eq!(labels_of_models([""]), set(&["model/"]));
    }

    #[test]
    fn a_partition_needs_the_models_that_its_vertices_call() {
        let home = |name: &str, labels: &[&str]| Home { name: name.to_owned(), labels: set(labels) };
        let needs = BTreeMap::from([
            ("a".into(), set(&["model/small", "gpu"])),
            ("b".into(), set(&["model/large"])),
            ("c".into(), set(&["gpu"])),
        ]);
        let homes = Homes::new(vec![home("x", &["gpu", "model/small"]), home("y", &["model/large"])], needs);
        assert_eq!(models_at(&homes, PartitionId(0)), set(&["small"]));
        assert_eq!(models_at(&homes, PartitionId(1)), set(&["large"]));
    }
}
