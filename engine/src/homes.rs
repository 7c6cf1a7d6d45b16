//! Which partition has which vertex.

use std::collections::{BTreeMap, BTreeSet};

use superstep_graph::VertexName;

use crate::ids::PartitionId;

/// A worker that has a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Home {
    /// Its name, which decides what it is given.
    pub name: String,
    /// What it has, such as `gpu`.
    pub labels: BTreeSet<String>,
}

/// The partitions of a run for one term, and what they have: each vertex is where the hash of its name and the
/// worker's is the largest (rendezvous hashing; Thaler and Ravishankar 1998), so that a worker that comes or goes
/// moves no vertex between the others. Frames do not matter: a vertex is at the same worker in all frames.
#[derive(Clone, Debug)]
pub struct Homes {
    homes: Vec<(u64, Home)>,
    /// What the worker of a vertex must have, of vertices that ask for something.
    needs: BTreeMap<VertexName, BTreeSet<String>>,
}

impl Homes {
    /// One partition that has everything.
    #[must_use]
    pub fn one() -> Self {
        Self::numbered(1)
    }

    /// So many partitions, named by their numbers; at least one.
    #[must_use]
    pub fn numbered(count: u32) -> Self {
        let home = |number: u32| Home { name: number.to_string(), labels: BTreeSet::new() };
        Self::new((0..count.max(1)).map(home).collect(), BTreeMap::new())
    }

    /// These workers, in the order of their partitions. A vertex that needs what no worker has may be anywhere.
    #[must_use]
    pub fn new(homes: Vec<Home>, needs: BTreeMap<VertexName, BTreeSet<String>>) -> Self {
        let hashed = |home: Home| (hash(home.name.as_bytes()), home);
        Self { homes: homes.into_iter().map(hashed).collect(), needs }
    }

    /// How many partitions there are.
    #[must_use]
    pub fn count(&self) -> u32 {
        u32::try_from(self.homes.len()).unwrap_or(u32::MAX)
    }

    /// The workers, in the order of their partitions.
    pub fn iter(&self) -> impl Iterator<Item = &Home> {
        self.homes.iter().map(|(_, home)| home)
    }

    /// What the worker of each vertex must have, of those that ask for something.
    #[must_use]
    pub fn needs(&self) -> &BTreeMap<VertexName, BTreeSet<String>> {
        &self.needs
    }

    /// The partition that has a vertex.
    #[must_use]
    pub fn of(&self, vertex: &VertexName) -> PartitionId {
        if self.homes.len() <= 1 {
            return PartitionId(0);
        }
        let needs = self.needs.get(vertex);
        let name = hash(vertex.as_str().as_bytes());
        let best = |serves: &dyn Fn(&Home) -> bool| {
            let homes = (0u32..).zip(&self.homes).filter(|(_, (_, home))| serves(home));
            homes.max_by_key(|(number, (seed, _))| (mix(name ^ seed), *number)).map(|(number, _)| number)
        };
        let suited = best(&|home| needs.is_none_or(|needs| needs.is_subset(&home.labels)));
        PartitionId(suited.or_else(|| best(&|_| true)).unwrap_or(0))
    }
}

/// FNV-1a, mixed.
fn hash(bytes: &[u8]) -> u64 {
    let fnv = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    mix(bytes.iter().fold(0xcbf2_9ce4_8422_2325, fnv))
}

/// The finaliser of splitmix64: every bit of the input changes half of the output.
fn mix(number: u64) -> u64 {
    let mixed = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(names: &[&str]) -> Homes {
        let home = |name: &&str| Home { name: (*name).to_owned(), labels: BTreeSet::new() };
        Homes::new(names.iter().map(home).collect(), BTreeMap::new())
    }

    fn name_of(homes: &Homes, vertex: &VertexName) -> String {
        homes.iter().nth(homes.of(vertex).0 as usize).unwrap().name.clone()
    }

    #[test]
    fn who_leaves_moves_nothing_between_the_others() {
        let (all, fewer) = (named(&["a", "b", "c", "d"]), named(&["d", "a", "c"]));
        let mut counts: BTreeMap<String, u32> = BTreeMap::new();
        for number in 0..4_000 {
            let vertex = VertexName::from(format!("v{number}").as_str());
            let before = name_of(&all, &vertex);
            let after = name_of(&fewer, &vertex);
            assert!(before == "b" || before == after, "{vertex:?} moved from {before} to {after}");
            *counts.entry(before).or_default() += 1;
        }
        assert!(counts.values().all(|count| (850..1_150).contains(count)), "{counts:?}");
    }

    #[test]
    fn a_vertex_is_where_its_labels_are_if_they_are_anywhere() {
        let home = |name: &str, labels: &[&str]| Home {
            name: name.to_owned(),
            labels: labels.iter().map(|label| (*label).to_owned()).collect(),
        };
        let needs: BTreeMap<VertexName, BTreeSet<String>> = (0..50)
            .map(|number| (format!("v{number}").as_str().into(), BTreeSet::from(["gpu".to_owned()])))
            .chain([("nowhere".into(), BTreeSet::from(["tpu".to_owned()]))])
            .collect();
        let homes = Homes::new(vec![home("a", &[]), home("b", &["gpu", "large"]), home("c", &[])], needs);
        assert!((0..50).all(|number| homes.of(&format!("v{number}").as_str().into()) == PartitionId(1)));
        assert!((50..90).any(|number| homes.of(&format!("v{number}").as_str().into()) != PartitionId(1)));
        assert!(homes.of(&"nowhere".into()).0 < homes.count());
    }
}
