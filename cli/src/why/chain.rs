//! The way from an activation back to the entries.

use std::collections::BTreeMap;

use super::cause::{Cause, Caused, Causes, How, Place};

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
    /// What led to it, as far as it matters here.
    pub(super) causes: Vec<&'a Cause>,
}

impl<'a> Chain<'a> {
    /// The chain that ends with `end`, over at most `depth` steps back; 0 is no limit.
    pub(super) fn to(causes: &'a Causes, end: &'a Place, depth: u64) -> Self {
        let mut found = BTreeMap::from([(end, true)]);
        let mut edge = vec![end];
        let mut whole = true;
        let mut steps = 0;
        while !edge.is_empty() {
            let mut before = BTreeMap::new();
            for place in edge {
                let Some(activation) = causes.activations.get(place) else { continue };
                for cause in causes_of(activation, found.get(place) == Some(&true)) {
                    let gives = cause.how != How::Opened;
                    if found.get(&cause.from).is_none_or(|known| gives && !known) {
                        *before.entry(&cause.from).or_default() |= gives;
                    }
                }
            }
            if depth > 0 && steps == depth {
                whole = before.is_empty();
                break;
            }
            steps += 1;
            edge = before.keys().copied().collect();
            found.extend(before);
        }
        let mut links: Vec<Link<'a>> = found
            .into_iter()
            .filter_map(|(place, gives)| {
                let activation = causes.activations.get(place)?;
                Some(Link { place, activation, causes: causes_of(activation, gives).collect() })
            })
            .collect();
        links.sort_by(|a, b| (b.place.superstep, a.place).cmp(&(a.place.superstep, b.place)));
        // What opened a frame started in the superstep of its entries, and the wanted one stands first.
        if let Some(position) = links.iter().position(|link| link.place == end) {
            links[..=position].rotate_right(1);
        }
        Self { causes, links, whole }
    }
}

/// What led to an activation. What a sub-graph gave to its opener matters only where what the opener gave
/// does: it came after what was opened.
fn causes_of(activation: &Caused, gives: bool) -> impl Iterator<Item = &Cause> {
    activation.causes.iter().filter(move |cause| gives || cause.how != How::Gave)
}
