//! What is known of a payload before the run.

use serde_json::Value;
use superstep_graph::{
    Algorithm, AlgorithmProgram, EdgeSpec, GraphSpec, JudgeProgram, OutputFormat, Program, VertexSpec,
};

/// What is known of a payload before the run.
#[derive(Clone, Copy, Debug)]
pub(super) enum Shape<'a> {
    /// Nothing.
    Unknown,
    /// It is an object with these fields.
    Fields(&'static [&'static str]),
    /// It satisfies this schema.
    Schema(&'a Value),
}

/// A field that cannot be there.
pub(super) struct Missing<'a> {
    /// Its name.
    pub(super) name: String,
    /// The fields that can.
    pub(super) known: Vec<&'a str>,
}

impl<'a> Shape<'a> {
    /// What the program of `vertex` gives, for one element in a forEach.
    pub(super) fn of(vertex: &'a VertexSpec) -> Self {
        match vertex.program() {
            Some(Program::Prompt(prompt)) => Self::written(prompt.output.as_ref()),
            Some(Program::Human(human)) => human.schema.as_ref().map_or(Self::Unknown, Self::Schema),
            Some(Program::Judge(judge)) => Self::judged(judge),
            Some(Program::Agent(agent)) => Self::written(agent.output.as_ref()),
            Some(Program::Embed(embed)) => match (&embed.text, &embed.texts) {
                (Some(_), None) => Self::Fields(&["embedding"]),
                (None, Some(_)) => Self::Fields(&["embeddings"]),
                (None, None) | (Some(_), Some(_)) => Self::Fields(&["embedding", "embeddings"]),
            },
            Some(Program::Retrieve(_)) => Self::Fields(&["query", "matches", "results", "added", "size"]),
            Some(Program::Algorithm(algorithm)) => Self::walked(algorithm),
            Some(
                Program::Function(_)
                | Program::Router(_)
                | Program::Graph(_)
                | Program::Tool(_)
                | Program::Custom(_),
            )
            | None => Self::Unknown,
        }
    }

    /// What an algorithm finds.
    fn walked(algorithm: &AlgorithmProgram) -> Self {
        let Some(kind) = algorithm.algorithm() else { return Self::Unknown };
        match (kind, algorithm.top) {
            (Algorithm::PageRank(_), None) => Self::Fields(&["scores", "vertices", "edges"]),
            (Algorithm::ShortestPaths(_), None) => Self::Fields(&["distances", "vertices", "edges"]),
            (Algorithm::Components | Algorithm::LabelPropagation(_), None) => {
                Self::Fields(&["labels", "count", "vertices", "edges"])
            }
            (Algorithm::Triangles, None) => {
                Self::Fields(&["triangles", "clustering", "count", "vertices", "edges"])
            }
            (Algorithm::PageRank(_) | Algorithm::ShortestPaths(_), Some(_)) => {
                Self::Fields(&["top", "vertices", "edges"])
            }
            (Algorithm::Components | Algorithm::LabelPropagation(_) | Algorithm::Triangles, Some(_)) => {
                Self::Fields(&["top", "count", "vertices", "edges"])
            }
        }
    }

    /// What a judge says.
    fn judged(judge: &'a JudgeProgram) -> Self {
        match (&judge.rubric, &judge.pairwise, &judge.verdict) {
            (Some(_), None, None) => Self::Fields(&["score", "scores", "reasons"]),
            (None, Some(_), None) => Self::Fields(&["winner", "agreed", "reasons"]),
            (None, None, Some(verdict)) => Self::Schema(&verdict.schema),
            (None, None, None) | (Some(_), Some(_), _) | (Some(_), _, Some(_)) | (_, Some(_), Some(_)) => {
                Self::Unknown
            }
        }
    }

    /// What a model writes.
    fn written(output: Option<&'a OutputFormat>) -> Self {
        output.map_or(Self::Fields(&["text"]), |output| Self::Schema(&output.schema))
    }

    /// What `edge` is given to carry, before its transformation.
    pub(super) fn sent(spec: &'a GraphSpec, edge: &EdgeSpec) -> Self {
        match spec.vertices.iter().find(|vertex| vertex.name == edge.from) {
            Some(sender) if edge.port.is_default() && sender.for_each.is_none() => Self::of(sender),
            Some(_) | None => Self::Unknown,
        }
    }

    /// What `receiver` gets over `edges`, which come from one sender.
    pub(super) fn received(spec: &'a GraphSpec, receiver: &VertexSpec, edges: &[&EdgeSpec]) -> Self {
        let is_plain = |edge: &&EdgeSpec| edge.port.is_default() && edge.transform.is_none();
        match edges.first() {
            Some(edge) if receiver.combiner.is_none() && edges.iter().all(is_plain) => Self::sent(spec, edge),
            Some(_) | None => Self::Unknown,
        }
    }

    /// The first of `fields`, each read from the one before, that cannot be there.
    pub(super) fn missing(self, fields: &[String]) -> Option<Missing<'a>> {
        let mut schema = match self {
            Self::Unknown => return None,
            Self::Fields(known) => {
                let unknown = fields.first().filter(|field| !known.contains(&field.as_str()));
                return unknown.map(|field| missing(field, known.to_vec()));
            }
            Self::Schema(schema) => schema,
        };
        for field in fields {
            // A schema that is combined of others says elsewhere what else there is.
            let is_open = ["$ref", "$dynamicRef", "anyOf", "oneOf", "allOf", "if", "patternProperties"];
            if is_open.iter().any(|keyword| schema.get(keyword).is_some()) {
                return None;
            }
            let properties = schema.get("properties").and_then(Value::as_object)?;
            schema = match properties.get(field) {
                Some(schema) => schema,
                None => match schema.get("additionalProperties") {
                    None | Some(Value::Bool(false)) => {
                        return Some(missing(field, properties.keys().map(String::as_str).collect()));
                    }
                    Some(_) => return None,
                },
            };
        }
        None
    }
}

fn missing<'a>(name: &str, known: Vec<&'a str>) -> Missing<'a> {
    Missing { name: name.to_owned(), known }
}
