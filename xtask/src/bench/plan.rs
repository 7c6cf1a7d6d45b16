//! Which series are measured, and how each is started.

use super::peers::Venv;
use super::series::{Series, Unit};
use std::path::{Path, PathBuf};

/// The programs that can be started.
pub(super) struct Programs {
    pub(super) scripts: PathBuf,
    pub(super) venv: Venv,
    /// The example `bench` of superstep-runtime.
    pub(super) bench: Option<PathBuf>,
    /// The example `throughput` of superstep-inference.
    pub(super) throughput: Option<PathBuf>,
}

impl Programs {
    /// Supersteps in memory, and whether their cost depends on the size of the graph.
    pub(super) fn agent(&self) -> Vec<Series> {
        let chain = "no-op chain of 1,000, in memory";
        let fanout = "fan-out to 1,000 and join, in memory";
        let size = |row, vertices| {
            let mut series = self.ours(row, "loop --n 1000 --store memory --runs 20");
            series.arguments.extend(["--graph-size".to_owned(), vertices]);
            series
        };
        let mut series = vec![
            self.ours(chain, "chain --n 1000 --store memory --runs 20"),
            self.peer(chain, "neograph", "chain --n 1000 --store memory --runs 20"),
            self.peer(chain, "langgraph", "chain --n 1000 --store memory"),
            self.ours(fanout, "fanout --n 1000 --store memory --runs 5"),
            self.peer(fanout, "neograph", "fanout --n 1000 --store memory --runs 5"),
            self.peer(fanout, "langgraph", "fanout --n 1000 --store memory"),
            size("loop of 2 in a graph of 10, in memory", "10".to_owned()),
            size("loop of 2 in a graph of 10,000, in memory", "10000".to_owned()),
        ];
        for one in series.iter_mut().filter(|one| one.row == fanout) {
            one.unit = Unit::Activation;
        }
        series
    }

    /// Durable supersteps, and whether a late one costs what an early one does.
    pub(super) fn durable(&self) -> Vec<Series> {
        let chain = "no-op chain of 1,000, durable";
        vec![
            self.ours(chain, "chain --n 1000 --store file"),
            self.peer(chain, "neograph", "chain --n 1000 --store sqlite"),
            self.peer(chain, "langgraph", "chain --n 1000 --store sqlite"),
            self.ours("loop of 100 supersteps, durable", "loop --n 100 --store file --runs 10"),
            self.ours("loop of 10,000 supersteps, durable", "loop --n 10000 --store file"),
        ]
    }

    /// Tokens on one thread, from the same file.
    pub(super) fn generation(&self, model: &Path, llama_cpp: bool) -> Vec<Series> {
        let row = "tokens per CPU-second";
        let arguments = vec!["--model".to_owned(), model.display().to_string()];
        let mut ours = series(row, "superstep", self.throughput.clone(), arguments.clone());
        ours.unit = Unit::Tokens;
        let mut all = vec![ours];
        if llama_cpp {
            let mut peer = self.peer(row, "llama-cpp", "");
            peer.unit = Unit::Tokens;
            peer.arguments.truncate(1);
            peer.arguments.extend(arguments);
            all.push(peer);
        }
        all
    }

    fn ours(&self, row: &'static str, shape: &str) -> Series {
        series(row, "superstep", self.bench.clone(), words(&format!("--shape {shape}")))
    }

    fn peer(&self, row: &'static str, peer: &'static str, shape: &str) -> Series {
        let script = self.scripts.join(format!("peer_{}.py", peer.replace('-', "_")));
        let mut arguments = vec![script.display().to_string()];
        arguments.extend(words(&format!("--shape {shape}")));
        series(row, peer, self.venv.has(peer).then(|| self.venv.python()), arguments)
    }
}

fn series(row: &'static str, peer: &'static str, program: Option<PathBuf>, arguments: Vec<String>) -> Series {
    Series { row, peer, unit: Unit::Superstep, program, arguments, samples: Vec::new(), errors: Vec::new() }
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}
