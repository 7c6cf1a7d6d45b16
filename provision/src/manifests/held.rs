//! Whether local models can be held to the schemas that their outputs have.

use superstep_api::{CheckedGraph, Diagnostic, Resource, ResourceSet};
use superstep_graph::{FieldPath, GraphSpec, OutputFormat, Problem, VertexName, VertexSpec};

/// What of a graph's output schemas its local models cannot be held to.
pub(crate) fn check(resources: &ResourceSet, graph: &Resource<CheckedGraph>) -> Vec<Diagnostic> {
    let spec = &graph.content.document.spec.graph;
    let vertices = FieldPath::default().field("vertices");
    let refused = spec.vertices.iter().enumerate().filter_map(|(index, vertex)| {
        let (kind, model, output) = asked(vertex)?;
        if !is_local(resources, spec, model) {
            return None;
        }
        let error = superstep_runtime::check_local_schema(&output.schema).err()?;
        let path = vertices.index(index).field(kind).field("output").field("schema");
        let problem = Problem::error(path, error.to_string());
        let hint = format!("model {model:?} is local, and writes nothing else than what the schema allows");
        Some(graph.diagnose(&problem.hint(hint)))
    });
    refused.collect()
}

/// The program of a vertex that asks a model for an instance of a schema, the model, and the schema.
fn asked(vertex: &VertexSpec) -> Option<(&'static str, &VertexName, &OutputFormat)> {
    let prompt = vertex.prompt.as_ref().map(|prompt| ("prompt", &prompt.model, prompt.output.as_ref()));
    let agent = || vertex.agent.as_ref().map(|agent| ("agent", &agent.model, agent.output.as_ref()));
    let (kind, model, output) = prompt.or_else(agent)?;
    Some((kind, model, output?))
}

fn is_local(resources: &ResourceSet, spec: &GraphSpec, model: &VertexName) -> bool {
    let known = spec.models.iter().find(|known| known.name == *model);
    let server = known.and_then(|known| known.model_server_ref.as_ref());
    let server = server.and_then(|server| resources.model_servers.get(&server.name));
    server.is_some_and(|server| server.content.spec.engine.candle.is_some())
}
