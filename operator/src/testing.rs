//! What tests of several kinds need.

use std::path::Path;

use clap::Parser;
use serde_json::Value;

use crate::children::Child;
use crate::settings::Settings;

/// The arguments of `run` alone.
#[derive(Parser)]
struct Alone {
    #[command(flatten)]
    settings: Settings,
}

/// How an operator is installed with these arguments, beside those that are needed.
pub(crate) fn settings(arguments: &[&str]) -> Settings {
    let needed = ["run", "--worker-image=worker:1", "--own-namespace=superstep"];
    Alone::try_parse_from(needed.iter().chain(arguments)).unwrap().settings
}

/// The documents of a file of `testdata`.
pub(crate) fn documents(file: &str) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(file);
    let text = std::fs::read_to_string(&path).unwrap();
    text.split("\n---\n").map(|document| serde_saphyr::from_str(document).unwrap()).collect()
}

/// Objects as documents.
pub(crate) fn yaml(children: &[Child]) -> String {
    let written = children.iter().map(|child| serde_saphyr::to_string(child.object()).unwrap());
    written.collect::<Vec<_>>().join("---\n")
}
