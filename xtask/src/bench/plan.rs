//! Which series are measured, and how each is started.

use super::peers::Venvs;
use super::series::{Series, Unit};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The programs that can be started.
pub(super) struct Programs {
    pub(super) scripts: PathBuf,
    pub(super) venvs: Venvs,
    /// The example `bench` of superstep-runtime.
    pub(super) bench: Option<PathBuf>,
    /// The example `edges` of superstep-algorithms.
    pub(super) edges: Option<PathBuf>,
    /// The example `throughput` of superstep-inference.
    pub(super) throughput: Option<PathBuf>,
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

/// Every row but that of tokens. Rows of `graphs` are of one graph, which ours makes, and peers whose answer differs
/// from ours fail. Durable rows of `maf` are files that it does not sync; pydantic-graph keeps
/// nothing.
pub(super) const ROWS: &[Row] = &[
    Row::new(
        "memory",
        "no-op chain of 1,000, in memory",
        Unit::Superstep,
        "chain --n 1000 --runs 20",
        &[
            (NEOGRAPH, "chain --n 1000 --runs 20"),
            (PYDANTIC, "chain --n 1000 --runs 5"),
            (MAF, "chain --n 1000"),
            (LANGGRAPH, "chain --n 1000"),
        ],
    ),
    Row::new(
        "memory",
        "fan-out to 1,000 and join, in memory",
        Unit::Activation,
        "fanout --n 1000 --runs 20",
        &[
            (NEOGRAPH, "fanout --n 1000 --runs 5"),
            (PYDANTIC, "fanout --n 1000 --runs 5"),
            (MAF, "fanout --n 1000"),
            (LANGGRAPH, "fanout --n 1000"),
        ],
    ),
    Row::new(
        "memory",
        "loop of 10,000 with 1 KB, in memory",
        Unit::Superstep,
        "loop --n 10000 --runs 3",
        &[
            (NEOGRAPH, "loop --n 10000"),
            (PYDANTIC, "loop --n 10000"),
            (MAF, "loop --n 10000"),
            (LANGGRAPH, "loop --n 10000"),
        ],
    ),
    Row::new(
        "memory",
        "100 runs of a chain of 10 at once, in memory",
        Unit::Superstep,
        "concurrent --n 10 --runs 10",
        &[
            (NEOGRAPH, "concurrent --n 10 --runs 5"),
            (PYDANTIC, "concurrent --n 10 --runs 5"),
            (MAF, "concurrent --n 10"),
            (LANGGRAPH, "concurrent --n 10"),
        ],
    ),
    Row::new(
        "memory",
        "1,000 supersteps of a loop of 2 in a graph of 10, in memory",
        Unit::Superstep,
        "loop --n 1000 --runs 20 --graph-size 10",
        &[],
    ),
    Row::new(
        "memory",
        "the same in a graph of 10,000",
        Unit::Superstep,
        "loop --n 1000 --runs 20 --graph-size 10000",
        &[],
    ),
    Row::new(
        "durable",
        "no-op chain of 1,000, durable",
        Unit::Superstep,
        "chain --n 1000 --store file",
        &[
            (NEOGRAPH, "chain --n 1000 --store sqlite"),
            (MAF, "chain --n 1000 --store files"),
            (LANGGRAPH, "chain --n 1000 --store sqlite"),
        ],
    ),
    Row::new(
        "durable",
        "fan-out to 1,000 and join, durable",
        Unit::Activation,
        "fanout --n 1000 --store file --runs 5",
        &[
            (NEOGRAPH, "fanout --n 1000 --store sqlite --runs 5"),
            (MAF, "fanout --n 1000 --store files"),
            (LANGGRAPH, "fanout --n 1000 --store sqlite"),
        ],
    ),
    Row::new(
        "durable",
        "loop of 10,000 with 1 KB, durable",
        Unit::Superstep,
        "loop --n 10000 --store file",
        &[
            (NEOGRAPH, "loop --n 10000 --store sqlite"),
            (MAF, "loop --n 10000 --store files"),
            (LANGGRAPH, "loop --n 10000 --store sqlite"),
        ],
    ),
    Row::new(
        "durable",
        "100 supersteps of the same loop, durable",
        Unit::Superstep,
        "loop --n 100 --store file --runs 10",
        &[],
    ),
    Row::new(
        "durable",
        "100 runs of a chain of 10 at once, durable",
        Unit::Superstep,
        "concurrent --n 10 --store file --runs 3",
        &[
            (NEOGRAPH, "concurrent --n 10 --store sqlite"),
            (MAF, "concurrent --n 10 --store files"),
            (LANGGRAPH, "concurrent --n 10 --store sqlite"),
        ],
    ),
    Row::new(
        "shapes",
        "sequential_10",
        Unit::Run,
        "chain --n 10 --runs 100",
        &[(LANGGRAPH, "chain --n 10 --runs 20")],
    ),
    Row::new(
        "shapes",
        "sequential_1000",
        Unit::Run,
        "chain --n 1000 --runs 20",
        &[(LANGGRAPH, "chain --n 1000 --runs 2")],
    ),
    Row::new(
        "shapes",
        "fanout_to_subgraph_10x",
        Unit::Run,
        "subgraphs --n 10 --runs 20",
        &[(LANGGRAPH, "subgraphs --n 10 --runs 5")],
    ),
    Row::new(
        "shapes",
        "fanout_to_subgraph_100x",
        Unit::Run,
        "subgraphs --n 100 --runs 10",
        &[(LANGGRAPH, "subgraphs --n 100 --runs 2")],
    ),
    Row::new(
        "shapes",
        "react_agent_10x",
        Unit::Run,
        "react --n 10 --runs 20",
        &[(LANGGRAPH, "react --n 10 --runs 5")],
    ),
    Row::new(
        "shapes",
        "react_agent_100x",
        Unit::Run,
        "react --n 100 --runs 5",
        &[(LANGGRAPH, "react --n 100 --runs 2")],
    ),
    Row::new(
        "shapes",
        "wide_state_25x300",
        Unit::Run,
        "wide --n 300 --runs 20",
        &[(LANGGRAPH, "wide --n 300 --runs 5")],
    ),
    Row::new(
        "shapes",
        "wide_state_9x1200",
        Unit::Run,
        "wide --n 1200 --runs 20",
        &[(LANGGRAPH, "wide --n 1200 --runs 5")],
    ),
    Row::new(
        "branches",
        "1 s beside 0.4 s and 0.4 s, then a join",
        Unit::Path,
        "branches --n 1000",
        &[(LANGGRAPH, "branches --n 1000")],
    ),
    Row::new(
        "flood",
        "a superstep of 100,000 vertices and 1,000,000 messages",
        Unit::Message,
        "flood --n 100000",
        &[],
    ),
    Row::new(
        "graphs",
        "PageRank, 20 iterations, RMAT of scale 18, one message for all neighbours",
        Unit::Edge,
        "pagerank --delivery broadcast",
        &[(NETWORKIT, "pagerank"), (GRAPHBLAS, "pagerank")],
    ),
    Row::new(
        "graphs",
        "the same, messages folded at the sender",
        Unit::Edge,
        "pagerank --delivery combined",
        &[],
    ),
    Row::new("graphs", "the same, each message delivered", Unit::Edge, "pagerank --delivery each", &[]),
    // Of scale 18 it takes longer than a measurement may.
    Row::new(
        "graphs",
        "PageRank, 20 iterations, RMAT of scale 16",
        Unit::Edge,
        "pagerank --scale 16",
        &[(GRAPHX, "pagerank --scale 16")],
    ),
    Row::new(
        "graphs",
        "connected components, RMAT of scale 18",
        Unit::Edge,
        "components",
        &[(NETWORKIT, "components")],
    ),
    Row::new(
        "graphs",
        "breadth-first search, RMAT of scale 18",
        Unit::Edge,
        "hops",
        &[(NETWORKIT, "hops"), (GRAPHBLAS, "hops")],
    ),
];

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

    /// Tokens on one thread, from the same file.
    pub(super) fn generation(&self, model: &Path) -> Vec<Series> {
        let model = ["--model".to_owned(), model.display().to_string()];
        let row = "tokens per CPU-second";
        let ours = Series::new(row, "superstep", Unit::Tokens, self.throughput.clone(), model.to_vec());
        let peer = "llama-cpp";
        let arguments = std::iter::once(self.script(peer)).chain(model).collect();
        let theirs = self.venvs.python(peer);
        let theirs = theirs.map(|python| Series::new(row, peer, Unit::Tokens, Some(python), arguments));
        std::iter::once(ours).chain(theirs).collect()
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
        let named = |only: &str| ROWS.iter().filter(|row| row.is_named(only)).count();
        assert_eq!(named("react_agent_10x"), 1);
        assert_eq!(named("branches"), 1);
        assert_eq!(named("durable"), ROWS.iter().filter(|row| row.part == "durable").count());
        assert_eq!(named("nothing of the kind"), 0);
    }

    #[test]
    fn no_name_stands_for_two_rows() {
        let names: BTreeSet<&str> = ROWS.iter().map(|row| row.name).collect();
        assert_eq!(names.len(), ROWS.len());
    }
}
