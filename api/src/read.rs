//! From a tree to a typed document, with all mistakes at once.

use serde::de::DeserializeOwned;
use superstep_graph::{FieldPath, Segment};

use crate::diagnostic::{Diagnostic, did_you_mean, nearest};
use crate::document::Document;
use crate::node::{Cause, Fault, Kind, Node};

/// After so many mistakes in one document the rest is left unread.
const MOST_FAULTS: usize = 50;

/// A document as read.
pub(crate) struct Reading<T> {
    /// The typed document; none if it is broken beyond repair.
    pub(crate) value: Option<T>,
    /// Whether nothing is missing, so that relations can be looked at: only names and words were mended.
    pub(crate) whole: bool,
    /// The objects in which a word stands that was made up, by their paths: what is found in them may follow from it.
    pub(crate) made_up: Vec<FieldPath>,
}

/// Reads `document` as a `T`. After a mistake the tree is mended at that place and read again, so
/// that later mistakes are found as well; what merely follows from a repair is not reported.
pub(crate) fn read<T: DeserializeOwned>(
    document: &Document,
    diagnostics: &mut Vec<Diagnostic>,
) -> Reading<T> {
    let mut tree = document.root.clone();
    let mut repairs = Repairs::default();
    for _ in 0..MOST_FAULTS {
        let fault = match T::deserialize(&tree) {
            Ok(value) => {
                return Reading { value: Some(value), whole: repairs.whole, made_up: repairs.made_up };
            }
            Err(fault) => fault,
        };
        if !repairs.explain(&tree, &fault) {
            let span = fault.span.clone().unwrap_or_else(|| tree.focus());
            diagnostics.push(Diagnostic::error(document.place(span), message(&fault)).hint(hint(&fault)));
        }
        if !repairs.mend(&mut tree, &fault) {
            break;
        }
    }
    Reading { value: None, whole: false, made_up: Vec::new() }
}

/// What was changed in a tree to be able to read on.
struct Repairs {
    /// Members taken out, by the place of their object.
    gone: Vec<(usize, String)>,
    whole: bool,
    made_up: Vec<FieldPath>,
}

impl Default for Repairs {
    fn default() -> Self {
        Self { gone: Vec::new(), whole: true, made_up: Vec::new() }
    }
}

impl Repairs {
    /// Whether the fault is only that something taken out is missing.
    fn explain(&self, tree: &Node, fault: &Fault) -> bool {
        let Cause::MissingField { name } = &fault.cause else { return false };
        let owner = at(tree, &fault.way).span.start;
        self.gone.iter().any(|(place, gone)| *place == owner && gone == name)
    }

    /// Changes the tree so that it does not have the fault any more; false if it cannot.
    fn mend(&mut self, tree: &mut Node, fault: &Fault) -> bool {
        match &fault.cause {
            Cause::UnknownField { name, known } => {
                let object = at_mut(tree, &fault.way);
                let meant = nearest(name, known.iter().copied());
                let meant = meant.filter(|meant| object.member(meant).is_none());
                let Kind::Object(members) = &mut object.kind else { return false };
                let Some(position) = members.iter().position(|member| member.name == *name) else {
                    return false;
                };
                match meant {
                    Some(meant) => members[position].name = meant.to_owned(),
                    None => {
                        members.remove(position);
                        self.whole = false;
                    }
                }
                true
            }
            Cause::UnknownWord { word, known } => {
                let node = at_mut(tree, &fault.way);
                match (&mut node.kind, nearest(word, known.iter().copied()), known.first()) {
                    (Kind::Text(text), Some(meant), _) => meant.clone_into(text),
                    (Kind::Text(text), None, Some(first)) => {
                        (*first).clone_into(text);
                        let object = fault.way.iter().skip(1).rev().cloned();
                        self.made_up.push(FieldPath(object.collect()));
                    }
                    _ => {
                        self.whole = false;
                        return self.remove(tree, &fault.way);
                    }
                }
                true
            }
            Cause::Wrong { expected, .. } => {
                self.whole = false;
                let node = at_mut(tree, &fault.way);
                let substitute = match expected.as_str() {
                    "a text" => Kind::Text("text".to_owned()),
                    "a list" => Kind::List(Vec::new()),
                    "a number" | "a whole number" | "a whole number from 0" => Kind::Unsigned(1),
                    _ => return self.remove(tree, &fault.way),
                };
                let is_new = std::mem::discriminant(&node.kind) != std::mem::discriminant(&substitute);
                if is_new {
                    node.kind = substitute;
                    true
                } else {
                    self.remove(tree, &fault.way)
                }
            }
            Cause::MissingField { .. } | Cause::Other(_) => {
                self.whole = false;
                self.remove(tree, &fault.way)
            }
        }
    }

