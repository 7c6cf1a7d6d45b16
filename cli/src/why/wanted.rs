//! The activation that a user names.

use superstep_engine::FrameId;
use superstep_graph::VertexName;

use super::cause::{Causes, Place};

/// An activation as it is named: `judge@3`, in a sub-graph `2/judge@3`, an element of a forEach
/// `judge@3[0]`, which stands for its group; without a superstep the last one of the vertex.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    frame: FrameId,
    vertex: VertexName,
    superstep: Option<u64>,
}

/// So many others are named at most where there is no such activation.
const MOST_OTHERS: usize = 8;

impl Wanted {
    /// Reads a name; none if it is no name of an activation.
    pub(super) fn read(text: &str) -> Option<Self> {
        let (frame, rest) = text.split_once('/').unwrap_or(("0", text));
        let rest = match rest.split_once('[') {
            Some((rest, element)) => {
                element.strip_suffix(']')?.parse::<u32>().ok()?;
                rest
            }
            None => rest,
        };
        let (vertex, superstep) = match rest.split_once('@') {
            Some((vertex, at)) => {
                // The superstep alone names the activation: the incarnation follows from it.
                let (superstep, incarnation) = at.split_once('.').unwrap_or((at, "0"));
                incarnation.parse::<u32>().ok()?;
                (vertex, Some(superstep.parse().ok()?))
            }
            None => (rest, None),
        };
        let vertex = VertexName::from(vertex);
        vertex.is_well_formed().then_some(Self { frame: FrameId(frame.parse().ok()?), vertex, superstep })
    }

    /// The activation, if there was one.
    pub(super) fn find<'a>(&self, causes: &'a Causes) -> Option<&'a Place> {
        let mut of_vertex = self.of_vertex(causes);
        match self.superstep {
            Some(superstep) => of_vertex.find(|place| place.superstep == superstep),
            None => of_vertex.next_back(),
        }
    }

    /// The last activations of the vertex.
    pub(super) fn others(&self, causes: &Causes) -> Vec<String> {
        let mut others: Vec<String> =
            self.of_vertex(causes).rev().take(MOST_OTHERS).map(|place| causes.name_of(place)).collect();
        others.reverse();
        others
    }

    fn of_vertex<'a>(&self, causes: &'a Causes) -> impl DoubleEndedIterator<Item = &'a Place> {
        let at = |superstep| Place { frame: self.frame, vertex: self.vertex.clone(), superstep };
        causes.activations.range(at(0)..=at(u64::MAX)).map(|(place, _)| place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn activations_are_named_as_they_are_shown() {
        for (text, expected) in [
            ("judge@3", Some((0, "judge", Some(3)))),
            ("2/judge@3.1[4]", Some((2, "judge", Some(3)))),
            ("judge", Some((0, "judge", None))),
            ("1/judge", Some((1, "judge", None))),
            ("Judge@3", None),
            ("judge@", None),
            ("judge@x", None),
            ("judge@3[", None),
            ("judge@3[x]", None),
            ("judge@3.x", None),
            ("x/judge", None),
            ("", None),
        ] {
            let expected = expected.map(|(frame, vertex, superstep)| Wanted {
                frame: FrameId(frame),
                vertex: VertexName::from(vertex),
                superstep,
            });
            assert_eq!(Wanted::read(text), expected, "{text}");
        }
    }
}
