//! What edges cost, as a run knows it.

use std::io;
use std::sync::Arc;

use serde_json::{Value, json};
use superstep_engine::{Costs, EdgeCosts, EdgeEstimate, Notice};
use superstep_graph::{EdgeCost, EdgeSpec};
use superstep_provision::not_loaded;
use superstep_runtime::follow;

use crate::args::runs::InspectArgs;
use crate::exit::{CommandError, Exit};
use crate::output;
use crate::recorded::Recorded;

/// Shows what a run and those before it have measured of the edges of its graphs.
///
/// # Errors
/// There is no such run, its log is corrupt, or its workers cannot be reached.
pub(crate) fn show(args: &InspectArgs) -> Result<Exit, CommandError> {
    let Recorded { name, started, records } = Recorded::read(&args.run, &args.store, &args.connect)?;
    let mut costs = Costs::default();
    follow(&name, &records, &not_loaded(&name, &started)?, |notice, coordinator| {
        if let Notice::SuperstepStarted { .. } | Notice::Committed { .. } = notice {
            costs = coordinator.costs().clone();
        }
    })?;
    let rows = costs.iter().flat_map(|(graph, costs)| costs.edges().iter().map(move |edge| row(graph, edge)));
    output::write(&Value::Array(rows.collect()), args.output, &mut io::stdout().lock())?;
    Ok(Exit::Success)
}

fn row(graph: &str, edge: &EdgeEstimate) -> Value {
    json!({
        "graph": graph,
        "from": edge.from.as_str(),
        "port": edge.port.as_str(),
        "to": edge.to.as_str(),
        "seconds": rounded(edge.latency_seconds),
        "tokens": rounded(edge.tokens),
        "money": rounded(edge.money),
        "measured": edge.measured,
        "failed": edge.failed,
    })
}

/// What an edge is taken to cost, and whether that was measured; none if nothing is known of it.
pub(crate) fn known(edge: &EdgeSpec, costs: Option<&Arc<EdgeCosts>>) -> Option<(EdgeCost, bool)> {
    let measured = costs.and_then(|costs| costs.of(&edge.from, &edge.port, &edge.to));
    measured.map(|measured| (measured.cost(), true)).or_else(|| Some((edge.cost?, false)))
}

/// A cost beside an edge of a drawing.
pub(crate) fn label((cost, measured): (EdgeCost, bool)) -> String {
    let mut parts = vec![format!("{} s", rounded(cost.latency_seconds))];
    if cost.tokens > 0.0 {
        parts.push(format!("{} tokens", rounded(cost.tokens)));
    }
    if cost.money > 0.0 {
        parts.push(format!("cost {}", rounded(cost.money)));
    }
    if !measured {
        parts.push("not measured".to_owned());
    }
    parts.join(", ")
}

/// To the millionth: averages have more digits than anybody reads.
pub(crate) fn rounded(number: f64) -> f64 {
    (number * 1e6).round() / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_has_what_is_not_nothing() {
        let cost = EdgeCost { tokens: 12.25, money: 0.0, latency_seconds: 0.123_456_789 };
        assert_eq!(label((cost, true)), "0.123457 s, 12.25 tokens");
        let cost = EdgeCost { tokens: 0.0, money: 0.5, latency_seconds: 2.0 };
        assert_eq!(label((cost, false)), "2 s, cost 0.5, not measured");
    }
}
