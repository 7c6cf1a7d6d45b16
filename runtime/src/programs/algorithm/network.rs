//! Edges between names, as a graph of dense ids.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use superstep_algorithms::Graph;
use superstep_engine::Failure;
use superstep_graph::{Link, LinkError};

/// A graph and the names of its vertices.
pub(super) struct Network {
    pub(super) graph: Graph,
    /// By vertex, in the order of names: whole numbers by their size, then texts.
    pub(super) names: Vec<String>,
    /// The edges as they were given.
    pub(super) links: usize,
    ids: BTreeMap<String, u32>,
}

/// Reads edges in the forms in which they come.
#[derive(Default)]
pub(super) struct Reader {
    pub(super) links: Vec<Link>,
    /// Vertices that may have no edge.
    vertices: Vec<String>,
}

impl Reader {
    /// Reads an edge, a list of what it reads, or `{edges, vertices}`. `place` is named in an error.
    pub(super) fn read(&mut self, value: &Value, place: &str) -> Result<(), Failure> {
        let wrong = |why: String| Failure::permanent(format!("{place}: {why}"));
        match value {
            Value::Array(items)
                if items.first().is_none_or(|first| first.is_array() || first.is_object()) =>
            {
                for (index, item) in items.iter().enumerate() {
                    self.read(item, &format!("{place}[{index}]"))?;
                }
                Ok(())
            }
            Value::Object(members) if members.contains_key("edges") => {
                if let Some(unknown) =
                    members.keys().find(|name| !["edges", "vertices"].contains(&name.as_str()))
                {
                    return Err(wrong(format!("a graph has edges and vertices, and no member {unknown:?}")));
                }
                match members.get("vertices") {
                    None | Some(Value::Null) => {}
                    Some(Value::Array(names)) => {
                        let names = names.iter().map(Link::name).collect::<Result<Vec<String>, LinkError>>();
                        self.vertices.extend(names.map_err(|error| wrong(error.to_string()))?);
                    }
                    Some(
                        other @ (Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_)),
                    ) => return Err(wrong(format!("vertices is a list of names, not {other}"))),
                }
                match &members["edges"] {
                    Value::Null => Ok(()),
                    Value::Array(_) => self.read(&members["edges"], &format!("{place}.edges")),
                    other @ (Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_)) => {
                        Err(wrong(format!("edges is a list, not {other}")))
                    }
                }
            }
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_)
            | Value::Object(_) => {
                self.links.push(Link::read(value).map_err(|error| wrong(error.to_string()))?);
                Ok(())
            }
        }
    }
}

/// Whole numbers come first, by size.
fn order(name: &str) -> (bool, i128, &str) {
    let number = name.parse::<i128>().ok().filter(|number| number.to_string() == name);
    (number.is_none(), number.unwrap_or_default(), name)
}

impl Network {
    pub(super) fn new(reader: Reader, undirected: bool) -> Result<Self, Failure> {
        let Reader { links, vertices } = reader;
        let ends = links.iter().flat_map(|link| [&link.from, &link.to]);
        let names: BTreeSet<(bool, i128, &str)> = ends.chain(&vertices).map(|name| order(name)).collect();
        let names: Vec<String> = names.into_iter().map(|(_, _, name)| name.to_owned()).collect();
        let ids: BTreeMap<String, u32> = names.iter().cloned().zip(0..).collect();
        let weighted = links.iter().any(|link| link.weight.is_some());
        let edge = |link: &Link| (ids[&link.from], ids[&link.to]);
        let graph = if weighted {
            let edges: Vec<(u32, u32, f64)> =
                links.iter().map(|link| (edge(link).0, edge(link).1, link.weight.unwrap_or(1.0))).collect();
            Graph::weighted(names.len(), &edges, !undirected)
        } else {
            let edges: Vec<(u32, u32)> = links.iter().map(edge).collect();
            if undirected {
                Graph::undirected(names.len(), &edges)
            } else {
                Graph::directed(names.len(), &edges)
            }
        };
        let graph = graph.map_err(|error| Failure::permanent(error.to_string()))?;
        Ok(Self { graph, links: links.len(), ids, names })
    }

    pub(super) fn id(&self, name: &str) -> Result<u32, Failure> {
        let unknown = || Failure::permanent(format!("no edge has the vertex {name:?}"));
        self.ids.get(name).copied().ok_or_else(unknown)
    }

    pub(super) fn known(&self, seeds: Vec<(String, f64)>) -> Result<Vec<(u32, f64)>, Failure> {
        seeds.into_iter().map(|(name, weight)| Ok((self.id(&name)?, weight))).collect()
    }
}

/// Names with their weights; nothing for null.
pub(super) fn seeds(value: &Value) -> Result<Option<Vec<(String, f64)>>, Failure> {
    let wrong = |why: String| Failure::permanent(format!("algorithm.pagerank.seeds: {why}"));
    match value {
        Value::Null => Ok(None),
        Value::Array(names) => {
            let seeds =
                names.iter().map(|name| Ok((Link::name(name)?, 1.0))).collect::<Result<Vec<_>, LinkError>>();
            seeds.map(Some).map_err(|error| wrong(error.to_string()))
        }
        Value::Object(weights) => {
            let seed = |(name, weight): (&String, &Value)| match weight.as_f64() {
                Some(weight) if weight >= 0.0 => Ok((name.clone(), weight)),
                Some(_) | None => Err(wrong(format!("a weight is a number of at least 0, not {weight}"))),
            };
            weights.iter().map(seed).collect::<Result<Vec<_>, Failure>>().map(Some)
        }
        Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            Err(wrong(format!("seeds are a list of names or an object of weights, not {value}")))
        }
    }
}
