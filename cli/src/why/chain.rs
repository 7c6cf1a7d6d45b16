//! The way from an activation back to the entries.

use std::collections::BTreeSet;

use super::cause::{Caused, Causes, Place};

/// The activations that led to one, that one first, the later before the earlier.
pub(super) struct Chain<'a> {
    pub(super) causes: &'a Causes,
    pub(super) links: Vec<Link<'a>>,
    /// Whether it goes back to the entries, and was not cut.
    pub(super) whole: bool,
}

/// An activation of the chain.
pub(super) struct Link<'a> {
    pub(super) place: &'a Place,
    pub(super) activation: &'a Caused,
}

impl<'a> Chain<'a> {
    /// The chain that ends with `end`, over at most `depth` steps back; 0 is no limit.
    pub(super) fn to(causes: &'a Causes, end: &'a Place, depth: u64) -> Self {
        let mut found = BTreeSet::from([end]);
        let mut edge = vec![end];
        let mut whole = true;
        let mut steps = 0;
        while !edge.is_empty() {
            let before: BTreeSet<&Place> = edge
                .iter()
                .filter_map(|place| causes.activations.get(*place))
                .flat_map(|activation| &activation.causes)
                .map(|cause| &cause.from)
                .filter(|place| !found.contains(place))
                .collect();
            if depth > 0 && steps == depth {
                whole = before.is_empty();
                break;
            }
            steps += 1;
            found.extend(&before);
            edge = before.into_iter().collect();
        }
        let mut links: Vec<Link<'a>> = found
            .into_iter()
            .filter_map(|place| Some(Link { place, activation: causes.activations.get(place)? }))
            .collect();
        links.sort_by(|a, b| (b.place.superstep, a.place).cmp(&(a.place.superstep, b.place)));
        // What opened a frame started in the superstep of its entries, and the wanted one stands first.
        if let Some(position) = links.iter().position(|link| link.place == end) {
            links[..=position].rotate_right(1);
        }
        Self { causes, links, whole }
    }
}
