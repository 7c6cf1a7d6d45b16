//! Activations as spans.

use std::collections::BTreeMap;
use std::time::SystemTime;

use superstep_engine::{ActivationId, CallKey, Epoch};

use crate::draft::Draft;
use crate::graphs::Executed;
use crate::ids::Place;

/// An activation that is not over.
pub(crate) struct Activation {
    pub(crate) draft: Draft,
    /// How many activations it counts for: each element of a group.
    pub(crate) weight: u64,
    /// Where the numbers of its calls begin: where it started they are those of each run of its graph.
    first: u64,
    /// How often each call was sent.
    sent: BTreeMap<CallKey, u64>,
}

impl Activation {
    pub(crate) fn new(draft: Draft, elements: Option<u32>) -> Self {
        Self { draft, weight: u64::from(elements.unwrap_or(1)), first: 0, sent: BTreeMap::new() }
    }

    /// It goes on in another process than the one in which it began.
    pub(crate) fn resume(&mut self, epoch: Epoch, now: SystemTime) {
        self.draft.start = now;
        self.draft.set("superstep.resumed", true);
        self.first = epoch.0 << 32;
    }

    /// The number of a call that is sent: no other process sends it under the same.
    pub(crate) fn sending(&mut self, call: &CallKey) -> u64 {
        let sent = self.sent.entry(call.clone()).or_default();
        *sent += 1;
        self.first + *sent
    }
}

/// An activation, or a group, as messages name it.
pub(crate) fn place_of(activation: &ActivationId) -> Place {
    Place { frame: activation.frame, vertex: activation.vertex.clone(), superstep: activation.superstep }
}

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
