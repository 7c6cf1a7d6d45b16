//! How an API server merges the lists of several writers. What is not named here is replaced as a whole.

/// Lists of objects, and the members that tell these apart.
const KEYED: [(&str, &str, &[&str]); 9] = [
    ("AgentGraphSpec", "models", &["name"]),
    ("AgentGraphSpec", "tools", &["name"]),
    ("AgentGraphSpec", "vertices", &["name"]),
    ("AgentGraphSpec", "edges", &["from", "port", "to"]),
    ("AgentGraphSpec", "outputs", &["vertex"]),
    ("AgentGraphSpec", "aggregators", &["name"]),
    ("Rubric", "criteria", &["name"]),
    ("Scheduling", "topologySpread", &["topologyKey"]),
    ("", "conditions", &["type"]),
];

/// Lists of texts whose order means nothing.
const SETS: [(&str, &str); 11] = [
    ("AgentGraphSpec", "entry"),
    ("AgentProgram", "tools"),
    ("CapabilitiesSpec", "models"),
    ("CapabilitiesSpec", "tools"),
    ("CapabilitiesSpec", "graphs"),
    ("CapabilitiesSpec", "custom"),
    ("JoinSpec", "of"),
    ("MutationPolicy", "allow"),
    ("McpTool", "allow"),
    ("VertexSpec", "requires"),
    ("WorkersSpec", "labels"),
];

/// How the lists of one field are merged.
pub(super) enum Merge {
    /// By the members of these names.
    Keyed(&'static [&'static str]),
    /// Each item by itself.
    Set,
    /// Not at all.
    Atomic,
}

/// How the list `field` of `definition` is merged.
pub(super) fn merge(definition: &str, field: &str) -> Merge {
    let keyed = KEYED.iter().find(|(of, name, _)| (*of == definition || of.is_empty()) && *name == field);
    match keyed {
        Some((_, _, keys)) => Merge::Keyed(keys),
        None if SETS.contains(&(definition, field)) => Merge::Set,
        None => Merge::Atomic,
    }
}

/// The default of a key that need not be written, without which the API server would not take it for one.
pub(super) fn default_key(definition: &str, field: &str) -> Option<&'static str> {
    (definition == "EdgeSpec" && field == "port").then_some(superstep_graph::Port::DEFAULT)
}
