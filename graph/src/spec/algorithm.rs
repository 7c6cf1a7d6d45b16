//! The program `algorithm` as written, and the edges that it walks.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::edge::is_default;

/// A graph algorithm over the edges of what came, or of `edges`: exactly one of `pagerank`, `components`,
/// `shortestPaths`, `labelPropagation` and `triangles`. The payload has what was found by vertex, or the first of
/// it, and how many `vertices` and `edges` there are.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(transform = crate::schema::one_algorithm))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AlgorithmProgram {
    /// How much each vertex is pointed at: `{scores: {name: share}}`, which sum up to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pagerank: Option<PageRankSpec>,
    /// What is connected, the direction of edges apart: `{labels: {name: first name of its component}, count}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub components: Option<ComponentsSpec>,
    /// The least sum of weights from one vertex to each that is reached: `{distances: {name: sum}}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shortest_paths: Option<ShortestPathsSpec>,
    /// Communities: `{labels: {name: a name in its community}, count}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label_propagation: Option<LabelPropagationSpec>,
    /// How closely neighbours are linked: `{triangles: {name: number}, clustering: {name: share}, count}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub triangles: Option<TrianglesSpec>,
    /// The edges. Default: what came, that is the element in a forEach, else the payloads of all messages. Each
    /// is `[from, to]`, `[from, to, weight]`, `{from, to, weight}`, a list of these, or an object with such a list
    /// as `edges`, and a list of names as `vertices` if some have no edge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edges: Option<Links>,
    /// Whether edges lead both ways; default false.
    #[serde(default, skip_serializing_if = "is_default")]
    pub undirected: bool,
    /// So many of the first, as the list `top`, in place of what was found by vertex: the greatest scores, the
    /// nearest, the most triangles; of components and communities the largest. Equal ones are in the order of names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(range(min = 1)))]
    pub top: Option<u32>,
}

/// What is computed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Algorithm<'a> {
    /// How much each vertex is pointed at.
    PageRank(&'a PageRankSpec),
    /// What is connected.
    Components,
    /// The least sum of weights from one vertex.
    ShortestPaths(&'a ShortestPathsSpec),
    /// Communities.
    LabelPropagation(LabelPropagationSpec),
    /// How closely neighbours are linked.
    Triangles,
}

/// PageRank.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct PageRankSpec {
    /// The share of a vertex that follows its edges, 0 to 1; default 0.85. The rest goes back to the seeds.
    #[cfg_attr(feature = "schema", schemars(range(min = 0, max = 1)))]
    pub damping: f64,
    /// The most iterations; default 100.
    #[cfg_attr(feature = "schema", schemars(range(min = 1)))]
    pub iterations: u32,
    /// It ends when an iteration moved at most so much in all; default 1e-9.
    #[cfg_attr(feature = "schema", schemars(range(min = 0)))]
    pub tolerance: f64,
    /// CEL of where shares begin: a list of names, or an object of weights by name; null is everywhere alike,
    /// which is the default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seeds: Option<String>,
}

impl Default for PageRankSpec {
    fn default() -> Self {
        Self { damping: 0.85, iterations: 100, tolerance: 1e-9, seeds: None }
    }
}

/// Connected components.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ComponentsSpec {}

/// Shortest paths.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ShortestPathsSpec {
    /// CEL of the name of the vertex where paths begin.
    pub from: String,
}

/// Label propagation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct LabelPropagationSpec {
    /// The most iterations; default 20.
    #[cfg_attr(feature = "schema", schemars(range(min = 1)))]
    pub iterations: u32,
}

impl Default for LabelPropagationSpec {
    fn default() -> Self {
        Self { iterations: 20 }
    }
}

/// Triangles.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TrianglesSpec {}

/// Edges of a graph that is walked: exactly one of `files`, `inline` and `cel`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(transform = crate::schema::one_origin))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Links {
    /// Files, seen from the manifest, read with it: in JSON lines (`.jsonl`) an edge is a line, `.json` is a list
    /// of edges.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub files: Option<Vec<String>>,
    /// The edges themselves: each `[from, to]`, `[from, to, weight]` or `{from, to, weight}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inline: Option<Vec<Value>>,
    /// CEL that gives edges, in any form in which they may come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cel: Option<String>,
}

/// One edge of a graph that is walked.
#[derive(Clone, Debug, PartialEq)]
pub struct Link {
    /// Where it begins.
    pub from: String,
    /// Where it ends.
    pub to: String,
    /// Its weight, at least 0, if it has one.
    pub weight: Option<f64>,
}

