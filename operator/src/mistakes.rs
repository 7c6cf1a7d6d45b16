//! Mistakes in a spec, as a condition tells of them.

use superstep_graph::Problem;

/// How many a condition tells of.
const SHOWN: usize = 8;

/// The first of them with their places from the root of the object.
pub(crate) fn listed(problems: &[Problem]) -> String {
    let shown: Vec<String> = problems.iter().take(SHOWN).map(|problem| format!("spec.{problem}")).collect();
    let more = problems.len().saturating_sub(SHOWN);
    let rest = if more == 0 { String::new() } else { format!("; and {more} more") };
    format!("{}{rest}", shown.join("; "))
}