    fn remove(&mut self, tree: &mut Node, way: &[Segment]) -> bool {
        let Some((last, outer)) = way.split_first() else { return false };
        let parent = at_mut(tree, outer);
        let owner = parent.span.start;
        match (last, &mut parent.kind) {
            (Segment::Field(name), Kind::Object(members)) => {
                members.retain(|member| member.name != *name);
                self.gone.push((owner, name.clone()));
                true
            }
            (Segment::Index(index), Kind::List(items)) if *index < items.len() => {
                items.remove(*index);
                true
            }
            (Segment::Field(_) | Segment::Index(_), _) => false,
        }
    }
}

/// The node at `way`, whose last step comes first; a way that leads out of the tree ends early.
fn at<'a>(tree: &'a Node, way: &[Segment]) -> &'a Node {
    way.iter().rev().fold(tree, |node, step| {
        let below = match (step, &node.kind) {
            (Segment::Field(name), _) => node.member(name).map(|member| &member.value),
            (Segment::Index(index), Kind::List(items)) => items.get(*index),
            (Segment::Index(_), _) => None,
        };
        below.unwrap_or(node)
    })
}

fn at_mut<'a>(tree: &'a mut Node, way: &[Segment]) -> &'a mut Node {
    way.iter().rev().fold(tree, |node, step| {
        let has = match (step, &node.kind) {
            (Segment::Field(name), Kind::Object(members)) => {
                members.iter().position(|member| member.name == *name)
            }
            (Segment::Index(index), Kind::List(items)) => Some(*index).filter(|index| *index < items.len()),
            (Segment::Field(_) | Segment::Index(_), _) => None,
        };
        match (has, &mut node.kind) {
            (Some(position), Kind::Object(members)) => &mut members[position].value,
            (Some(position), Kind::List(items)) => &mut items[position],
            _ => unreachable!("a fault lies inside the tree that it was found in"),
        }
    })
}

fn message(fault: &Fault) -> String {
    match &fault.cause {
        Cause::UnknownField { .. }
        | Cause::UnknownWord { .. }
        | Cause::MissingField { .. }
        | Cause::Wrong { .. }
        | Cause::Other(_) => fault.to_string(),
    }
}

fn hint(fault: &Fault) -> Option<String> {
    match &fault.cause {
        // No field has such a name: it is the rest of a text that ended too early.
        Cause::UnknownField { name, .. }
            if name.contains(|c: char| !c.is_alphanumeric() && c != '_' && c != '-') =>
        {
            Some("between braces a comma ends a text: put the text in quotes".to_owned())
        }
        Cause::UnknownField { name, known } => {
            let all = || match known {
                [] => "no field is known here".to_owned(),
                known => format!("known here are {}", known.join(", ")),
            };
            Some(did_you_mean(name, known.iter().copied()).unwrap_or_else(all))
        }
        Cause::UnknownWord { word, known } => did_you_mean(word, known.iter().copied()),
        Cause::Wrong { found, expected } => match expected.as_str() {
            "a text"
                if found.starts_with("the number")
                    || found == "true"
                    || found == "false"
                    || found == "null" =>
            {
                Some("put it in quotes if a text is meant".to_owned())
            }
            "true or false" => Some("write true or false without quotes".to_owned()),
            _ => None,
        },
        Cause::MissingField { .. } | Cause::Other(_) => None,
    }
}
