//! Which edge a router takes that weighs costs.

use superstep_graph::{
    CostUnit, EdgeCost, EdgeIx, Goal, PathRule, Port, Topology, VertexIx, VertexName, Weight, lightest,
    unbeaten,
};

use super::{EdgeCosts, by_age, cost_of};
use crate::program::Failure;

/// Where a router sends to.
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    /// The port of the edge that it takes.
    pub port: Port,
    /// The receiver of that edge.
    pub to: VertexName,
}

/// What a router chooses from.
struct Choosing<'a> {
    topology: &'a Topology,
    costs: Option<&'a EdgeCosts>,
    at: VertexIx,
    to: VertexIx,
}

/// The edge that router `at` takes, by what is known of the costs of edges. A function of its arguments:
/// what costs the same is told apart by the name of the receiver, then by the port.
///
/// An edge whose last activation failed is used only if every path has one.
///
/// # Errors
/// No path leads to the goal, or another edge listens to the port of the one chosen; mutations may have
/// made it so.
pub fn choose(
    topology: &Topology,
    costs: Option<&EdgeCosts>,
    at: VertexIx,
    goal: Goal<'_>,
) -> Result<Route, Failure> {
    let name = &topology.vertex(at).name;
    let to = topology.find(goal.to);
    let choosing = to.map(|to| Choosing { topology, costs, at, to });
    let chosen =
        choosing.and_then(|choosing| choosing.explored(goal.explore).or_else(|| choosing.best(goal.rule)));
    let Some(chosen) = chosen else {
        let message = format!("router {name:?}: no path of active edges leads to {:?}", goal.to);
        return Err(Failure::permanent(message));
    };
    let edge = topology.edge(chosen);
    let shares = |other: EdgeIx| {
        let other = topology.edge(other);
        other.port == edge.port && other.to_name != edge.to_name && other.delivery == edge.delivery
    };
    if let Some((other, _)) = topology.out(at).find(|(other, _)| shares(*other)) {
        let other = &topology.edge(other).to_name;
        let message = format!(
            "router {name:?}: its edges to {:?} and {other:?} share port {:?}, so that both would be taken",
            edge.to_name, edge.port
        );
        return Err(Failure::permanent(message));
    }
    Ok(Route { port: edge.port.clone(), to: edge.to_name.clone() })
}

impl Choosing<'_> {
    /// The edge that was measured the longest ago, if it is the turn of a message that explores.
    fn explored(&self, explore: Option<u32>) -> Option<EdgeIx> {
        let every = u64::from(explore.filter(|every| *every > 0)?);
        let first: Vec<EdgeIx> = self.lightest(&|_| Weight::default(), true);
        let known = |ix: EdgeIx| {
            let costs = self.costs?;
            costs.of_edge(self.topology, self.topology.edge(ix))
        };
        let measured: u64 = first.iter().filter_map(|ix| known(*ix)).map(|edge| edge.measured).sum();
        let its_turn = (measured + 1).is_multiple_of(every);
        first.into_iter().min_by(|a, b| by_age(known(*a), known(*b))).filter(|_| its_turn)
    }

    fn best(&self, rule: PathRule) -> Option<EdgeIx> {
        self.best_of(rule, false).or_else(|| self.best_of(rule, true))
    }

    fn best_of(&self, rule: PathRule, with_failed: bool) -> Option<EdgeIx> {
        let weight = |cost: EdgeCost| match rule {
            PathRule::Cheapest(None) => Weight([cost.money, cost.tokens, cost.latency_seconds]),
            PathRule::Cheapest(Some(weights)) => Weight([weights.of(&cost), 0.0, 0.0]),
            PathRule::Fastest | PathRule::Pareto(_) => {
                Weight([cost.latency_seconds, cost.money, cost.tokens])
            }
        };
        match rule {
            PathRule::Cheapest(_) | PathRule::Fastest => self.lightest(&weight, with_failed).first().copied(),
            PathRule::Pareto(prefer) => balanced(&self.unbeaten(with_failed), prefer),
        }
    }

    /// The edges over which a path leads to the goal: the one with the lightest path first, then by name.
    fn lightest(&self, weight: &dyn Fn(EdgeCost) -> Weight, with_failed: bool) -> Vec<EdgeIx> {
        let of_edge =
            |ix: EdgeIx| self.usable(ix, with_failed).then(|| weight(cost_of(self.topology, self.costs, ix)));
        let mut found = lightest(self.topology, self.at, self.to, &of_edge);
        found.sort_by_key(|(_, weight)| *weight);
        found.into_iter().map(|(ix, _)| ix).collect()
    }

    fn unbeaten(&self, with_failed: bool) -> Vec<(EdgeIx, EdgeCost)> {
        let of_edge =
            |ix: EdgeIx| self.usable(ix, with_failed).then(|| cost_of(self.topology, self.costs, ix));
        unbeaten(self.topology, self.at, self.to, &of_edge)
    }

    fn usable(&self, ix: EdgeIx, with_failed: bool) -> bool {
        let edge = self.topology.edge(ix);
        let failed = || {
            self.costs.and_then(|costs| costs.of_edge(self.topology, edge)).is_some_and(|edge| edge.failed)
        };
        with_failed || !failed()
    }
}

/// Of paths that beat each other in nothing: the one that needs the least of the preferred unit, then the
/// one with the least sum when each unit is measured by the most that one of them needs of it.
fn balanced(paths: &[(EdgeIx, EdgeCost)], prefer: Option<CostUnit>) -> Option<EdgeIx> {
    let most = |of: fn(&EdgeCost) -> f64| paths.iter().map(|(_, cost)| of(cost)).fold(0.0, f64::max);
    let units: [fn(&EdgeCost) -> f64; 3] =
        [|cost| cost.tokens, |cost| cost.money, |cost| cost.latency_seconds];
    let share = |cost: &EdgeCost| {
        let shares = units.iter().map(|of| (of(cost), most(*of))).filter(|(_, most)| *most > 0.0);
        shares.map(|(own, most)| own / most).sum::<f64>()
    };
    let preferred = |cost: &EdgeCost| match prefer {
        None => 0.0,
        Some(CostUnit::Tokens) => cost.tokens,
        Some(CostUnit::Money) => cost.money,
        Some(CostUnit::Latency) => cost.latency_seconds,
    };
    let least = paths.iter().min_by_key(|(_, cost)| Weight([preferred(cost), share(cost), 0.0]));
    least.map(|(ix, _)| *ix)
}
