//! A chain as a tree of lines.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

use superstep_graph::Port;

use super::cause::{Cause, Caused, How, Place};
use super::chain::{Chain, Link};

/// A line that is still to be written.
struct Pending<'a> {
    /// What stands before the branch to this line.
    indent: String,
    /// Whether it is the last of its parent; none for the root.
    last: Option<bool>,
    cause: Option<&'a Cause>,
    place: &'a Place,
}

/// Writes the activation, below it what led to it, and so on. What led to an activation is written where
/// the activation stands first.
///
/// # Errors
/// `out` cannot be written to.
pub(super) fn write(chain: &Chain<'_>, out: &mut dyn Write) -> io::Result<()> {
    let mut out = io::BufWriter::new(out);
    let known: BTreeMap<&Place, &Link<'_>> = chain.links.iter().map(|link| (link.place, link)).collect();
    let mut written = BTreeSet::new();
    let root = chain.links.first().map(|link| link.place);
    let mut pending: Vec<Pending<'_>> = root
        .map(|place| Pending { indent: String::new(), last: None, cause: None, place })
        .into_iter()
        .collect();
    while let Some(line) = pending.pop() {
        let link = known.get(line.place).copied();
        let caused = link.map(|link| link.activation);
        let first = written.insert(line.place);
        let branch = match line.last {
            None => "",
            Some(false) => "├─ ",
            Some(true) => "└─ ",
        };
        let name = chain.causes.name_of(line.place);
        let notes = notes(line.cause, caused, first);
        writeln!(out, "{}{branch}{name}{notes}", line.indent)?;
        let Some(link) = link.filter(|_| first) else { continue };
        let indent = match line.last {
            None => String::new(),
            Some(false) => format!("{}│  ", line.indent),
            Some(true) => format!("{}   ", line.indent),
        };
        let count = link.causes.len();
        for (position, cause) in link.causes.iter().copied().enumerate().rev() {
            let last = Some(position + 1 == count);
            pending.push(Pending { indent: indent.clone(), last, cause: Some(cause), place: &cause.from });
        }
    }
    if !chain.whole {
        writeln!(out, "… it goes further back: --depth 0 shows all")?;
    }
    out.flush()
}

/// What stands behind the name of an activation.
fn notes(cause: Option<&Cause>, caused: Option<&Caused>, first: bool) -> String {
    let mut notes = Vec::new();
    match cause.map(|cause| cause.how) {
        Some(How::Opened) => notes.push("opened the sub-graph".to_owned()),
        Some(How::Gave) => notes.push("gave it as an output of the sub-graph".to_owned()),
        Some(How::Saw) => notes.push("only seen".to_owned()),
        Some(How::Woken) | None => {}
    }
    let port = cause.and_then(|cause| cause.port.as_ref()).filter(|port| !port.is_default());
    notes.extend(port.map(|port: &Port| format!("on port {port}")));
    if let Some(elements) = caused.and_then(|caused| caused.elements) {
        notes.push(format!("for each of {elements}"));
    }
    match caused {
        Some(caused) if caused.is_entry() => notes.push("entry".to_owned()),
        Some(caused) if !first && !caused.causes.is_empty() => notes.push("see above".to_owned()),
        Some(_) | None => {}
    }
    if notes.is_empty() { String::new() } else { format!("  ({})", notes.join(", ")) }
}
