//! What is asked for on the command line.

use super::shapes::Shape;

/// What keeps the log of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keeping {
    /// Nothing: there are no checkpoints.
    Nothing,
    /// The memory of the process, all of it, until the run is over.
    Memory,
    /// A folder.
    File,
}

impl Keeping {
    pub(crate) const ALL: [Self; 3] = [Self::Nothing, Self::Memory, Self::File];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Nothing => "memory",
            Self::Memory => "kept",
            Self::File => "file",
        }
    }
}

/// What of a run is measured. Whatever is, it runs to its end, so that it can be told whether it did all its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Region {
    /// All, once its graph is validated. Of one run alone: once it is created.
    Run,
    /// From a validated graph until an observer is told that the first activation is in its commit.
    FirstEvent,
    /// From a document that was read, until the run could begin: it is checked and validated, its programs are
    /// prepared, and the log is begun.
    Compilation,
}

impl Region {
    pub(crate) const ALL: [Self; 3] = [Self::Run, Self::FirstEvent, Self::Compilation];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::FirstEvent => "first-event",
            Self::Compilation => "compilation",
        }
    }
}

/// One measurement.
pub(crate) struct Arguments {
    pub(crate) shape: Shape,
    pub(crate) n: usize,
    pub(crate) keeping: Keeping,
    pub(crate) region: Region,
    /// How many runs are measured, after one that is not.
    pub(crate) runs: usize,
    /// How many vertices the graph has, where the shape leaves it open.
    pub(crate) graph_size: usize,
    pub(crate) smoke: bool,
}

impl Default for Arguments {
    fn default() -> Self {
        Self {
            shape: Shape::Chain,
            n: 1_000,
            keeping: Keeping::Nothing,
            region: Region::Run,
            runs: 1,
            graph_size: 2,
            smoke: false,
        }
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
                "--store" => arguments.keeping = named(&Keeping::ALL, Keeping::name, &flag, &value)?,
                "--measure" => arguments.region = named(&Region::ALL, Region::name, &flag, &value)?,
                other => return Err(format!("unknown flag {other}")),
            }
        }
        Ok(arguments)
    }
}

/// The one of `all` that `name` calls so.
fn named<T: Copy>(all: &[T], name: fn(T) -> &'static str, flag: &str, value: &str) -> Result<T, String> {
    let names = || all.iter().map(|one| name(*one)).collect::<Vec<_>>().join(", ");
    let found = all.iter().copied().find(|one| name(*one) == value);
    found.ok_or_else(|| format!("{flag} is one of {}, not {value}", names()))
}
