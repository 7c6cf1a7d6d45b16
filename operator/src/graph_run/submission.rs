//! What the workers of a run are asked for.

use kube::ResourceExt as _;
use superstep_api::{GraphRunObject, run_name};
use superstep_proto::v1;

use super::documents::documents;
use crate::agent_graph::Referenced;

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
