//! What a model has on a cluster alone.

use superstep_graph::{FieldPath, Problem};

/// Refuses those of the members that are given: `what` is the object that has them, `there` what it has in a
/// local run.
pub(super) fn refuse(
    path: &FieldPath,
    what: &str,
    members: &[(&'static str, bool)],
    there: &str,
    problems: &mut Vec<Problem>,
) {
    for (member, _) in members.iter().filter(|(_, given)| *given) {
        let message = format!("{what}.{member} is not available in a local run");
        problems.push(Problem::error(path.field(member), message).hint(format!("it has {there}")));
    }
}
