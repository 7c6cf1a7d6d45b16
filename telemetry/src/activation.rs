//! Activations as spans.

use superstep_engine::ActivationId;

use crate::draft::Draft;
use crate::graphs::Executed;

/// The name of its span: the conventions have one for agents and for graphs.
pub(crate) fn name(activation: &ActivationId, executed: Option<&Executed>) -> String {
    let vertex = &activation.vertex;
    match executed {
        Some(Executed { opens: Some(graph), .. }) => format!("invoke_workflow {graph}"),
        Some(Executed { program: "agent", .. }) => format!("invoke_agent {vertex}"),
        Some(Executed { program, .. }) => format!("{program} {vertex}"),
        None => format!("activation {vertex}"),
    }
}

/// The span of an activation that begins.
pub(crate) fn begin(mut draft: Draft, activation: &ActivationId, executed: Option<&Executed>) -> Draft {
    let vertex = activation.vertex.to_string();
    if let Some(executed) = executed {
        if let Some(graph) = &executed.opens {
            draft.set("gen_ai.operation.name", "invoke_workflow");
            draft.set("gen_ai.workflow.name", graph.clone());
        } else if executed.program == "agent" {
            draft.set("gen_ai.operation.name", "invoke_agent");
            draft.set("gen_ai.agent.name", vertex.clone());
        }
        draft.set("superstep.program", executed.program);
        draft.set_if("superstep.model", executed.model.as_ref().map(ToString::to_string));
    }
    draft.set("superstep.vertex", vertex);
    draft.set("superstep.activation", activation.to_string());
    draft.count("superstep.number", activation.superstep);
    draft
}
