//! What the workers of a run are asked for.

use kube::ResourceExt as _;
use superstep_api::GraphRunObject;
use superstep_proto::v1;

use super::documents::documents;
use crate::agent_graph::Referenced;

/// The longest part of a run's name that its object gives: with the rest it is one that the store takes.
const LONGEST: usize = 110;

/// The name of a run in the store of its graph: another object of the same name is another run.
pub(crate) fn run_name(name: &str, uid: &str) -> String {
    let short = &name[..name.len().min(LONGEST)];
    let short = short.trim_end_matches(['-', '.']);
    let uid: String = uid.chars().filter(char::is_ascii_hexdigit).take(8).collect();
    format!("{short}.{uid}")
}

/// The name of the run that an object is.
pub(crate) fn name_of(run: &GraphRunObject) -> String {
    run_name(&run.name_any(), &run.uid().unwrap_or_default())
}

/// A request for a run. `continued` is the name in the store of the run that it continues.
pub(super) fn submission(
    run: &GraphRunObject,
    referenced: &Referenced,
    continued: Option<String>,
) -> v1::SubmitRequest {
    let input = run.spec.input.as_ref().map(|input| input.inline.to_string());
    let parameters = (!run.spec.parameters.is_null()).then(|| run.spec.parameters.to_string());
    v1::SubmitRequest {
        run: name_of(run),
        documents: documents(referenced, &run.namespace().unwrap_or_default()),
        graph: run.spec.graph_ref.name.clone(),
        input: input.unwrap_or_default().into_bytes().into(),
        parameters: parameters.unwrap_or_default().into_bytes().into(),
        continue_from: continued.unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_objects_and_differ_when_these_do() {
        assert_eq!(run_name("triage-x7k2p", "0a1b2c3d-4e5f-6789"), "triage-x7k2p.0a1b2c3d");
        let long = run_name(&"a".repeat(253), "0a1b2c3d-4e5f");
        assert!(long.len() <= 128 && long.ends_with("a.0a1b2c3d"));
    }
}
