//! What was found, by the names of vertices.

use std::cmp::Reverse;

use serde_json::{Map, Value, json};
use superstep_algorithms::{Corner, Triangles};

use super::network::Network;

/// Members of a payload.
type Found = Map<String, Value>;

/// An object of what there is, by name.
fn by_name<T>(network: &Network, found: impl IntoIterator<Item = Option<T>>) -> Value
where
    Value: From<T>,
{
    let named = network.names.iter().zip(found);
    named.filter_map(|(name, found)| Some((name.clone(), Value::from(found?)))).collect::<Found>().into()
}

fn members<const N: usize>(members: [(&str, Value); N]) -> Found {
    members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

pub(super) fn scores(network: &Network, ranks: &[f64], top: Option<usize>) -> Found {
    let Some(top) = top else {
        return members([("scores", by_name(network, ranks.iter().copied().map(Some)))]);
    };
    let mut named: Vec<(&String, f64)> = network.names.iter().zip(ranks.iter().copied()).collect();
    // Stable, here and below: equal ones stay in the order of names.
    named.sort_by(|one, other| other.1.total_cmp(&one.1));
    let list = named.into_iter().take(top).map(|(name, score)| json!({"name": name, "score": score}));
    members([("top", list.collect())])
}

/// Of those that are reached.
pub(super) fn distances(network: &Network, distances: &[f64], top: Option<usize>) -> Found {
    let reached = distances.iter().map(|distance| Some(*distance).filter(|distance| distance.is_finite()));
    let Some(top) = top else {
        return members([("distances", by_name(network, reached))]);
    };
    let named = network.names.iter().zip(reached);
    let mut named: Vec<(&String, f64)> = named.filter_map(|(name, found)| Some((name, found?))).collect();
    named.sort_by(|one, other| one.1.total_cmp(&other.1));
    let list =
        named.into_iter().take(top).map(|(name, distance)| json!({"name": name, "distance": distance}));
    members([("top", list.collect())])
}

/// Of components and communities, each of which is called by a vertex.
pub(super) fn labels(network: &Network, labels: &[u32], top: Option<usize>) -> Found {
    let name = |label: u32| network.names[label as usize].as_str();
    let mut sizes = vec![0_usize; labels.len()];
    labels.iter().for_each(|label| sizes[*label as usize] += 1);
    let count = sizes.iter().filter(|size| **size > 0).count();
    let Some(top) = top else {
        let named = by_name(network, labels.iter().map(|label| Some(name(*label))));
        return members([("labels", named), ("count", count.into())]);
    };
    let mut groups: Vec<(u32, usize)> = (0..).zip(sizes).filter(|(_, size)| *size > 0).collect();
    groups.sort_by_key(|(_, size)| Reverse(*size));
    let list = groups.into_iter().take(top).map(|(label, size)| json!({"label": name(label), "size": size}));
    members([("top", list.collect()), ("count", count.into())])
}

/// The number of triangles of the graph is a third of that of their corners.
pub(super) fn triangles(
    network: &Network,
    program: &Triangles,
    corners: &[Corner],
    top: Option<usize>,
) -> Found {
    let clustering = (0..).zip(corners).map(|(vertex, corner)| program.clustering(vertex, *corner));
    let count = corners.iter().map(|corner| corner.triangles).sum::<u64>() / 3;
    let Some(top) = top else {
        let triangles = by_name(network, corners.iter().map(|corner| Some(corner.triangles)));
        let clustering = by_name(network, clustering.map(Some));
        return members([("triangles", triangles), ("clustering", clustering), ("count", count.into())]);
    };
    let mut named: Vec<_> = network.names.iter().zip(corners.iter().zip(clustering)).collect();
    named.sort_by_key(|(_, (corner, _))| Reverse(corner.triangles));
    let list = named.into_iter().take(top).map(|(name, (corner, clustering))| {
        json!({"name": name, "triangles": corner.triangles, "clustering": clustering})
    });
    members([("top", list.collect()), ("count", count.into())])
}
