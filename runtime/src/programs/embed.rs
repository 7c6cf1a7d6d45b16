//! The program `embed`: texts as vectors.

use std::sync::Arc;

use serde_json::{Value, json};
use superstep_engine::{Failure, Payload, View};
use superstep_graph::{EmbedProgram, VertexSpec};

use super::embedding::{Embedding, Texts};
use super::{PrepareError, expression, handed_on, template};
use crate::cel::Expression;
use crate::embedder::Embedder;
use crate::program::{Activation, Execution, Program};
use crate::roots::{Bindings, Scope};
use crate::template::Template;
use crate::vectors::listed;

pub(super) struct Embed {
    embedding: Arc<Embedding>,
    origin: Origin,
}

/// Where its texts come from.
enum Origin {
    Text(Template),
    Texts(Expression),
    Came,
}

impl Embed {
    pub(super) fn prepare(
        vertex: &VertexSpec,
        embed: &EmbedProgram,
        model: &Arc<dyn Embedder>,
    ) -> Result<Self, PrepareError> {
        let origin = match (&embed.text, &embed.texts) {
            (Some(text), _) => Origin::Text(template(vertex, "embed.text", text)?),
            (None, Some(texts)) => Origin::Texts(expression(vertex, "embed.texts", texts, Scope::Vertex)?),
            (None, None) => Origin::Came,
        };
        let embedding = Embedding {
            vertex: vertex.name.clone(),
            model_name: embed.model.clone(),
            model: Arc::clone(model),
        };
        Ok(Self { embedding: Arc::new(embedding), origin })
    }

    fn texts(&self, view: &View) -> Result<Texts, Failure> {
        match &self.origin {
            Origin::Text(text) => text.render(view).map(Texts::One),
            Origin::Texts(texts) => {
                let list = texts.evaluate(Bindings::Vertex(view))?;
                match Texts::of(list.value(), "embed.texts")? {
                    many @ Texts::Many(_) => Ok(many),
                    Texts::One(_) => Err(Failure::permanent("embed.texts is one text: a list is expected")),
                }
            }
            Origin::Came => Texts::of(handed_on(view).value(), "what came"),
        }
    }
}

impl Program for Embed {
    fn start(&self, activation: Activation) -> Execution {
        let texts = match self.texts(&activation.view) {
            Ok(texts) => texts,
            Err(failure) => return Execution::of(Err(failure)),
        };
        let embedding = Arc::clone(&self.embedding);
        Execution::running(async move {
            let vectors = embedding.embed(&activation.calls, texts.as_slice()).await?;
            Ok(payload(&texts, &vectors))
        })
    }
}

fn payload(texts: &Texts, vectors: &[Vec<f32>]) -> Payload {
    let mut vectors = vectors.iter().map(|vector| listed(vector));
    Payload::from(match texts {
        Texts::One(_) => json!({"embedding": vectors.next()}),
        Texts::Many(_) => json!({"embeddings": vectors.collect::<Vec<Value>>()}),
    })
}

#[cfg(test)]
mod tests;
