//! Which series are measured, and how each is started.

mod agents;
mod graphs;
pub(super) mod inference;
mod shapes;

use super::peers::Venvs;
use super::series::{Series, Unit};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// The programs that can be started.
pub(super) struct Programs {
    pub(super) scripts: PathBuf,
    pub(super) venvs: Venvs,
    /// The example `bench` of superstep-runtime.
    pub(super) bench: Option<PathBuf>,
    /// The example `edges` of superstep-algorithms.
    pub(super) edges: Option<PathBuf>,
    /// What measures local models.
    pub(super) models: inference::Tools,
}

/// One comparison: what everybody does, and what each is told for it.
pub(super) struct Row {
    /// The part of the benchmark that it belongs to.
    pub(super) part: &'static str,
    pub(super) name: &'static str,
    unit: Unit,
    ours: &'static str,
    peers: &'static [(&'static str, &'static str)],
}

impl Row {
    const fn new(
        part: &'static str,
        name: &'static str,
        unit: Unit,
        ours: &'static str,
        peers: &'static [(&'static str, &'static str)],
    ) -> Self {
        Self { part, name, unit, ours, peers }
    }

    /// The peers that it needs.
    pub(super) fn needs(&self) -> impl Iterator<Item = &'static str> {
        self.peers.iter().map(|(peer, _)| *peer)
    }

    /// Whether it is measured by the algorithms' own example.
    pub(super) fn is_of_edges(&self) -> bool {
        self.unit == Unit::Edge
    }

    /// Whether `--only` names the row, by its part or by some of its name.
    pub(super) fn is_named(&self, only: &str) -> bool {
        self.part == only || self.name.contains(only)
    }
}

const NEOGRAPH: &str = "neograph";
const PYDANTIC: &str = "pydantic-graph";
const MAF: &str = "maf";
const LANGGRAPH: &str = "langgraph";
const NETWORKIT: &str = "networkit";
const GRAPHBLAS: &str = "graphblas";
const GRAPHX: &str = "graphx";

/// Every row but those of local models, in the order of the table.
pub(super) fn rows() -> impl Iterator<Item = &'static Row> {
    [agents::ROWS, shapes::ROWS, graphs::ROWS].into_iter().flatten()
}

/// The peers that some of `rows` need.
pub(super) fn peers(rows: &[&Row]) -> BTreeSet<&'static str> {
    rows.iter().flat_map(|row| row.needs()).collect()
}

impl Programs {
    /// The series of a row, ours first.
    pub(super) fn series(&self, row: &Row) -> Vec<Series> {
        let program = if row.is_of_edges() { &self.edges } else { &self.bench };
        let ours = Series::new(row.name, "superstep", row.unit, program.clone(), words(row.ours));
        let peers = row.peers.iter().map(|(peer, shape)| {
            let mut arguments = vec![self.script(peer)];
            arguments.extend(words(shape));
            let series = Series::new(row.name, peer, row.unit, self.venvs.python(peer), arguments);
            // Its shell alone takes a minute to begin where other work goes on.
            if *peer == GRAPHX { series.patient(5) } else { series }
        });
        std::iter::once(ours).chain(peers).collect()
    }

    fn script(&self, peer: &str) -> String {
        self.scripts.join(format!("peer_{}.py", peer.replace('-', "_"))).display().to_string()
    }
}

fn words(shape: &str) -> Vec<String> {
    format!("--shape {shape}").split_whitespace().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_named_by_its_part_or_by_some_of_its_name() {
        let named = |only: &str| rows().filter(|row| row.is_named(only)).count();
        assert_eq!(named("react_agent_10x"), 2, "with its checkpoint");
        assert_eq!(named("branches"), 1);
        assert_eq!(named("durable"), rows().filter(|row| row.part == "durable").count());
        assert_eq!(named("nothing of the kind"), 0);
    }

    #[test]
    fn no_name_stands_for_two_rows() {
        let names: BTreeSet<&str> = rows().map(|row| row.name).collect();
        assert_eq!(names.len(), rows().count());
    }
}