impl AlgorithmProgram {
    /// The members of which exactly one is given.
    pub const KINDS: [&'static str; 5] =
        ["pagerank", "components", "shortestPaths", "labelPropagation", "triangles"];

    /// The algorithm, if exactly one is given.
    pub fn algorithm(&self) -> Option<Algorithm<'_>> {
        let given = [
            self.pagerank.as_ref().map(Algorithm::PageRank),
            self.components.map(|_| Algorithm::Components),
            self.shortest_paths.as_ref().map(Algorithm::ShortestPaths),
            self.label_propagation.map(Algorithm::LabelPropagation),
            self.triangles.map(|_| Algorithm::Triangles),
        ];
        let mut given = given.into_iter().flatten();
        let first = given.next();
        if given.next().is_some() { None } else { first }
    }
}

impl Algorithm<'_> {
    /// The member that has it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::PageRank(_) => "pagerank",
            Self::Components => "components",
            Self::ShortestPaths(_) => "shortestPaths",
            Self::LabelPropagation(_) => "labelPropagation",
            Self::Triangles => "triangles",
        }
    }
}

/// Why a value is no edge.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// It is neither a list nor an object.
    #[error("an edge is [from, to], [from, to, weight] or {{from, to, weight}}")]
    Form,
    /// It is a list of so many items.
    #[error("an edge is [from, to] or [from, to, weight], not {0} items")]
    Items(usize),
    /// It is an object with this member.
    #[error("an edge has from, to and weight, and no member {0:?}")]
    Member(String),
    /// Its weight is this.
    #[error("a weight is a number of at least 0, not {0}")]
    Weight(Value),
    /// One of its ends is this.
    #[error("the name of a vertex is a text or a whole number, not {0}")]
    Name(Value),
}

impl Link {
    /// An edge as it is written.
    ///
    /// # Errors
    /// What it is, and is not.
    pub fn read(value: &Value) -> Result<Self, LinkError> {
        let (from, to, weight) = match value {
            Value::Array(ends) => match ends.as_slice() {
                [from, to] => (from, to, &Value::Null),
                [from, to, weight] => (from, to, weight),
                other => return Err(LinkError::Items(other.len())),
            },
            Value::Object(members) => {
                let known = ["from", "to", "weight"];
                if let Some(unknown) = members.keys().find(|name| !known.contains(&name.as_str())) {
                    return Err(LinkError::Member(unknown.clone()));
                }
                let member = |name: &str| members.get(name).unwrap_or(&Value::Null);
                (member("from"), member("to"), member("weight"))
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                return Err(LinkError::Form);
            }
        };
        let weight = if weight.is_null() {
            None
        } else {
            let number = weight.as_f64().filter(|number| *number >= 0.0);
            Some(number.ok_or_else(|| LinkError::Weight(weight.clone()))?)
        };
        Ok(Self { from: Self::name(from)?, to: Self::name(to)?, weight })
    }

    /// The name of a vertex as it is written: a number is the text of it.
    ///
    /// # Errors
    /// It is neither a text nor a whole number.
    pub fn name(value: &Value) -> Result<String, LinkError> {
        match value {
            Value::String(name) => Ok(name.clone()),
            Value::Number(number) if number.is_i64() || number.is_u64() => Ok(number.to_string()),
            // CEL has no other numbers in an object that came as JSON.
            Value::Number(number) => match number.as_f64() {
                Some(whole) if whole.fract() == 0.0 && whole.abs() < 9e15 => Ok(format!("{whole:.0}")),
                Some(_) | None => Err(LinkError::Name(value.clone())),
            },
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
                Err(LinkError::Name(value.clone()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_edge_is_written_in_three_ways() {
        let link = |weight| Link { from: "a".to_owned(), to: "7".to_owned(), weight };
        for (value, weight) in [
            (json!(["a", 7]), None),
            (json!(["a", "7", null]), None),
            (json!(["a", 7.0, 0.5]), Some(0.5)),
            (json!({"from": "a", "to": 7, "weight": 2}), Some(2.0)),
        ] {
            assert_eq!(Link::read(&value), Ok(link(weight)), "{value}");
        }
    }

    #[test]
    fn what_is_no_edge_says_why() {
        for (value, part) in [
            (json!("a"), "an edge is [from, to]"),
            (json!(["a"]), "not 1 items"),
            (json!({"from": "a"}), "not null"),
            (json!({"from": "a", "to": "b", "cost": 1}), "\"cost\""),
            (json!(["a", "b", -1]), "at least 0, not -1"),
            (json!(["a", "b", "x"]), "at least 0, not \"x\""),
            (json!(["a", 1.5]), "not 1.5"),
        ] {
            let why = Link::read(&value).unwrap_err().to_string();
            assert!(why.contains(part), "{why}");
        }
    }
}
