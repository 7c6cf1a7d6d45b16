//! What is asked for on the command line.

use super::shapes::Shape;

/// One measurement.
pub(crate) struct Arguments {
    pub(crate) shape: Shape,
    pub(crate) n: usize,
    pub(crate) file: bool,
    /// How many runs are measured, after one that is not.
    pub(crate) runs: usize,
    /// How many vertices the graph has, where the shape leaves it open.
    pub(crate) graph_size: usize,
    pub(crate) smoke: bool,
}

impl Default for Arguments {
    fn default() -> Self {
        Self { shape: Shape::Chain, n: 1_000, file: false, runs: 1, graph_size: 2, smoke: false }
    }
}

impl Arguments {
    pub(crate) fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut arguments = Self::default();
        while let Some(flag) = words.next() {
            if flag == "--smoke" {
                arguments.smoke = true;
                continue;
            }
            let value = words.next().ok_or_else(|| format!("{flag} needs a value"))?;
            let number = || value.parse::<usize>().map_err(|_| format!("{flag} takes a number"));
            match flag.as_str() {
                "--shape" => arguments.shape = Shape::named(&value)?,
                "--n" => arguments.n = number()?,
                "--runs" => arguments.runs = number()?.max(1),
                "--graph-size" => arguments.graph_size = number()?.max(2),
                "--store" => {
                    arguments.file = match value.as_str() {
                        "memory" => false,
                        "file" => true,
                        other => return Err(format!("--store is memory or file, not {other}")),
                    }
                }
                other => return Err(format!("unknown flag {other}")),
            }
        }
        Ok(arguments)
    }
}
