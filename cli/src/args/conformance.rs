//! The arguments of `conformance`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// Arguments of `conformance`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  superstep conformance tests/conformance
  superstep conformance tests/conformance --case join-of-a-skipped-branch
  superstep conformance my-cases --output json

A case is a folder with graph.yaml, case.yaml and, if the graph takes one, input.json. Its graph is run,
what came of that is compared with what case.yaml expects, and the first difference is shown. Then the
same is expected of the run as it goes on after a crash behind each of its records, and of its forks. The
exit code is 1 if a case does not hold. The form of case.yaml stands in tests/conformance/README.md.")]
pub(crate) struct ConformanceArgs {
    /// A folder of cases, or one case.
    #[arg(value_name = "DIR")]
    pub(crate) folder: PathBuf,
    /// Only the case in the folder of this name.
    #[arg(long, value_name = "NAME")]
    pub(crate) case: Option<String>,
    /// How what was found is written.
    #[arg(long, value_enum, default_value_t = ConformanceFormat::Table)]
    pub(crate) output: ConformanceFormat,
}

/// How the outcome of cases is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ConformanceFormat {
    /// A line for each case, with what differs.
    Table,
    /// JSON, indented.
    Json,
}
