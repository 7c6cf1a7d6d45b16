//! The name of an effective graph: the hash of its canonical form.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::canonical::canonical_json;
use crate::spec::GraphSpec;

/// The first 16 bytes of the BLAKE3 hash of the canonical JSON of a graph whose vertices, edges and
/// other named lists are sorted. Equal graphs have equal revisions, whatever order they were
/// declared or changed in.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Revision([u8; 16]);

impl Revision {
    /// The revision of `spec`, which must be sorted (see [`GraphSpec::sort`]).
    ///
    /// It is written to the hash a vertex or an edge at a time: the canonical form of a large graph takes more memory
    /// than the graph. `spec` is as it was afterwards.
    pub(crate) fn of(spec: &mut GraphSpec) -> Self {
        let (vertices, edges) = (std::mem::take(&mut spec.vertices), std::mem::take(&mut spec.edges));
        let rest = value_of(&*spec);
        let mut hasher = blake3::Hasher::new();
        let names = rest.as_object().into_iter().flat_map(|members| members.keys().map(String::as_str));
        let mut names: Vec<&str> = names.chain(["vertices", "edges"]).collect();
        names.sort_unstable();
        names.dedup();
        // An empty list stands in the rest, if anywhere.
        names.retain(|name| rest.get(name).is_some() || (*name == "edges" && !edges.is_empty()));
        for (position, name) in names.into_iter().enumerate() {
            hasher.update(if position == 0 { b"{" } else { b"," });
            hasher.update(Value::from(name).to_string().as_bytes()).update(b":");
            match name {
                "vertices" => update_with_list(&mut hasher, &vertices),
                "edges" => update_with_list(&mut hasher, &edges),
                _ => {
                    hasher.update(canonical_json(&rest[name]).as_bytes());
                }
            }
        }
        hasher.update(b"}");
        (spec.vertices, spec.edges) = (vertices, edges);
        let mut short = [0; 16];
        short.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        Self(short)
    }

    /// Its 16 bytes.
    pub fn bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

fn value_of(item: &impl Serialize) -> Value {
    serde_json::to_value(item).expect("a graph spec has string keys only")
}

fn update_with_list(hasher: &mut blake3::Hasher, items: &[impl Serialize]) {
    hasher.update(b"[");
    for (position, item) in items.iter().enumerate() {
        if position > 0 {
            hasher.update(b",");
        }
        hasher.update(canonical_json(&value_of(item)).as_bytes());
    }
    hasher.update(b"]");
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn it_is_the_hash_of_the_canonical_form() {
        for spec in [
            json!({"entry": [], "vertices": []}),
            json!({"entry": ["a"], "vertices": [{"name": "a", "function": {"cel": "1"}}]}),
            json!({"entry": ["a"], "description": "two \"words\"", "limits": {"cost": 0.1},
                "vertices": [{"name": "a", "value": {"z": 1.5, "b": null}, "function": {"cel": "1"}},
                    {"name": "b", "function": {"cel": "2"}}],
                "edges": [{"from": "a", "to": "b"}, {"from": "b", "to": "a", "when": "true"}]}),
        ] {
            let mut spec: GraphSpec = serde_json::from_value(spec).unwrap();
            spec.sort();
            let before = spec.clone();
            let whole = blake3::hash(canonical_json(&value_of(&spec)).as_bytes());
            assert_eq!(Revision::of(&mut spec).0, whole.as_bytes()[..16]);
            assert_eq!(spec, before);
        }
    }
}
